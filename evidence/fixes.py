"""Fixes as PostgreSQL's binary COPY format.

Fixes are many, so NumPy lays them out, without a Python object per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.reports import Batch, FixArray
from evidence.text import clean

JournalEntry = tuple[int, Batch]
"""Position in the journal, and the batch that stands there."""

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01: PostgreSQL counts microseconds from there
_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TRAILER = b"\xff\xff"

FIX_COLUMNS = (
    ("ordinal", ">i4", "integer"),
    ("device", ">i4", "integer"),
    ("time", ">i8", "timestamptz"),
    ("seq", ">i8", "bigint"),
    ("received_at", ">i8", "timestamptz"),
    ("journal_position", ">i8", "bigint"),
    ("message", ">i4", "integer"),
    ("lat_e7", ">i4", "integer"),
    ("lon_e7", ">i4", "integer"),
    ("accuracy_cm", ">i4", "integer"),
    ("speed_cms", ">i4", "integer"),
    ("course_cdeg", ">i4", "integer"),
    ("altitude_dm", ">i4", "integer"),
    ("satellites", ">i2", "smallint"),
    ("hdop_c", ">i2", "smallint"),
    ("kind", ">i2", "smallint"),
    ("battery_pct", ">i2", "smallint"),
    ("charging", ">i2", "smallint"),
    ("buffered", "u1", "boolean"),
)
"""Staged fixes: name, bytes on the wire, type. `device` counts from 1 in `Fixes.devices`."""

FIX_WIRE = {name: wire for name, wire, _ in FIX_COLUMNS if name not in {"ordinal", "device"}}
"""Columns of stored fixes but the device, as PostgreSQL sends them; the log has them in this order."""

_SAME = tuple(
    name
    for name, _, _ in FIX_COLUMNS
    if name not in {"ordinal", "device", "time", "received_at", "journal_position", "buffered"}
)


@dataclass(frozen=True, slots=True)
class Fixes:
    """The fixes of several entries, ready for COPY.

    Attributes:
        devices: Names the device column counts in, from 1.
        data: COPY's binary format: columns `FIX_COLUMNS`, rows in the order of the entries.
        count: How many rows.
    """

    devices: list[str]
    data: bytes
    count: int = 0


def pack_fixes(entries: Sequence[JournalEntry]) -> Fixes:
    """Lay out all fixes of these entries for COPY. The entries have passed `check`."""
    devices: dict[str, int] = {}
    parts = [_stage(position, batch, devices) for position, batch in entries if batch.fixes.size]
    if not parts:
        return Fixes([], b"")
    rows = np.concatenate(parts)
    rows["ordinal"] = np.arange(len(rows))
    return Fixes([clean(name) for name in devices], _copy_format(rows), len(rows))


_STAGE_DTYPE = np.dtype([(name, wire) for name, wire, _ in FIX_COLUMNS])


def _stage(position: int, batch: Batch, devices: dict[str, int]) -> NDArray[np.void]:
    """The fixes of one batch as staged rows; `devices` grows by those not seen before."""
    fixes: FixArray = batch.fixes
    rows = np.zeros(len(fixes), _STAGE_DTYPE)
    numbers = np.array([devices.setdefault(name, len(devices) + 1) for name in batch.devices])
    received_us = np.array([message.received_us for message in batch.messages], np.int64)
    rows["device"] = numbers[fixes["device"]]
    rows["time"] = fixes["time_us"] - POSTGRES_EPOCH_US
    rows["received_at"] = received_us[fixes["message"]] - POSTGRES_EPOCH_US
    rows["journal_position"] = position
    rows["buffered"] = fixes["buffered"] != 0
    for name in _SAME:
        rows[name] = fixes[name]
    return rows


def _copy_format(rows: NDArray[np.void]) -> bytes:
    """Binary COPY: per row a count of fields, per field its length and its big-endian bytes."""
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, wire, _ in FIX_COLUMNS:
        layout += [(f"{name}_size", ">i4"), (name, wire)]
    out = np.zeros(len(rows), np.dtype(layout))
    out["fields"] = len(FIX_COLUMNS)
    for name, wire, _ in FIX_COLUMNS:
        out[f"{name}_size"] = np.dtype(wire).itemsize
        out[name] = rows[name]
    return _COPY_HEADER + out.tobytes() + _COPY_TRAILER
