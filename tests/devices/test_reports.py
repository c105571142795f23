"""The journal codec: what goes in comes out, and damage is noticed."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reports import (
    FIX_DTYPE,
    Batch,
    BatchFormatError,
    Event,
    Message,
    Receipt,
    Refusal,
    Status,
    decode_batch,
    encode_batch,
    no_fixes,
)

INSTANT = st.integers(-(2**63), 2**63 - 1)
NAME = st.text(max_size=8)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    messages = draw(st.lists(st.builds(Message, INSTANT, NAME, st.binary(max_size=40)), max_size=4))
    devices = draw(st.lists(NAME, max_size=3))
    count = draw(st.integers(0, 5)) if messages and devices else 0
    fixes = np.frombuffer(
        draw(st.binary(min_size=count * FIX_DTYPE.itemsize, max_size=count * FIX_DTYPE.itemsize)),
        FIX_DTYPE,
    ).copy()
    if count:
        fixes["message"] %= len(messages)
        fixes["device"] %= len(devices)
    rows: dict[str, Any] = {}
    if messages:
        index = st.integers(0, len(messages) - 1)
        detail = st.dictionaries(NAME, st.integers(-5, 5) | NAME | st.none(), max_size=2)
        kinds: dict[str, Any] = {
            "events": st.builds(
                Event, index, NAME, INSTANT, INSTANT, NAME, st.none() | NAME, detail
            ),
            "receipts": st.builds(Receipt, index, NAME, NAME, NAME, INSTANT, st.none() | NAME),
            "statuses": st.builds(Status, index, NAME, st.booleans(), INSTANT),
            "refusals": st.builds(
                Refusal, index, NAME, NAME, NAME, st.none() | index, index, st.binary(max_size=32)
            ),
        }
        rows = {name: tuple(draw(st.lists(kind, max_size=2))) for name, kind in kinds.items()}
    return Batch(
        gateway="gw0-1a2b",
        number=draw(st.integers(1, 2**40)),
        received_us=draw(INSTANT),
        messages=tuple(messages),
        devices=tuple(devices),
        fixes=fixes,
        **rows,
    )


def same(one: Batch, other: Batch) -> None:
    assert one.fixes.tobytes() == other.fixes.tobytes()
    assert one.fixes.dtype == other.fixes.dtype == FIX_DTYPE
    empty = no_fixes().tobytes()
    plain = [msgspec.structs.astuple(msgspec.structs.replace(b, fixes=empty)) for b in (one, other)]
    assert plain[0] == plain[1]


@given(batches())
def test_round_trip(batch: Batch) -> None:
    data = encode_batch(batch)
    same(decode_batch(data), batch)
    assert encode_batch(decode_batch(data)) == data


@given(batches(), st.data())
def test_any_damaged_byte_is_noticed(batch: Batch, data: st.DataObject) -> None:
    encoded = bytearray(encode_batch(batch))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BatchFormatError):
        decode_batch(bytes(encoded))


@given(batches(), st.data())
def test_a_cut_entry_is_noticed(batch: Batch, data: st.DataObject) -> None:
    encoded = encode_batch(batch)
    with pytest.raises(BatchFormatError):
        decode_batch(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BatchFormatError):
        decode_batch(data)


def test_rows_that_point_nowhere_are_refused() -> None:
    fixes = np.zeros(1, FIX_DTYPE)
    batch = Batch(gateway="g", number=1, received_us=0, messages=(), devices=("d",), fixes=fixes)
    with pytest.raises(BatchFormatError, match="outside"):
        decode_batch(encode_batch(batch))


def test_rows_are_packed_little_endian() -> None:
    # The journal and the database hold these bytes: another layout needs another format name.
    assert FIX_DTYPE.itemsize == 56
    assert [FIX_DTYPE[name].str for name in ("time_us", "lat_e7", "hdop_c")] == [
        "<i8",
        "<i4",
        "<i2",
    ]
    assert Batch(gateway="g", number=7, received_us=0, messages=(), fixes=no_fixes()).name == "g/7"
