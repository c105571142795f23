"""The rows of what was found of devices and told to them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.decisions import CommandDecision, GapDecision, HealthDecision
from devices.instants import to_datetime
from evidence.decided import DecisionEntry, found_of
from evidence.rows import Row, Table
from evidence.text import clean, clean_optional

DEVICE_HEALTH = Table(
    "device_health",
    (
        ("decided_at", "timestamptz"),
        ("stream_position", "int8"),
        ("number", "int8"),
        ("onset_at", "timestamptz"),
        ("quantity", "float8"),
        ("after_position", "int8"),
        ("began", "bool"),
        ("kind", "text"),
        ("cause", "text"),
        ("device", "text"),
        ("person", "text"),
        ("role", "text"),
        ("agency", "text"),
        ("build", "text"),
        ("caseload_version", "text"),
    ),
)


SEQUENCE_STEP = Table(
    "sequence_step",
    (
        ("decided_at", "timestamptz"),
        ("stream_position", "int8"),
        ("number", "int8"),
        ("first_seq", "int8"),
        ("last_seq", "int8"),
        ("missing", "int8"),
        ("opened_at", "timestamptz"),
        ("after_position", "int8"),
        ("state", "text"),
        ("device", "text"),
        ("build", "text"),
    ),
)

COMMAND = Table(
    "command",
    (
        ("decided_at", "timestamptz"),
        ("stream_position", "int8"),
        ("issued_at", "timestamptz"),
        ("interval_s", "float8"),
        ("after_position", "int8"),
        ("device", "text"),
        ("command_id", "text"),
        ("state", "text"),
        ("reason", "text"),
        ("build", "text"),
    ),
)


def health_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `DEVICE_HEALTH`; others have none."""
    return [_health_row(*one) for one in found_of(entries, HealthDecision)]


def _health_row(position: int, decision: HealthDecision) -> Row:
    change = decision.change
    return (
        to_datetime(change.decided_at_us),
        position,
        change.number,
        to_datetime(change.onset_us),
        change.quantity,
        decision.after_position,
        change.began,
        change.kind,
        change.cause,
        clean(change.device),
        clean_optional(decision.person),
        decision.role,
        clean(decision.agency),
        clean(decision.build),
        clean(decision.caseload_version),
    )


def gap_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `SEQUENCE_STEP`; others have none."""
    return [_gap_row(*one) for one in found_of(entries, GapDecision)]


def _gap_row(position: int, decision: GapDecision) -> Row:
    change = decision.change
    return (
        to_datetime(change.decided_at_us),
        position,
        change.number,
        change.first_seq,
        change.last_seq,
        change.missing,
        to_datetime(change.opened_us),
        decision.after_position,
        change.state,
        clean(change.device),
        clean(decision.build),
    )


def command_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `COMMAND`; others have none."""
    return [_command_row(*one) for one in found_of(entries, CommandDecision)]


def _command_row(position: int, decision: CommandDecision) -> Row:
    change = decision.change
    return (
        to_datetime(change.decided_at_us),
        position,
        to_datetime(change.issued_us),
        change.interval_s,
        decision.after_position,
        clean(change.device),
        clean(change.command_id),
        change.state,
        change.reason,
        clean(decision.build),
    )
