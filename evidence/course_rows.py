"""The rows of a worker's course. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from devices.course import CourseStep
from devices.instants import to_datetime
from evidence.decided import DecisionEntry, found_of
from evidence.rows import Row, Table
from evidence.text import clean

COURSE = Table(
    "course",
    (
        ("at", "timestamptz"),
        ("run_at", "timestamptz"),
        ("number", "int8"),
        ("stream_position", "int8"),
        ("ticked_at", "timestamptz"),
        ("position", "int8"),
        ("upto", "int8"),
        ("kind", "text"),
        ("after", "text"),
        ("batch", "text"),
        ("caseload_version", "text"),
        ("detail", "json"),
    ),
)


def course_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `COURSE`; others have none."""
    return [_row(*one) for one in found_of(entries, CourseStep)]


def _row(position: int, step: CourseStep) -> Row:
    return (
        to_datetime(step.at_us),
        to_datetime(step.run_us),
        step.number,
        position,
        to_datetime(step.ticked_us),
        step.position,
        step.upto,
        step.kind,
        clean(step.after),
        clean(step.batch),
        clean(step.caseload_version),
        step.detail,
    )
