"""A sealed record as people and programs read it: names and values out of the sealed bytes alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evidence.covered_tables import LAYOUT, RECORDS, Covered
from evidence.log.canonical import decode
from evidence.log.leaves import FIX_PAYLOAD, FIX_VERSION

FIX_FIELDS = (
    "time",
    "seq",
    "received_at",
    "journal_position",
    "message",
    "lat_e7",
    "lon_e7",
    "accuracy_cm",
    "speed_cms",
    "course_cdeg",
    "altitude_dm",
    "satellites",
    "hdop_c",
    "kind",
    "battery_pct",
    "charging",
    "buffered",
)
_FIRST_FIELD = 2
"""Before a fix's fields stand version and chain; before another record's, layout and table."""

_TABLES: Mapping[tuple[int, str], Covered] = {
    (layout, table.name): table for layout, tables in RECORDS.items() for table in tables
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        kind: The table it is of.
        subject: Whom its chain is about.
        time_us: Its own time.
        values: By column; instants in microseconds, documents as the text they were stored as.
    """

    kind: str
    subject: str
    time_us: int
    values: Mapping[str, Any]

    @property
    def document(self) -> Any:
        """What the record's JSON document says."""
        return json.loads(self.values["document"])


def read_record(payload: bytes, kind: str, subject: str) -> Record:
    """The record that sealed bytes are.

    Raises:
        ValueError, KeyError: They are of no layout that this version reads.
    """
    if payload[0] == FIX_VERSION:
        values = dict(zip(FIX_FIELDS, FIX_PAYLOAD.unpack(payload)[_FIRST_FIELD:], strict=True))
        return Record(kind, subject, values["time"], values)
    found = decode(payload)
    table = _TABLES[found[0], found[1]]  # type: ignore[index]
    names = [name for name, _ in table.columns]
    values = dict(zip(names, found[_FIRST_FIELD:], strict=True))
    return Record(kind, subject, values[table.time], values)


def columns() -> dict[str, list[str]]:
    """The columns of each kind of record by the newest layout, in the order of the payload."""
    found = {"fix": list(FIX_FIELDS)}
    for table in RECORDS[LAYOUT]:
        found[table.name] = [name for name, _ in table.columns]
    return found
