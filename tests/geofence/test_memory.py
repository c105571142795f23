from __future__ import annotations

import sys

import numba
import numpy as np
import pytest

from geofence.kernel import constant, kernel
from geofence.layout import TERMS_DTYPE
from geofence.memory import LINE_BYTES, borrowed, fetch, new_rows, on_lines
from geofence.plan import FloatArray
from geofence.track import TRACK_DTYPE
from geofence.watch import WATCH_DTYPE


@kernel
def _total(values: FloatArray, row: int) -> float:
    same = borrowed(values)
    fetch(same, row, 2)
    total = 0.0
    for i in range(same.size):
        total += same[i]
    same[0] = -1.0
    return total


@kernel
def _handed(value: int) -> int:
    return value


ONE, TWO = constant(1), constant(2)


@kernel
def _hand_on() -> int:
    return _handed(ONE) + _handed(TWO)


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_rows_are_zeros_and_begin_on_cache_lines(count: int) -> None:
    dtype = on_lines([("a", np.float64, (3,)), ("b", np.int64)])
    rows = new_rows(count, dtype)
    assert rows.shape == (count,)
    assert dtype.itemsize == LINE_BYTES
    assert not count or rows.ctypes.data % LINE_BYTES == 0
    assert not rows["a"].any()
    rows["b"] = np.arange(count)
    assert rows["b"].tolist() == list(range(count))


@pytest.mark.parametrize("dtype", [TRACK_DTYPE, WATCH_DTYPE, TERMS_DTYPE])
def test_state_has_rows_of_whole_lines(dtype: np.dtype[np.void]) -> None:
    assert dtype.itemsize % LINE_BYTES == 0
    assert dtype.names is not None
    sizes = [dtype[name].itemsize for name in dtype.names]
    assert sum(sizes) == dtype.itemsize  # no gaps: what is saved is all there is


def test_what_is_borrowed_is_the_same_array_and_is_not_kept() -> None:
    values = np.arange(10.0)
    before = sys.getrefcount(values)
    assert [_total(values, 3) for _ in range(3)] == [45.0, 44.0, 44.0]
    assert values[0] == -1.0
    assert sys.getrefcount(values) == before


def test_outside_kernels_they_do_nothing() -> None:
    values = np.arange(3.0)
    assert borrowed(values) is values
    fetch(values, 0, 1)
    assert values.tolist() == [0.0, 1.0, 2.0]


def test_constants_are_of_one_type() -> None:
    # Compiled here: kept code would be called without a look at what it calls.
    compiled = numba.njit(getattr(_hand_on, "py_func"))  # noqa: B009 - a kernel is a dispatcher
    assert compiled() == 3
    assert len(getattr(_handed, "signatures")) == 1  # noqa: B009 - a kernel is a dispatcher
