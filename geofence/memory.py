"""What speed asks of memory: rows on cache lines, arrays without an owner, and fetching ahead.

**Rows.** What is read for every watch stands in the first 64 bytes of its row (see the dtypes).
That is one cache line only where rows begin on one: `new_rows`.

**Owners.** A kernel that is handed an array counts a reference to it, and counts it off at its end,
each a locked instruction. Where small kernels call each other with arrays, that is most of what
they do. `borrowed` gives the same array without an owner: nothing is counted. Whoever called the
outermost kernel holds it, so it stays.

**Fetching ahead.** A batch comes in no order, and the rows it touches are all over tables of
gigabytes. Which ones they are is known beforehand; `fetch` asks for a row and does not wait.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

LINE_BYTES = 64

RowArray = NDArray[np.void]
"""(1,) of records."""


def new_rows(count: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """(count,) records of zeros, the first of them at the beginning of a cache line."""
    room = np.zeros(count * dtype.itemsize + LINE_BYTES, np.uint8)
    start = -room.ctypes.data % LINE_BYTES
    return room[start : start + count * dtype.itemsize].view(dtype)


def as_row(record: np.void) -> RowArray:
    """A copy of a record as an array, (1,): how Python hands one to a kernel it calls often.

    A record by itself is described to Numba anew at each call, field by field, which takes longer
    than to work on a fix.
    """
    return np.array([record], record.dtype)


def on_lines(fields: list[Any]) -> np.dtype[np.void]:
    """The dtype of these fields, all of them of eight bytes, with rows of whole cache lines."""
    spare = -np.dtype(fields).itemsize % LINE_BYTES // 8
    return np.dtype([*fields, ("spare", np.int64, (spare,))] if spare else fields)


def borrowed(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, to be used no longer than its owner holds it."""
    return array


def fetch(array: NDArray[Any], row: int, lines: int) -> None:
    """Bring the first cache lines of a row near, without waiting. Outside kernels: nothing.

    Args:
        array: Of records.
        row: Index, at least 0; it must be within the array.
        lines: How many times 64 bytes.
    """


@intrinsic
def _borrowed(typing_context: Any, array: Any) -> Any:  # noqa: ARG001 - Numba's signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out = context.make_array(array)(context, builder, value=arguments[0])
        out.meminfo = ir.Constant(out.meminfo.type, None)
        out.parent = ir.Constant(out.parent.type, None)
        return impl_ret_borrowed(  # type: ignore[no-untyped-call]
            context,
            builder,
            signature.return_type,
            out._getvalue(),  # noqa: SLF001
        )

    return array(array), generate


@intrinsic
def _fetch(typing_context: Any, array: Any, row: Any, line: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        table = context.make_array(array)(context, builder, value=arguments[0])
        bytes_ = ir.IntType(8).as_pointer()
        row_bytes = builder.extract_value(table.strides, 0)
        offset = builder.mul(arguments[1], row_bytes)
        offset = builder.add(
            offset, builder.mul(arguments[2], ir.Constant(offset.type, LINE_BYTES))
        )
        place = builder.gep(builder.bitcast(table.data, bytes_), [offset])
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [bytes_, word, word, word])
        name = "llvm.prefetch.p0" if getattr(bytes_, "is_opaque", False) else "llvm.prefetch.p0i8"
        prefetch = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, name
        )
        # For writing, to be kept in all caches, data.
        builder.call(prefetch, [place, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@overload(borrowed, strict=False)
def _overload_borrowed(array: Any) -> Any:  # noqa: ARG001
    def implementation(array: Any) -> Any:
        return _borrowed(array)  # type: ignore[call-arg]

    return implementation


@overload(fetch, strict=False)
def _overload_fetch(array: Any, row: Any, lines: Any) -> Any:  # noqa: ARG001
    def fetch_lines(array: Any, row: Any, lines: Any) -> None:
        for line in range(lines):
            _fetch(array, row, line)  # type: ignore[call-arg]

    return fetch_lines
