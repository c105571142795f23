"""Courses of conduct in the history: what they are recognised in, and what is kept of them.

Each function runs in its caller's transaction. What is read is a function of the streams, as the
history stores them; `alerts.conduct` makes patterns of it. Acts of the time that is looked at anew
are replaced; versions of patterns are only added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import dict_row

from alerts.conduct import Act, Pattern, Subject
from alerts.conduct_acts import TAMPERING_EVENTS, Told
from alerts.decisions import AnomalyDecision, Decision
from alerts.model import Alert, AlertChange
from devices.instants import to_datetime
from devices.reports import Event, FixKind
from evidence.statements import Connection
from evidence.text import clean
from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_state import Anomaly
from geofence.levels import UNKNOWN_TIME_US, Cause, Level, Transition

SUBJECTS_LIMIT = 20_000
DECISIONS_LIMIT = 20_000
FOUND_LIMIT = 5_000
"""Anomalies, and events, of one wearer that are looked at: the newest."""

ACTS_LIMIT = 10_000
"""Acts of one subject that are looked at: the newest. At ten a day these are those of three years."""

ACCURACY_CM = 10_000
"""A fix that is less accurate, or does not say how accurate it is, is on no track of conduct."""

PATTERNS_LIMIT = 500

_LOCK = 0x636F6E64
"""Advisory lock: one look at a time, whoever takes it."""

_acts = msgspec.json.Decoder(Act)
_patterns = msgspec.json.Decoder(Pattern)
_changes = msgspec.json.Decoder(AlertChange)


class KeptAct(NamedTuple):
    """An act, and whether two tracks told of it."""

    act: Act
    from_tracks: bool


class Order(NamedTuple):
    """Whom an order names; `protected` is empty for a zone that guards nobody by name."""

    wearer: str
    protected: str
    agency: str
    profile: str


@dataclass(frozen=True, slots=True)
class KeptPattern:
    """The newest version of a pattern, and when it was kept."""

    kept_us: int
    document: str

    def pattern(self) -> Pattern:
        """What the document holds."""
        return _patterns.decode(self.document)


async def lock(connection: Connection) -> None:
    """Wait for whoever looks now; until the transaction ends nobody else does."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


async def subjects(connection: Connection, since_us: int, now_us: int) -> list[Order]:
    """Who was kept away from whom at any time since an instant."""
    cursor = await connection.execute(
        _SUBJECTS,
        {"since": to_datetime(since_us), "now": to_datetime(now_us), "limit": SUBJECTS_LIMIT},
    )
    return [Order(*row) async for row in cursor]


async def mark(connection: Connection, wearer: str) -> tuple[Any, ...]:
    """Changes when something new was decided about a wearer."""
    cursor = await connection.execute(_MARK, {"wearer": clean(wearer)})
    row = await cursor.fetchone()
    assert row is not None, "a row of two"
    return tuple(row)


async def told_of(connection: Connection, wearer: str, since_us: int, now_us: int) -> Told:
    """What the streams told of a wearer since an instant."""
    values = {
        "wearer": clean(wearer),
        "since": to_datetime(since_us),
        "now": to_datetime(now_us),
        "types": sorted(TAMPERING_EVENTS),
        "limit": FOUND_LIMIT,
        "decisions": DECISIONS_LIMIT,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_DECISIONS, values)
        decisions = [_decision(row) async for row in cursor]
        await cursor.execute(_ANOMALIES, values)
        anomalies = [_anomaly(row) async for row in cursor]
        await cursor.execute(_EVENTS, values)
        events = [Event(message=0, peer=None, detail={}, **row) async for row in cursor]
    return Told(decisions, anomalies, events)


async def alerts_of(
    connection: Connection, ids: Collection[str], since_us: int
) -> dict[str, Alert]:
    """The newest state of those of these alerts that there are."""
    cursor = await connection.execute(_ALERTS, {"ids": sorted(ids), "since": to_datetime(since_us)})
    return {name: _changes.decode(document).data async for name, document in cursor}


async def minutes_of(
    connection: Connection, person: str, from_us: int, to_us: int
) -> list[tuple[int, float, float]]:
    """One position a minute of a person: (time_us, lat, lon) in degrees, in order of time."""
    cursor = await connection.execute(
        _MINUTES,
        {
            "person": clean(person),
            "from": to_datetime(from_us),
            "to": to_datetime(to_us),
            "accuracy": ACCURACY_CM,
            "last_known": int(FixKind.LAST_KNOWN),
        },
    )
    return [(time_us, lat / 1e7, lon / 1e7) async for time_us, lat, lon in cursor]


async def kept_acts(connection: Connection, subject: Subject) -> list[KeptAct]:
    """The newest acts kept of a subject."""
    cursor = await connection.execute(
        "SELECT document::text, from_tracks FROM evidence.conduct_act "
        "WHERE wearer = %s AND protected = %s ORDER BY began_at DESC, id LIMIT %s",
        (clean(subject.wearer), clean(subject.protected), ACTS_LIMIT),
    )
    return [KeptAct(_acts.decode(document), tracks) async for document, tracks in cursor]


async def replace_acts(
    connection: Connection, subject: Subject, old: Iterable[Act], new: Sequence[KeptAct]
) -> None:
    """Keep some acts in the place of others."""
    key = (clean(subject.wearer), clean(subject.protected))
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "DELETE FROM evidence.conduct_act "
            "WHERE wearer = %s AND protected = %s AND began_at = %s AND id = %s",
            [(*key, to_datetime(act.began_us), act.id) for act in old],
        )
        await cursor.executemany(
            "INSERT INTO evidence.conduct_act (wearer, protected, began_at, id, kind, from_tracks, "
            "document) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (
                    *key,
                    to_datetime(act.began_us),
                    act.id,
                    act.kind,
                    from_tracks,
                    msgspec.json.encode(act).decode(),
                )
                for act, from_tracks in new
            ],
        )


async def kept_patterns(connection: Connection, subject: Subject) -> dict[str, Pattern]:
    """The newest version of each pattern of a subject, by id."""
    cursor = await connection.execute(
        "SELECT DISTINCT ON (pattern_id) pattern_id, document::text "
        "FROM evidence.conduct_pattern WHERE wearer = %s AND protected = %s "
        "ORDER BY pattern_id, version DESC",
        (clean(subject.wearer), clean(subject.protected)),
    )
    return {name: _patterns.decode(document) async for name, document in cursor}


async def people_of_pattern(connection: Connection, pattern_id: str) -> list[str]:
    """Whom a pattern is about: its wearer, and the person protected; none where there is no such."""
    cursor = await connection.execute(
        "SELECT wearer, protected FROM evidence.conduct_pattern WHERE pattern_id = %s "
        "ORDER BY version DESC LIMIT 1",
        (clean(pattern_id),),
    )
    row = await cursor.fetchone()
    return [person for person in row or () if person]


async def add_patterns(connection: Connection, patterns: Sequence[Pattern], now_us: int) -> None:
    """Keep new versions of patterns."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO evidence.conduct_pattern (pattern_id, version, kept_at, wearer, protected, "
            "agency, state, began_at, last_at, document) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.pattern_id,
                    one.version,
                    to_datetime(now_us),
                    clean(one.subject.wearer),
                    clean(one.subject.protected),
                    clean(one.subject.agency),
                    one.state,
                    to_datetime(one.began_us),
                    to_datetime(one.last_us),
                    msgspec.json.encode(one).decode(),
                )
                for one in patterns
            ],
        )


def _decision(row: dict[str, Any]) -> Decision:
    own = {name: row.pop(name) for name in _OWN}
    explained = row["cause"] is not None
    known = {name: value for name, value in row.items() if value is not None}
    for name in ("onset_us", "fix_time_a_us", "fix_time_b_us", "closest_us"):
        known.setdefault(name, UNKNOWN_TIME_US)
    for name, kind in (("previous", Level), ("level", Level), ("cause", Cause)):
        if name in known:
            known[name] = kind(known[name])
    return Decision(transition=Transition(**known), explained=explained, **own)


def _anomaly(row: dict[str, Any]) -> AnomalyDecision:
    own = {name: row.pop(name) for name in _MADE}
    row["kind"] = Anomaly(row["kind"])
    onset_us = UNKNOWN_TIME_US if row["onset_us"] is None else row["onset_us"]
    return AnomalyDecision(change=AnomalyChange(**row | {"onset_us": onset_us}), **own)


_SHARED = ("agency", "rules", "build", "caseload_version", "after_position")
_OWN = ("condition_id", "order_id", "wearer", "protected", "tag", "handset", *_SHARED)
_MADE = ("person", "role", *_SHARED)

_SUBJECTS = """
    SELECT w.id, coalesce(p.id, ''), min(a.id), min(o.profile)
    FROM caseload.court_order o
    JOIN caseload.agency a USING (agency_no)
    JOIN caseload.person w ON w.person_no = o.wearer_no
    JOIN caseload.condition c USING (order_no)
    LEFT JOIN caseload.person p ON p.person_no = c.protected_no
    WHERE c.type <> 'inclusion' AND o.valid_from <= %(now)s
        AND (o.valid_to IS NULL OR o.valid_to > %(since)s)
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s
"""
_MARK = """
    SELECT (SELECT max(decided_at) FROM evidence.decision WHERE wearer = %(wearer)s),
        (SELECT max(decided_at) FROM evidence.anomaly WHERE person = %(wearer)s)
"""
_DECISIONS = """
    SELECT watch, number, previous, level, cause, swept, distance_m, distance_low_m,
        distance_high_m, probability, time_to_contact_s, sigma_m, ring_m, closest_m,
        evidence.us(closest_at) AS closest_us, evidence.us(onset_at) AS onset_us,
        evidence.us(decided_at) AS decided_at_us, evidence.us(fix_time_a) AS fix_time_a_us,
        evidence.us(fix_time_b) AS fix_time_b_us, condition_id, order_id, wearer, protected, tag,
        handset, agency, rules, build, caseload_version, after_position
    FROM evidence.decision
    WHERE wearer = %(wearer)s AND decided_at >= %(since)s AND decided_at <= %(now)s
    ORDER BY decided_at DESC LIMIT %(decisions)s
"""
_ANOMALIES = """
    SELECT device AS track, companion, kind, began, evidence.us(onset_at) AS onset_us,
        evidence.us(decided_at) AS decided_at_us, quantity, count, number, person, role, agency,
        rules, build, caseload_version, after_position
    FROM evidence.anomaly
    WHERE person = %(wearer)s AND decided_at >= %(since)s AND decided_at <= %(now)s
    ORDER BY decided_at DESC LIMIT %(limit)s
"""
_EVENTS = """
    SELECT device, seq, evidence.us(time) AS time_us, type, time_doubted
    FROM evidence.events_of(%(wearer)s, %(since)s, %(now)s)
    WHERE type = ANY (%(types)s) ORDER BY time DESC LIMIT %(limit)s
"""
_ALERTS = """
    SELECT DISTINCT ON (alert_id) alert_id, document::text
    FROM evidence.alert_change WHERE alert_id = ANY (%(ids)s) AND time >= %(since)s
    ORDER BY alert_id, version DESC
"""
_MINUTES = """
    SELECT DISTINCT ON (date_bin('1 minute', time, 'epoch'))
        evidence.us(time), lat_e7, lon_e7
    FROM evidence.fixes_of(%(person)s, %(from)s, %(to)s)
    WHERE accuracy_cm > 0 AND accuracy_cm <= %(accuracy)s AND kind <> %(last_known)s
    ORDER BY date_bin('1 minute', time, 'epoch'), time DESC
"""

LISTED = """
    SELECT evidence.us(kept_at) AS kept_us,
        jsonb_set(document::jsonb, '{acts}', '[]')::text AS document
    FROM (
        SELECT DISTINCT ON (pattern_id) kept_at, document, state, last_at
        FROM evidence.conduct_pattern ORDER BY pattern_id, version DESC
    ) newest
    ORDER BY state = 'going_on' DESC, last_at DESC LIMIT %(limit)s
"""
"""The newest version of each pattern, without its acts (they are most of it): those that go on, then
the others, the last first."""

SHOWN = """
    SELECT evidence.us(kept_at) AS kept_us, document::text AS document
    FROM evidence.conduct_pattern WHERE pattern_id = %(pattern)s
    ORDER BY version DESC LIMIT 1
"""
