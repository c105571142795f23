"""What has to go: records whose time is over, and what somebody asked to have erased.

Retention goes day by day, and each day is an erasure with a record of its own. It is a job of ours
and not TimescaleDB's, which would drop what is under hold, and with the rows what the log needs.
Pieces of tables are dropped when nothing is left in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from devices.instants import to_datetime, to_iso
from evidence import holds
from evidence.caseload_keeping import Struck, has_caseload, retain_caseload
from evidence.covered import covered_tables
from evidence.covered_tables import Covered
from evidence.erasing import Erased, ErasureError, NothingToEraseError, Order, erase
from evidence.holds import OF_DEVICES, Connection, Hold
from evidence.keeping import MESSAGE, Interval, MessageKey, Plan, Windows, within, without
from evidence.partitions import DAY_US
from evidence.selection import FOREVER_US
from evidence.states import drop_states, note_erased
from evidence.staying import staying
from evidence.traces import REST, drop_old, repeats_of

POSITIONS = (
    *("fix", "event", "status", "receipt", "refusal", "message", "sequence_step", "batch"),
    *(REST, "damaged_entry"),
)
DECISIONS = ("decision", "anomaly", "device_health", "command")
ALERTS = ("alert_change", "delivery", "digest")

DROP_LOCK_LIMIT = "2s"
"""A piece whose table is busy for longer is dropped at the next run."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many days each kind of record is kept by its own time; 0: for ever."""

    positions_days: int = 0
    decisions_days: int = 0
    alerts_days: int = 0
    caseload_days: int = 0

    def cutoffs(self, now_us: int) -> dict[str, int]:
        """By table: the day before whose beginning everything goes."""
        kinds = (
            (POSITIONS, self.positions_days),
            (DECISIONS, self.decisions_days),
            (ALERTS, self.alerts_days),
        )
        today = now_us // DAY_US
        return {table: today - days for tables, days in kinds if days for table in tables}


@dataclass(slots=True)
class Day:
    """What goes, or went, of one day.

    Attributes:
        day: Since 1970-01-01.
        rows: By table.
        held: Rows that stay since they are under hold.
    """

    day: int
    rows: dict[str, int] = field(default_factory=dict)
    held: int = 0


@dataclass(slots=True)
class Retained:
    """What a run did, or would do.

    Attributes:
        dropped: Pieces of tables that were empty.
        made: Rows of what was made from the record and is not covered by the log, by table.
        caseload: What went of the caseload.
    """

    days: list[Day] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    caseload: Struck = field(default_factory=Struck)


async def retain(
    connection: Connection, policy: Policy, by: str, now_us: int, *, dry_run: bool
) -> Retained:
    """Erase what is older than the policy keeps, but nothing under hold.

    Args:
        connection: In autocommit mode.
        policy: How long.
        by: Who or what runs it, for the record.
        now_us: The time.
        dry_run: Only count.

    Raises:
        ErasureError: What is stored is not what was sealed, or something was put under hold since the day
            was looked at: nothing of that day goes.
        psycopg.Error: The database does not answer; days before that are done.
    """
    done = Retained()
    cutoffs = policy.cutoffs(now_us)
    for day in await _days(connection, cutoffs):
        tables = [table for table, cutoff in cutoffs.items() if day < cutoff]
        # Anew for each day: a run can take hours, and what is held meanwhile is held.
        found = await _day_plan(connection, tables, day, await holds.in_force(connection))
        report = await _counted(connection, found, day)
        if report.rows or report.held:
            done.days.append(report)
        if report.rows and not dry_run:
            window = (day * DAY_US, (day + 1) * DAY_US)
            reason = f"kept for as long as the policy says: {policy}"
            order = Order("retention", by, by, "*", *window, reason)
            try:
                report.rows = (await erase(connection, found.plan, order, now_us)).rows
            except NothingToEraseError:
                report.rows = {}  # it has just come in and is not sealed yet: the next run has it
    done.made = await drop_old(connection, cutoffs, dry_run=dry_run)
    if not dry_run:
        for table, cutoff in cutoffs.items():
            done.dropped += await _drop_empty(connection, table, cutoff)
    days = policy.caseload_days
    done.caseload = await retain_caseload(connection, days, by, now_us, dry_run=dry_run)
    return done


async def erase_subject(
    connection: Connection, subject: str, window: Interval, order: Order, now_us: int
) -> Erased:
    """Erase what the devices sent that a person carried, and what is known of these devices.

    Raises:
        ErasureError: Something of it is under hold, or was put under hold meanwhile; nothing is there, or
            the log does not fit.
    """
    carried = await holds.carried(connection, [subject], window)
    windows = dict.fromkeys(OF_DEVICES, carried)
    in_force = await holds.in_force(connection)
    kept = await holds.held(connection, in_force)
    _refuse_held(windows, kept, in_force)
    extra = await holds.messages_of(connection, windows)
    earliest_us = min(key[0] for keys in ({(window[0], 0, 0)}, *extra.values()) for key in keys)
    since = (earliest_us, FOREVER_US)  # a clock that is ahead: sent before its own time, and again
    going = await repeats_of(connection, carried, carried, since)
    held = await repeats_of(connection, kept.get("fix", {}), kept.get("event", {}), since)
    windows[REST] = {
        gateway: without(some, held.rests.get(gateway, ())) for gateway, some in going.rests.items()
    }
    for device, repeating in going.messages.items():
        extra.setdefault(device, set()).update(repeating)
    kept_messages = await holds.messages_of(connection, kept)
    plan = Plan(
        windows,
        {device: frozenset(keys) for device, keys in extra.items()},
        frozenset().union(*kept_messages.values(), *held.messages.values()),
        frozenset(hold.hold_id for hold in in_force),
    )
    async with connection.transaction():
        done = await erase(connection, plan, order, now_us)
        await note_erased(connection, done.erasure_id, carried)
        if states := await drop_states(connection, carried, earliest_us):
            done.rows["worker_state"] = states
    return done


async def scrub(connection: Connection) -> None:
    """Have the server free the room of what was erased, so that it is written over.

    To be called after an erasure, in autocommit mode.
    """
    for table in ("seal_key", "seal_kept_salt", REST, "worker_state", *OF_DEVICES):
        await connection.execute(sql.SQL("VACUUM evidence.{}").format(sql.Identifier(table)))
    if await has_caseload(connection):
        await connection.execute("VACUUM caseload.caseload_version, caseload.person")


def _refuse_held(windows: Windows, kept: Windows, in_force: Sequence[Hold]) -> None:
    for table, by_subject in windows.items():
        for subject, parts in by_subject.items():
            if any(within(kept.get(table, {}).get(subject, ()), part) for part in parts):
                names = ", ".join(
                    f"{hold.hold_id} ({hold.case}: {hold.reason})" for hold in in_force
                )
                raise ErasureError(
                    f"Something of it is under hold, nothing was erased. Holds in force: {names}. "
                    "Name another window, or have the hold released."
                )


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored of a day: what goes of it, and all windows of it."""

    plan: Plan
    everything: Windows


async def _days(connection: Connection, cutoffs: Mapping[str, int]) -> list[int]:
    """Days that have something whose time is over."""
    found: set[int] = set()
    for table in _tables(cutoffs):
        cursor = await connection.execute(
            sql.SQL(
                "SELECT DISTINCT (floor(evidence.us({time}) / {day}::numeric))::int4 "
                "FROM evidence.{table} WHERE {time} < %s"
            ).format(
                time=sql.Identifier(table.time),
                day=sql.Literal(DAY_US),
                table=sql.Identifier(table.name),
            ),
            (to_datetime(cutoffs[table.name] * DAY_US),),
        )
        found.update(row[0] for row in await cursor.fetchall())
    return sorted(found)


async def _day_plan(
    connection: Connection, tables: Iterable[str], day: int, in_force: Sequence[Hold]
) -> _Found:
    window = (day * DAY_US, (day + 1) * DAY_US)
    kept: Windows = await holds.held(connection, in_force)
    stays = await staying(connection, window, kept)
    kept = {**kept, **stays.windows}
    everything: dict[str, dict[str, tuple[Interval, ...]]] = {}
    going: dict[str, dict[str, tuple[Interval, ...]]] = {}
    for table in _tables(tables):
        cursor = await connection.execute(
            sql.SQL(
                "SELECT DISTINCT coalesce({subject}, '') FROM evidence.{table} "
                "WHERE {time} >= %s AND {time} < %s"
            ).format(
                subject=sql.Identifier(table.subject),
                table=sql.Identifier(table.name),
                time=sql.Identifier(table.time),
            ),
            (to_datetime(window[0]), to_datetime(window[1])),
        )
        for (subject,) in await cursor.fetchall():
            everything.setdefault(table.name, {})[subject] = (window,)
            parts = without((window,), kept.get(table.name, {}).get(subject, ()))
            if parts:
                going.setdefault(table.name, {})[subject] = parts
    known = frozenset(hold.hold_id for hold in in_force)
    return _Found(Plan(going, kept=stays.messages, holds=known), everything)


async def _counted(connection: Connection, found: _Found, day: int) -> Day:
    """How many rows go and stay."""
    report = Day(day)
    for name, by_subject in found.everything.items():
        all_rows = await _count(connection, name, by_subject)
        kept = found.plan.kept if name == MESSAGE else frozenset()
        going = await _count(connection, name, found.plan.windows.get(name, {}), kept)
        report.held += all_rows - going
        if going:
            report.rows[name] = going
    return report


async def _count(
    connection: Connection,
    name: str,
    by_subject: Mapping[str, tuple[Interval, ...]],
    kept: Collection[MessageKey] = (),
) -> int:
    [table] = _tables([name])
    windows = [(subject, *part) for subject, parts in by_subject.items() for part in parts]
    cursor = await connection.execute(
        sql.SQL(
            "SELECT count(*) FROM evidence.{table} JOIN unnest(%s::text[], %s::timestamptz[], "
            "%s::timestamptz[]) AS w (subject, begins, ends) ON coalesce({subject}, '') = w.subject "
            "AND {time} >= w.begins AND {time} < w.ends {kept}"
        ).format(
            table=sql.Identifier(name),
            subject=sql.Identifier(table.subject),
            time=sql.Identifier(table.time),
            kept=_NOT_KEPT if kept else sql.SQL(""),
        ),
        (
            [window[0] for window in windows],
            [to_datetime(window[1]) for window in windows],
            [to_datetime(window[2]) for window in windows],
            *([[key[index] for key in kept] for index in range(3)] if kept else ()),
        ),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


_NOT_KEPT = sql.SQL(
    "AND (evidence.us(received_at), journal_position, item) "
    "NOT IN (SELECT * FROM unnest(%s::int8[], %s::int8[], %s::int4[]))"
)


def _tables(names: Iterable[str]) -> list[Covered]:
    wanted = set(names)
    return [table for table in covered_tables() if table.name in wanted]


async def _drop_empty(connection: Connection, table: str, cutoff: int) -> list[str]:
    """Drop the pieces of a table that end before a day and hold nothing."""
    dropped = []
    cursor = await connection.execute(
        "SELECT piece, hypertable FROM evidence.pieces_before(%s, %s)",
        (table, to_datetime(cutoff * DAY_US)),
    )
    for piece, hypertable in await cursor.fetchall():
        if not await _is_empty(connection, piece):
            continue
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{DROP_LOCK_LIMIT}'".encode())
                # What somebody is just storing is seen once he has ended, and nobody stores after that.
                if not hypertable:  # in the order in which writers lock, so that nobody is stuck
                    await _lock(connection, f"ONLY evidence.{table}")
                await _lock(connection, piece)
                if await _is_empty(connection, piece):
                    drop = "SELECT evidence.drop_piece(%s)" if hypertable else "DROP TABLE {}"
                    await connection.execute(
                        sql.SQL(drop).format(sql.SQL(piece)), [piece] if hypertable else None
                    )
                    dropped.append(str(piece))
        except psycopg.errors.LockNotAvailable:
            continue  # at the next run
    return dropped


async def _lock(connection: Connection, table: str) -> None:
    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())


async def _is_empty(connection: Connection, piece: str) -> bool:
    """Whether a piece, named as the server quotes it, holds nothing."""
    found = await connection.execute(f"SELECT FROM {piece} LIMIT 1".encode())
    return await found.fetchone() is None


def text_of(day: Day) -> str:
    """A day of a run, for people."""
    rows = ", ".join(f"{count} of {table}" for table, count in sorted(day.rows.items()))
    date = to_iso(day.day * DAY_US)[:10]
    return f"{date}: {rows or 'nothing'}" + (f"; {day.held} stay under hold" if day.held else "")
