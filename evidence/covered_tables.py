"""What the log covers: the columns of each table, by layout.

A payload is told by its layout: a number, kept with each batch. Where a table gains a column, a
new layout is added below; batches sealed before go on being derived by theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from evidence.control_records import CONTROL_RECORDS

LAYOUT = 2
"""The newest layout: what new batches are sealed by."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A table that the log covers.

    Attributes:
        subject: Column whose value names the chain; empty: one chain for the whole table.
        time: Column whose day chooses the key.
        columns: Names and types, in the order of the payload.
    """

    name: str
    subject: str
    time: str
    columns: tuple[tuple[str, str], ...]


def _covered(name: str, subject: str, time: str, columns: str) -> Covered:
    """Columns as ``name:type``; without a type: as PostgreSQL hands it over."""
    pairs = (column.partition(":") for column in columns.split())
    return Covered(name, subject, time, tuple((pair[0], pair[2]) for pair in pairs))


_MESSAGE = "received_at:time journal_position"
_FIRST: tuple[Covered, ...] = (
    _covered(
        "batch",
        "gateway",
        "received_at",
        "received_at:time gateway number partition journal_position messages fixes "
        "duplicate_fixes events duplicate_events receipts statuses refusals",
    ),
    _covered(
        "message",
        "device",
        "received_at",
        f"{_MESSAGE} item device topic payload signature",
    ),
    _covered(
        "event",
        "device",
        "time",
        f"time:time seq {_MESSAGE} message device type peer detail:text time_doubted",
    ),
    _covered(
        "receipt",
        "device",
        "received_at",
        f"{_MESSAGE} item message device command_id state time:time answer",
    ),
    _covered(
        "status",
        "device",
        "received_at",
        f"{_MESSAGE} item message device online time:time",
    ),
    _covered(
        "refusal",
        "device",
        "received_at",
        f"{_MESSAGE} item message device code reason array_item size_bytes sha256",
    ),
    _covered(
        "decision",
        "watch",
        "decided_at",
        "decided_at:time stream_position number onset_at:time fix_time_a:time "
        "fix_time_b:time distance_m distance_low_m distance_high_m probability "
        "time_to_contact_s after_position previous level swept watch condition_id order_id "
        "agency wearer protected tag handset rules build caseload_version cause sigma_m "
        "ring_m closest_m closest_at:time",
    ),
    _covered(
        "anomaly",
        "device",
        "decided_at",
        "decided_at:time stream_position number onset_at:time quantity count "
        "after_position kind began device companion person role agency rules build "
        "caseload_version",
    ),
    _covered(
        "device_health",
        "device",
        "decided_at",
        "decided_at:time stream_position number onset_at:time quantity after_position began "
        "kind cause device person role agency build caseload_version",
    ),
    _covered(
        "sequence_step",
        "device",
        "decided_at",
        "decided_at:time stream_position number first_seq last_seq missing opened_at:time "
        "after_position state device build",
    ),
    _covered(
        "command",
        "device",
        "decided_at",
        "decided_at:time stream_position issued_at:time interval_s after_position device "
        "command_id state reason build",
    ),
    _covered(
        "alert_change",
        "alert_id",
        "time",
        "time:time stream_position version tier alert_id id type agency actor document:text",
    ),
    _covered(
        "delivery",
        "alert_id",
        "time",
        "time:time stream_position id delivery_id alert_id change_id channel recipient "
        "state document:text",
    ),
    _covered(
        "damaged_entry",
        "stream",
        "found_at",
        "stream partition position sha256 found_at:time name reason data",
    ),
    _covered(
        "gap",
        "stream",
        "found_at",
        "stream partition kind from_position to_position found_at:time",
    ),
    _covered(
        "seal_recovery",
        "",
        "time",
        "time:time log old_log old_origin restored_size signed_size signed_root actor reason",
    ),
)
_HERS = (
    _covered(
        "choice",
        "person",
        "time",
        "time:time stream_position version asked_at:time accepted id person actor way device "
        "document:text",
    ),
    _covered(
        "digest",
        "person",
        "time",
        "time:time stream_position number items id person document:text",
    ),
)
_CASE = (
    _covered(
        "caseload_entry",
        "entry",
        "loaded_at",
        "loaded_at:time version kind entry sha256 document:text",
    ),
    _covered(
        "disclosure",
        "case_id",
        "time",
        "time:time disclosure step case_id actor purpose recipient side window_from:time "
        "window_to:time shown withheld manifest_sha256",
    ),
)
_COURSE = (
    _covered(
        "course",
        "",
        "at",
        "at:time run_at:time number stream_position ticked_at:time position upto kind after batch "
        "caseload_version detail:text",
    ),
    _covered(
        "batch_rest",
        "gateway",
        "received_at",
        "received_at:time number journal_position gateway content",
    ),
)
_CONTROL = tuple(_covered(*record) for record in CONTROL_RECORDS)
RECORDS: Mapping[int, tuple[Covered, ...]] = MappingProxyType(
    {1: _FIRST, 2: (*_FIRST, *_HERS, *_CASE, *_COURSE, *_CONTROL)}
)
"""All covered tables but the fixes, by layout."""

FIX = Covered("fix", "device", "time", ())
"""Fixes have a layout of their own: `evidence.log.leaves.FIX_PAYLOAD`."""
