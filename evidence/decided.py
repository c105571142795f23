"""The rows of decisions and alert changes. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from alerts.decisions import AnomalyDecision, Decision, Finding, Found
from alerts.deliveries import DeliveryRecord, decode_entry
from alerts.deliveries import Entry as AlertContent
from alerts.model import AlertChange
from devices.course import CourseStep
from devices.instants import from_iso, to_datetime
from evidence.rows import Row, Table, UnstorableError
from evidence.text import clean, clean_optional
from geofence.levels import UNKNOWN_TIME_US

FoundT = TypeVar("FoundT")

DECISION = Table(
    "decision",
    (
        ("decided_at", "timestamptz"),
        ("stream_position", "int8"),
        ("number", "int8"),
        ("onset_at", "timestamptz"),
        ("fix_time_a", "timestamptz"),
        ("fix_time_b", "timestamptz"),
        ("distance_m", "float8"),
        ("distance_low_m", "float8"),
        ("distance_high_m", "float8"),
        ("probability", "float8"),
        ("time_to_contact_s", "float8"),
        ("after_position", "int8"),
        ("previous", "int2"),
        ("level", "int2"),
        ("swept", "bool"),
        ("watch", "text"),
        ("condition_id", "text"),
        ("order_id", "text"),
        ("agency", "text"),
        ("wearer", "text"),
        ("protected", "text"),
        ("tag", "text"),
        ("handset", "text"),
        ("rules", "text"),
        ("build", "text"),
        ("caseload_version", "text"),
        ("cause", "int2"),
        ("sigma_m", "float8"),
        ("ring_m", "float8"),
        ("closest_m", "float8"),
        ("closest_at", "timestamptz"),
    ),
)

ANOMALY = Table(
    "anomaly",
    (
        ("decided_at", "timestamptz"),
        ("stream_position", "int8"),
        ("number", "int8"),
        ("onset_at", "timestamptz"),
        ("quantity", "float8"),
        ("count", "int8"),
        ("after_position", "int8"),
        ("kind", "int2"),
        ("began", "bool"),
        ("device", "text"),
        ("companion", "text"),
        ("person", "text"),
        ("role", "text"),
        ("agency", "text"),
        ("rules", "text"),
        ("build", "text"),
        ("caseload_version", "text"),
    ),
)


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """An entry of the alerts stream, at its place, with the JSON as it was written."""

    position: int
    time_us: int
    content: AlertContent
    document: str


DecisionEntry = tuple[int, Found]
"""Position in the stream, and what was decided or found there."""

_ALERT_KEY = (("time", "timestamptz"), ("stream_position", "int8"))

ALERT_CHANGE = Table(
    "alert_change",
    (
        *_ALERT_KEY,
        ("version", "int4"),
        ("tier", "int2"),
        ("alert_id", "text"),
        ("id", "text"),
        ("type", "text"),
        ("agency", "text"),
        ("actor", "text"),
        ("document", "json"),
    ),
)
DELIVERY = Table(
    "delivery",
    (
        *_ALERT_KEY,
        ("id", "text"),
        ("delivery_id", "text"),
        ("alert_id", "text"),
        ("change_id", "text"),
        ("channel", "text"),
        ("recipient", "text"),
        ("state", "text"),
        ("document", "json"),
    ),
)


def read_alert_entry(position: int, data: bytes) -> AlertEntry:
    """What an entry of the alerts stream holds.

    Raises:
        EntryFormatError: Of no type that this version knows.
        UnstorableError: Its time is no time.
    """
    content = decode_entry(data)
    try:
        return AlertEntry(position, from_iso(content.time), content, data.decode())
    except ValueError as error:
        raise UnstorableError("an entry of the alerts stream whose time is no time") from error


def change_rows(entries: Sequence[AlertEntry]) -> list[Row]:
    """Rows of `ALERT_CHANGE`; other entries have none."""
    return [
        _change_row(entry, entry.content)
        for entry in entries
        if isinstance(entry.content, AlertChange)
    ]


def _change_row(entry: AlertEntry, change: AlertChange) -> Row:
    return (
        to_datetime(entry.time_us),
        entry.position,
        change.data.version,
        change.data.tier,
        clean(change.data.alert_id),
        clean(change.id),
        clean(change.type),
        clean(change.data.agency),
        clean(change.actor),
        entry.document,
    )


def delivery_rows(entries: Sequence[AlertEntry]) -> list[Row]:
    """Rows of `DELIVERY`; other entries have none."""
    return [
        _delivery_row(entry, entry.content)
        for entry in entries
        if isinstance(entry.content, DeliveryRecord)
    ]


def _delivery_row(entry: AlertEntry, record: DeliveryRecord) -> Row:
    return (
        to_datetime(entry.time_us),
        entry.position,
        clean(record.id),
        clean(record.delivery_id),
        clean(record.alert_id),
        clean(record.change_id),
        record.channel,
        clean(record.recipient),
        record.state,
        entry.document,
    )


def decided_us(entry: DecisionEntry) -> list[int]:
    """When each thing of an entry of the decisions stream was decided."""
    return [_instant_of(one) for one in entry[1]]


def _instant_of(one: Decision | Finding | CourseStep) -> int:
    if isinstance(one, CourseStep):
        return one.at_us
    return one.transition.decided_at_us if isinstance(one, Decision) else one.change.decided_at_us


def found_of(entries: Sequence[DecisionEntry], kind: type[FoundT]) -> Iterator[tuple[int, FoundT]]:
    """What entries hold of one kind, each with the position of its entry."""
    for position, found in entries:
        for one in found:
            if isinstance(one, kind):
                yield position, one


def decision_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `DECISION`; anomalies have none."""
    return [_decision_row(*one) for one in found_of(entries, Decision)]


def anomaly_rows(entries: Sequence[DecisionEntry]) -> list[Row]:
    """Rows of `ANOMALY`; decisions on levels have none."""
    return [_anomaly_row(*one) for one in found_of(entries, AnomalyDecision)]


def _anomaly_row(position: int, decision: AnomalyDecision) -> Row:
    change = decision.change
    return (
        to_datetime(change.decided_at_us),
        position,
        change.number,
        _known_instant(change.onset_us),
        change.quantity,
        change.count,
        decision.after_position,
        int(change.kind),
        change.began,
        clean(change.track),
        clean(change.companion),
        clean_optional(decision.person),
        decision.role,
        clean(decision.agency),
        clean(decision.rules),
        clean(decision.build),
        clean(decision.caseload_version),
    )


def _decision_row(position: int, decision: Decision) -> Row:
    change = decision.transition
    return (
        to_datetime(change.decided_at_us),
        position,
        change.number,
        _known_instant(change.onset_us),
        _known_instant(change.fix_time_a_us),
        _known_instant(change.fix_time_b_us),
        change.distance_m,
        change.distance_low_m,
        change.distance_high_m,
        change.probability,
        change.time_to_contact_s,
        decision.after_position,
        int(change.previous),
        int(change.level),
        change.swept,
        clean(change.watch),
        clean(decision.condition_id),
        clean(decision.order_id),
        clean(decision.agency),
        clean(decision.wearer),
        clean_optional(decision.protected),
        clean(decision.tag),
        clean_optional(decision.handset),
        clean(decision.rules),
        clean(decision.build),
        clean(decision.caseload_version),
        *_explanation(decision),
    )


def _explanation(decision: Decision) -> Row:
    """Cause, sigma, ring, and how near they came on the way; nulls where it was not said."""
    if not decision.explained:
        return (None,) * 5
    change = decision.transition
    return (
        int(change.cause),
        change.sigma_m,
        change.ring_m,
        change.closest_m,
        _known_instant(change.closest_us),
    )


def _known_instant(instant_us: int) -> datetime | None:
    return None if instant_us == UNKNOWN_TIME_US else to_datetime(instant_us)
