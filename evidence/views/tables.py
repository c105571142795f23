"""CSV tables (RFC 4180) that a spreadsheet opens without running anything that stands in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Self

from devices.instants import to_iso
from evidence.views.facts import Facts
from evidence.views.geojson import properties
from evidence.views.xml_text import degrees

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""What a spreadsheet may take the beginning of a formula for (OWASP ASVS 1.2.10)."""


def safe(value: object) -> object:
    """A cell: text that could be a formula gets an apostrophe before it; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        value = value.replace("\0", "\ufffd")
        if value.lstrip(" ").startswith(_FORMULA):
            return f"'{value}"
    return value


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([safe(value) for value in row] for row in rows)
    return out.getvalue()


def track_table(facts: Facts) -> str:
    """A row per fix."""
    rows: list[dict[str, Any]] = [
        {"lat": _Number(degrees(fix.lat_e7)), "lon": _Number(degrees(fix.lon_e7))} | properties(fix)
        for track in facts.tracks.values()
        for fix in track
    ]
    head = list(rows[0]) if rows else ["time"]
    return table(head, [list(row.values()) for row in rows])


class _Number(float):
    """A number that is written with the digits it was given."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


STEP_HEAD = (
    "time",
    "alert",
    "version",
    "step",
    "actor",
    "tier",
    "level",
    "state",
    "outcome",
    "note",
)
DELIVERY_HEAD = ("time", "alert", "delivery", "channel", "recipient", "state", "device_time")


def step_table(facts: Facts) -> str:
    """A row per step of an alert, whoever or whatever took it."""
    rows = []
    for story in facts.alerts:
        for record in story.steps:
            data = record.document["data"]
            step = record.values["type"].rpartition(".")[2]
            rest = [data.get(name) for name in STEP_HEAD[5:]]
            values = record.values
            at = to_iso(record.time_us)
            rows.append([at, record.subject, values["version"], step, values["actor"], *rest])
    return table(STEP_HEAD, rows)


def delivery_table(facts: Facts) -> str:
    """A row per thing that became of a delivery."""
    rows = [
        [
            to_iso(record.time_us),
            record.subject,
            *(record.values[name] for name in ("delivery_id", "channel", "recipient", "state")),
            record.document.get("device_time"),
        ]
        for story in facts.alerts
        for record in story.deliveries
    ]
    return table(DELIVERY_HEAD, rows)
