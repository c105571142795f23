"""Reads the history, for the console and for counting. Every answer has a limit.

A read opens a connection of its own, read-only and short, so it neither waits for the writer nor
makes it wait, and a restart of the server needs no care.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime
from devices.reports import ORDINARY
from evidence import choices, conduct, looks, refused, turned_away, unassigned
from evidence.choices import StoredChoice
from evidence.conduct import KeptPattern
from evidence.looks import StoredLook
from evidence.refused import DeviceRefusals, RefusalCount, RefusedMessage
from evidence.text import clean
from evidence.turned_away import Stranger
from evidence.unassigned import HeardDevice

READS_AT_ONCE = 4
READ_LIMIT_S = 10
CONNECT_LIMIT_S = 5
TRACK_LIMIT = 100_000
"""Fixes in one answer: a fix a second for a day."""

TRACK_SPAN_US = 31 * 86_400_000_000
"""The longest window of one track."""

CHANGES_LIMIT = 1_000
_SESSION = f"""
    SET application_name = 'cordon history';
    SET default_transaction_read_only = on;
    SET timezone = 'UTC';
    SET statement_timeout = '{READ_LIMIT_S}s';
"""

RowT = TypeVar("RowT")


class HistoryUnavailableError(RuntimeError):
    """The history cannot be read now."""


class HistoryLimitError(ValueError):
    """More was asked for than one answer may hold."""


@dataclass(frozen=True, slots=True)
class TrackFix:
    """A stored fix, in the units of `devices.reports.FIX_DTYPE`."""

    time_us: int
    seq: int
    received_us: int
    lat_e7: int
    lon_e7: int
    accuracy_cm: int
    speed_cms: int
    course_cdeg: int
    altitude_dm: int
    satellites: int
    hdop_c: int
    kind: int
    battery_pct: int
    charging: int
    buffered: bool


@dataclass(frozen=True, slots=True)
class PersonFix(TrackFix):
    """A fix of a person: made by whichever device the person carried then."""

    device: str


@dataclass(frozen=True, slots=True)
class AlertStep:
    """A change of an alert, or an attempt to tell someone of it.

    Attributes:
        kind: CloudEvent type of a change; ``delivery`` for an attempt.
        document: The JSON as it was sent.
    """

    time_us: int
    kind: str
    document: str


@dataclass(frozen=True, slots=True)
class AnomalyStep:
    """An anomaly of a device began or ended; fields as in `geofence.anomaly_changes`.

    Attributes:
        kind: Value of `geofence.anomaly_state.Anomaly`.
    """

    decided_us: int
    onset_us: int | None
    device: str
    companion: str
    kind: int
    began: bool
    quantity: float
    count: int
    number: int


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """What is in the database of what was received since an instant, counted row by row."""

    messages: int
    fixes: int
    events: int
    refusals: int


class Reader:
    """Read access to the history.

    Every method raises `HistoryUnavailableError` when the database does not answer in time.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._slots = asyncio.Semaphore(READS_AT_ONCE)

    async def recent_refusals(self, limit: int = 100) -> list[RefusedMessage]:
        """The newest refusals, newest first.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `evidence.refused.REFUSALS_LIMIT`.
        """
        _within("refusals", limit, refused.REFUSALS_LIMIT)
        return await self._read(
            RefusedMessage, refused.NEWEST, {"limit": limit, "cut": refused.PREVIEW_BYTES}
        )

    async def refusal_summary(self, since_us: int = 0) -> list[RefusalCount]:
        """How often each reason was met since an instant, the most frequent first."""
        return await self._read(
            RefusalCount,
            refused.SUMMARY,
            {"since": to_datetime(since_us), "limit": refused.REFUSAL_CODES_LIMIT},
        )

    async def refusals_by_device(self, limit: int = 100) -> list[DeviceRefusals]:
        """The newest refusals by device and reason, the one met last first; no ordinary ones.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `evidence.refused.REFUSALS_LIMIT`.
        """
        _within("devices and reasons", limit, refused.REFUSALS_LIMIT)
        values = {
            "scanned": refused.REFUSALS_SCANNED,
            "limit": limit,
            "ordinary": list(ORDINARY),
        }
        return await self._read(DeviceRefusals, refused.BY_DEVICE, values)

    async def unassigned(
        self, assigned: Collection[str], now_us: int, limit: int = 100
    ) -> list[HeardDevice]:
        """The devices heard of late that nobody carries, the one heard last first.

        What they send is stored like everything else. A device of which nothing could be accepted
        is not among them: it is among the refusals.

        Args:
            assigned: Ids of the devices that somebody carries.
            now_us: The present instant.
            limit: Most devices to list.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `unassigned.MOST_LISTED`.
        """
        _within("devices", limit, unassigned.MOST_LISTED)
        values = unassigned.values(assigned, now_us, limit)
        return await self._read(HeardDevice, unassigned.QUERY, values)

    async def looks(
        self, person: str, from_us: int, to_us: int, limit: int = 100
    ) -> list[StoredLook]:
        """Who read where a person is or was between two instants, the newest first.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `evidence.looks.LOOKS_LIMIT`.
        """
        _within("readings", limit, looks.LOOKS_LIMIT)
        return await self._read(
            StoredLook, looks.QUERY, looks.values(person, from_us, to_us, limit)
        )

    async def choices(self, person: str, limit: int = 100) -> list[StoredChoice]:
        """Every choice and refusal of a person, the newest first.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `evidence.choices.CHOICES_LIMIT`.
        """
        _within("choices", limit, choices.CHOICES_LIMIT)
        values = {"person": clean(person), "limit": limit}
        return await self._read(StoredChoice, choices.QUERY, values)

    async def strangers(self, now_us: int) -> list[Stranger]:
        """Names under which somebody knocked of late and was not let in, the last one first."""
        return await self._read(Stranger, turned_away.QUERY, turned_away.values(now_us))

    async def track(self, device: str, from_us: int, to_us: int) -> list[TrackFix]:
        """The fixes of a device from an instant to before another, by fix time.

        Raises:
            HistoryLimitError: The window is longer than `TRACK_SPAN_US`, or holds more than
                `TRACK_LIMIT` fixes: an answer cut short would look like silence.
        """
        return await self._track(TrackFix, _TRACK, device, from_us, to_us)

    async def person_track(self, person: str, from_us: int, to_us: int) -> list[PersonFix]:
        """The fixes a person made, by the assignments as they are known now; else as `track`.

        A fix belongs to whoever carried its device at its own time, however late it came.

        Raises:
            HistoryLimitError: As `track`.
        """
        return await self._track(PersonFix, _PERSON_TRACK, person, from_us, to_us)

    async def _track(
        self, kind: type[RowT], query: str, of: str, from_us: int, to_us: int
    ) -> list[RowT]:
        if to_us - from_us > TRACK_SPAN_US:
            raise HistoryLimitError("a track is read for at most 31 days at a time")
        values = {
            "of": clean(of),
            "from": to_datetime(from_us),
            "to": to_datetime(to_us),
            "limit": TRACK_LIMIT + 1,
        }
        fixes = await self._read(kind, query, values)
        if len(fixes) > TRACK_LIMIT:
            raise HistoryLimitError(
                f"more than {TRACK_LIMIT} fixes in this window; ask for a shorter one"
            )
        return fixes

    async def alert_history(self, alert_id: str) -> list[AlertStep]:
        """What became of an alert, oldest first: its changes, and who was told how.

        Raises:
            HistoryLimitError: There are more than `CHANGES_LIMIT` steps.
        """
        steps = await self._read(
            AlertStep, _ALERT_HISTORY, {"alert_id": alert_id, "limit": CHANGES_LIMIT + 1}
        )
        if len(steps) > CHANGES_LIMIT:
            raise HistoryLimitError(f"this alert has more than {CHANGES_LIMIT} steps")
        return steps

    async def anomalies(self, device: str, from_us: int, to_us: int) -> list[AnomalyStep]:
        """What was wrong with a device, by when it was decided, from an instant to before another.

        Raises:
            HistoryLimitError: There are more than `CHANGES_LIMIT` beginnings and ends.
        """
        values = {
            "device": clean(device),
            "from": to_datetime(from_us),
            "to": to_datetime(to_us),
            "limit": CHANGES_LIMIT + 1,
        }
        steps = await self._read(AnomalyStep, _ANOMALIES, values)
        if len(steps) > CHANGES_LIMIT:
            raise HistoryLimitError(f"more than {CHANGES_LIMIT} anomalies in this window")
        return steps

    async def patterns(self, limit: int = 100) -> list[KeptPattern]:
        """Courses of conduct in their newest version, without acts: those that go on, then the others.

        Raises:
            HistoryLimitError: `limit` is not within 1 and `conduct.PATTERNS_LIMIT`.
        """
        _within("courses of conduct", limit, conduct.PATTERNS_LIMIT)
        return await self._read(KeptPattern, conduct.LISTED, {"limit": limit})

    async def pattern(self, pattern_id: str) -> KeptPattern | None:
        """A course of conduct in its newest version; None when there is none of this id."""
        found = await self._read(KeptPattern, conduct.SHOWN, {"pattern": clean(pattern_id)})
        return found[0] if found else None

    async def count_stored(self, since_received_us: int) -> StoredCounts:
        """Count what was received at or after an instant and is stored."""
        [counts] = await self._read(
            StoredCounts, _COUNT_STORED, {"since": to_datetime(since_received_us)}
        )
        return counts

    async def _read(self, kind: type[RowT], query: str, values: Mapping[str, Any]) -> list[RowT]:
        try:
            async with (
                self._slots,
                asyncio.timeout(READ_LIMIT_S + CONNECT_LIMIT_S),
                await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
                ) as connection,
                connection.cursor(row_factory=class_row(kind)) as cursor,
            ):
                await connection.execute(_SESSION)
                await cursor.execute(query.encode(), values)
                return await cursor.fetchall()
        except (psycopg.Error, TimeoutError) as error:
            raise HistoryUnavailableError(
                "The history cannot be read now: PostgreSQL is away, too slow, or not set up. "
                "Alerts go on, and what is received meanwhile is stored when it is back. "
                f"({type(error).__name__})"
            ) from error


def _within(what: str, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise HistoryLimitError(f"ask for 1 to {limit} {what}, not {count}")


_FIX = """evidence.us(time) AS time_us, seq, evidence.us(received_at) AS received_us, lat_e7, lon_e7,
        accuracy_cm, speed_cms, course_cdeg, altitude_dm, satellites, hdop_c, kind, battery_pct,
        charging, buffered"""

_TRACK = """
    SELECT <fix>
    FROM evidence.fix WHERE device = %(of)s AND time >= %(from)s AND time < %(to)s
    ORDER BY time, seq LIMIT %(limit)s
""".replace("<fix>", _FIX)

_PERSON_TRACK = """
    SELECT <fix>, device
    FROM evidence.fixes_of(%(of)s, %(from)s, %(to)s)
    ORDER BY time, device, seq LIMIT %(limit)s
""".replace("<fix>", _FIX)

_ALERT_HISTORY = """
    SELECT evidence.us(time) AS time_us, kind, document::text AS document
    FROM (
        SELECT time, stream_position, type AS kind, document FROM evidence.alert_change
        WHERE alert_id = %(alert_id)s
        UNION ALL
        SELECT time, stream_position, 'delivery', document FROM evidence.delivery
        WHERE alert_id = %(alert_id)s
    ) steps
    ORDER BY time, stream_position LIMIT %(limit)s
"""

_ANOMALIES = """
    SELECT evidence.us(decided_at) AS decided_us, evidence.us(onset_at) AS onset_us, device,
        companion, kind, began, quantity, count, number
    FROM evidence.anomaly
    WHERE device = %(device)s AND decided_at >= %(from)s AND decided_at < %(to)s
    ORDER BY decided_at, stream_position, number, began LIMIT %(limit)s
"""

_COUNT_STORED = """
    SELECT
        (SELECT count(*) FROM evidence.message WHERE received_at >= %(since)s) AS messages,
        (SELECT count(*) FROM evidence.fix WHERE received_at >= %(since)s) AS fixes,
        (SELECT count(*) FROM evidence.event WHERE received_at >= %(since)s) AS events,
        (SELECT count(*) FROM evidence.refusal WHERE received_at >= %(since)s) AS refusals
"""
