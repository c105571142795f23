"""Fixes as PostgreSQL's binary COPY format.

Fixes are many, so NumPy lays them out, without a Python object per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from devices.instants import to_datetime
from devices.reports import FIX_DTYPE, Batch
from evidence.copying import COPY_HEADER, COPY_TRAILER, POSTGRES_EPOCH_US
from evidence.text import clean

JournalEntry = tuple[int, Batch]
"""Position in the journal, and the batch that stands there."""

_NEVER_US = 2**57

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


Rows = NDArray[np.void]
"""Fixes as they are staged: see `FIX_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Fixes:
    """The fixes of several entries.

    Attributes:
        devices: Names the device column counts in, from 1.
        rows: Of `FIX_COLUMNS`, in the order of the entries.
    """

    devices: list[str]
    rows: Rows

    def earliest(self) -> list[datetime]:
        """The first fix time of each device."""
        first = np.full(len(self.devices), _NEVER_US, np.int64)
        np.minimum.at(first, self.rows["device"] - 1, self.rows["time"])
        return [to_datetime(since_us + POSTGRES_EPOCH_US) for since_us in first.tolist()]

    def doubled(self) -> set[int]:
        """Devices of which two fixes have the same time and number, counted from 1."""
        keys = [self.rows[name].astype(np.int64) for name in ("seq", "time", "device")]
        order = np.lexsort(keys)
        same = np.logical_and.reduce([np.diff(key[order]) == 0 for key in keys])
        return set(self.rows["device"][order][1:][same].tolist())


def pack_fixes(entries: Sequence[JournalEntry]) -> Fixes:
    """All fixes of these entries. The entries have passed `check`.

    They are laid out together: most batches hold a few, for which arrays of their own cost most.
    """
    devices: dict[str, int] = {}
    numbers: list[int] = []  # of the devices of each batch, one batch after the other
    received_us: list[int] = []  # of their messages, likewise
    batches = [(position, batch) for position, batch in entries if batch.fixes.size]
    starts = []
    for position, batch in batches:
        starts.append((position, len(batch.fixes), len(numbers), len(received_us)))
        numbers += [devices.setdefault(name, len(devices) + 1) for name in batch.devices]
        received_us += [message.received_us for message in batch.messages]
    # As bytes: NumPy would find out for each pair of arrays which type suits both.
    fixes = np.frombuffer(b"".join(batch.fixes.tobytes() for _, batch in batches), FIX_DTYPE)
    table = np.array(starts, np.int64).reshape(-1, 4)
    positions, device_starts, message_starts = np.repeat(table[:, [0, 2, 3]], table[:, 1], axis=0).T
    rows = np.zeros(len(fixes), _STAGE_DTYPE)
    rows["ordinal"] = np.arange(len(rows))
    rows["device"] = np.array(numbers, np.int64)[device_starts + fixes["device"]]
    rows["time"] = fixes["time_us"] - POSTGRES_EPOCH_US
    received = np.array(received_us, np.int64)[message_starts + fixes["message"]]
    rows["received_at"] = received - POSTGRES_EPOCH_US
    rows["journal_position"] = positions
    rows["buffered"] = fixes["buffered"] != 0
    for name in _SAME:
        rows[name] = fixes[name]
    return Fixes([clean(name) for name in devices], rows)


_STAGE_DTYPE = np.dtype([(name, wire) for name, wire, _ in FIX_COLUMNS])


def staged(rows: Rows) -> bytes:
    """Rows for COPY into the staging table, in its binary format."""
    return COPY_HEADER + _copy_rows(rows, FIX_COLUMNS) + COPY_TRAILER


def direct(devices: Sequence[str], rows: Rows) -> bytes:
    """Rows for COPY into `evidence.fix`: `FIX_COLUMNS` from the device's name on, as binary.

    Rows of names of one length are laid out together: they are of one width.
    """
    names = [name.encode() for name in devices]
    widths = np.array([len(name) for name in names])[rows["device"] - 1]
    parts = [COPY_HEADER]
    for width in np.unique(widths).tolist():
        columns = (("device", f"S{width}", "text"), *FIX_COLUMNS[2:])
        some = rows[widths == width]
        parts.append(_copy_rows(some, columns, np.array(names)[some["device"] - 1]))
    return b"".join((*parts, COPY_TRAILER))


def _copy_rows(
    rows: Rows, columns: Sequence[tuple[str, str, str]], device: NDArray[np.bytes_] | None = None
) -> bytes:
    """Per row a count of fields, per field its length and its big-endian bytes."""
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, wire, _ in columns:
        layout += [(f"{name}_size", ">i4"), (name, wire)]
    out = np.zeros(len(rows), np.dtype(layout))
    out["fields"] = len(columns)
    for name, wire, _ in columns:
        out[f"{name}_size"] = np.dtype(wire).itemsize
        out[name] = rows[name] if device is None or name != "device" else device
    return out.tobytes()
