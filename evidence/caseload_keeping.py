"""How long versions of the caseload are kept, and the names in those that have to stay.

A version goes when it has not been in force for as long as the policy says and nothing stored refers
to it: no decision, no pack, no hold, no time that can be replayed. What has to stay keeps ids, zones
and times, which a replay needs, and loses the names of people of whom nothing else is stored.

All versions up to the newest that the log has taken over were sealed part by part
(`evidence.caseload_entry`); those entries hold no names of people, and stay.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from devices.instants import to_datetime
from devices.store import strike_names
from evidence.covered import covered_tables
from evidence.erasures import CASELOAD, retained_from_us
from evidence.holds import OF_DEVICES, let_none_be_placed
from evidence.partitions import DAY_US
from evidence.text import clean

Connection = psycopg.AsyncConnection


@dataclass(frozen=True, slots=True)
class Struck:
    """What went of the caseload, or would go.

    Attributes:
        deleted: Versions.
        people: Whose names are struck out.
        versions: That stay, out of which they are struck, the one in force included.
    """

    deleted: int = 0
    people: int = 0
    versions: int = 0

    def __bool__(self) -> bool:
        return bool(self.deleted or self.versions)

    def __str__(self) -> str:
        return (
            f"{self.deleted} versions of the caseload deleted; names of {self.people} people struck "
            f"out of {self.versions} that stay"
        )


async def retain_caseload(
    connection: Connection, days: int, by: str, now_us: int, *, dry_run: bool
) -> Struck:
    """Delete versions and strike out names whose time is over, in one transaction with its record.

    To be run after the retention of what refers to them.

    Args:
        connection: In autocommit mode, as the owner of the tables.
        days: How long; 0: for ever.
        by: Who or what runs it, for the record.
        now_us: The time.
        dry_run: Only count.

    Raises:
        psycopg.Error: The database does not answer; nothing has changed.
    """
    if not days:
        return Struck()
    cutoff = to_datetime((now_us // DAY_US - days) * DAY_US)
    async with connection.transaction():
        await let_none_be_placed(connection)
        if not await has_caseload(connection):
            return Struck()
        # Savers wait, as for each other.
        await connection.execute("LOCK TABLE caseload.caseload_version IN EXCLUSIVE MODE")
        values = {"cutoff": cutoff, "retained": to_datetime(await retained_from_us(connection))}
        going = [row[0] for row in await _all(connection, _GOING, values)]
        people = await _people_gone(connection, cutoff)
        named = await _all(connection, _NAMED, {"people": people, "going": going})
        done = Struck(len(going), len({row[1] for row in named}), len({row[0] for row in named}))
        if done and not dry_run:
            [first] = (
                await _all(connection, _FIRST, {"touched": [*going, *(r[0] for r in named)]})
            )[0]
            await connection.execute(_DELETE, (going,))
            await strike_names(connection, people)
            await connection.execute(_STRIKE, {"people": people})
            await _record(connection, done, (days, by), (first, cutoff), now_us)
    return done


async def has_caseload(connection: Connection) -> bool:
    """Whether there is a caseload in this database, of this version."""
    [[there]] = await _all(
        connection, "SELECT to_regclass('caseload.erased_place') IS NOT NULL", {}
    )
    return bool(there)


async def _people_gone(connection: Connection, cutoff: datetime) -> list[str]:
    """People who have a name, whom nothing binds or protects any more, and of whom nothing is stored."""
    tables = [table for table in covered_tables() if table.name in OF_DEVICES]
    carried = sql.SQL(" OR ").join(
        sql.SQL(
            "EXISTS (SELECT FROM evidence.{table} r WHERE r.device = d.id AND r.{time} >= a.valid_from "
            "AND r.{time} < coalesce(a.valid_to, 'infinity'))"
        ).format(table=sql.Identifier(table.name), time=sql.Identifier(table.time))
        for table in tables
    )
    cursor = await connection.execute(sql.SQL(_GONE).format(carried=carried), {"cutoff": cutoff})
    return [row[0] for row in await cursor.fetchall()]


async def _record(
    connection: Connection,
    done: Struck,
    policy: tuple[int, str],
    window: tuple[datetime, datetime],
    now_us: int,
) -> None:
    days, by = policy
    await connection.execute(
        "INSERT INTO evidence.erasure VALUES (%s, %s, 'retention', %s, %s, %s, %s, %s, %s, 0, %s, %s)",
        (
            uuid4(),
            to_datetime(now_us),
            clean(by),
            clean(by),
            CASELOAD,
            window[0],
            max(window),
            f"kept for {days} days: {done}",
            done.deleted,
            hashlib.sha256().digest(),
        ),
    )


async def _all(connection: Connection, query: str, values: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values)).fetchall()


_GOING = """
    WITH lasting AS (
        SELECT version, loaded_at, lead(loaded_at) OVER (ORDER BY version) AS ended_at
        FROM caseload.caseload_version),
    base AS (
        SELECT least((SELECT run_at FROM evidence.worker_state ORDER BY ticked_at LIMIT 1),
            (SELECT min(run_at) FROM evidence.course WHERE kind = 'started'
                AND detail ->> 'mark' IS NULL AND run_at >= %(retained)s)) AS run_at),
    used AS (
        SELECT caseload_version FROM evidence.decision UNION SELECT caseload_version FROM evidence.anomaly
        UNION SELECT caseload_version FROM evidence.device_health
        UNION SELECT c.caseload_version FROM evidence.course c, base WHERE c.run_at >= base.run_at)
    SELECT version FROM lasting v
    WHERE ended_at < %(cutoff)s AND version <= (SELECT version FROM evidence.caseload_kept)
        AND NOT EXISTS (SELECT FROM used u WHERE u.caseload_version = v.version::text)
        AND NOT EXISTS (SELECT FROM evidence.hold_in_force h
            WHERE h.from_at < v.ended_at AND h.to_at > v.loaded_at)
        AND NOT EXISTS (SELECT FROM evidence.disclosure d
            WHERE d.window_from < v.ended_at AND d.window_to > v.loaded_at
            OR d.window_to > v.loaded_at AND EXISTS (SELECT FROM evidence.caseload_entry e
                WHERE e.version = v.version
                AND (e.entry = 'order/' || d.case_id OR e.document ->> 'order' = d.case_id)))
    ORDER BY 1
"""
"""Versions that go. A replay can begin at the oldest state, or where a run began from nothing."""

_GONE = """
    WITH present AS (
        SELECT unnest(ARRAY[wearer, protected]) AS id FROM evidence.decision
        UNION SELECT person FROM evidence.anomaly UNION SELECT person FROM evidence.device_health
        UNION SELECT unnest(ARRAY[document -> 'data' ->> 'wearer', document -> 'data' ->> 'protected'])
            FROM evidence.alert_change
        UNION SELECT person FROM evidence.digest
        UNION SELECT unnest(ARRAY[wearer, protected]) FROM evidence.conduct_act
        UNION SELECT unnest(ARRAY[wearer, protected]) FROM evidence.conduct_pattern
        UNION SELECT unnest(people) FROM evidence.hold_in_force),
    lasting AS (
        SELECT document, loaded_at, lead(loaded_at, 1, 'infinity') OVER (ORDER BY version) AS ended_at
        FROM caseload.caseload_version),
    recent AS (SELECT document FROM lasting WHERE ended_at >= %(cutoff)s),
    bound AS (
        SELECT unnest(ARRAY[o ->> 'wearer', c ->> 'protected']) AS id
        FROM recent, jsonb_array_elements(document -> 'orders') o
            LEFT JOIN LATERAL jsonb_array_elements(o -> 'conditions') c ON true
        WHERE coalesce((o ->> 'valid_to')::timestamptz, 'infinity') >= %(cutoff)s
        UNION SELECT a ->> 'person' FROM recent, jsonb_array_elements(document -> 'assignments') a
        WHERE coalesce((a ->> 'to')::timestamptz, 'infinity') >= %(cutoff)s
        UNION SELECT n.id FROM evidence.overlay v CROSS JOIN LATERAL unnest(evidence.people_of_case(v."case")) n (id)),
    known AS (
        SELECT n ->> 'id' AS id FROM lasting, jsonb_array_elements(document -> 'people') n
        WHERE loaded_at < %(cutoff)s)
    SELECT p.id FROM caseload.person p
    WHERE EXISTS (SELECT FROM known WHERE known.id = p.id)
        AND NOT EXISTS (SELECT FROM present WHERE present.id = p.id)
        AND NOT EXISTS (SELECT FROM bound WHERE bound.id = p.id)
        AND NOT EXISTS (SELECT FROM caseload.assignment a JOIN caseload.device d USING (device_no)
            WHERE a.person_no = p.person_no AND ({carried}))
    ORDER BY 1
"""
"""People whose names go: those known before, and bound by, protected by and carrying nothing since.

Nobody is ever taken out of `caseload.person`. `recent`: versions in force at some time since."""

_NAMED = """
    SELECT DISTINCT v.version, p ->> 'id' FROM caseload.caseload_version v,
        jsonb_array_elements(v.document -> 'people') p
    WHERE p ->> 'id' = ANY(%(people)s) AND p ->> 'name' <> '' AND v.version <> ALL(%(going)s::int8[])
"""
_FIRST = "SELECT min(loaded_at) FROM caseload.caseload_version WHERE version = ANY(%(touched)s)"
_DELETE = "DELETE FROM caseload.caseload_version WHERE version = ANY(%s)"
_STRIKE = """
    UPDATE caseload.caseload_version SET struck_at = now(), document = jsonb_set(document, '{people}', (
        SELECT jsonb_agg(CASE WHEN p ->> 'id' = ANY(%(people)s) THEN p || '{"name": ""}' ELSE p END
            ORDER BY place)
        FROM jsonb_array_elements(document -> 'people') WITH ORDINALITY AS n (p, place)))
    WHERE EXISTS (SELECT FROM jsonb_array_elements(document -> 'people') p
        WHERE p ->> 'id' = ANY(%(people)s) AND p ->> 'name' <> '')
"""
