"""The caseload as rows of the schema ``caseload``: reading all of them, writing what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec
import psycopg

from devices.canonical import assignment_key
from devices.caseload import Agency, Assignment, Caseload, Condition, Device, Order, Person

_condition = msgspec.json.Decoder(Condition)

_UPSERT_AGENCY = (
    "insert into caseload.agency (id, name) values (%s, %s)"
    " on conflict (id) do update set name = excluded.name"
)
_UPSERT_PERSON = (
    "insert into caseload.person (id, role, name, language) values (%s, %s, %s, %s)"
    " on conflict (id) do update set role = excluded.role, name = excluded.name,"
    " language = excluded.language"
)
_UPSERT_DEVICE = (
    "insert into caseload.device (id, kind, model, fix_interval_s) values (%s, %s, %s, %s)"
    " on conflict (id) do update set kind = excluded.kind, model = excluded.model,"
    " fix_interval_s = excluded.fix_interval_s"
)
_UPSERT_ASSIGNMENT = (
    "insert into caseload.assignment (device_no, person_no, valid_from, valid_to) values ("
    "(select device_no from caseload.device where id = %s),"
    " (select person_no from caseload.person where id = %s), %s, %s)"
    " on conflict (device_no, valid_from) do update set person_no = excluded.person_no,"
    " valid_to = excluded.valid_to"
)
_UPSERT_ORDER = (
    "insert into caseload.court_order"
    " (id, agency_no, wearer_no, valid_from, valid_to, time_zone, profile) values (%s,"
    " (select agency_no from caseload.agency where id = %s),"
    " (select person_no from caseload.person where id = %s), %s, %s, %s, %s)"
    " on conflict (id) do update set agency_no = excluded.agency_no,"
    " wearer_no = excluded.wearer_no, valid_from = excluded.valid_from,"
    " valid_to = excluded.valid_to, time_zone = excluded.time_zone, profile = excluded.profile"
)
_DELETE_CONDITIONS = (
    "delete from caseload.condition where order_no ="
    " (select order_no from caseload.court_order where id = %s)"
)
_INSERT_CONDITION = (
    "insert into caseload.condition (id, order_no, position, type, protected_no, definition)"
    " values (%s, (select order_no from caseload.court_order where id = %s), %s, %s,"
    " (select person_no from caseload.person where id = %s), %s::jsonb)"
)


async def read_rows(conn: psycopg.AsyncConnection) -> Caseload:
    """All rows as a caseload."""
    conditions: dict[str, list[Condition]] = {}
    for order, definition in await _all(
        conn,
        "select o.id, c.definition::text from caseload.condition c"
        " join caseload.court_order o using (order_no) order by o.id, c.position",
    ):
        conditions.setdefault(order, []).append(_condition.decode(definition))
    return Caseload(
        agencies=tuple(
            Agency(id=row[0], name=row[1])
            for row in await _all(conn, "select id, name from caseload.agency")
        ),
        people=tuple(
            Person(id=row[0], role=row[1], name=row[2], language=row[3])
            for row in await _all(conn, "select id, role, name, language from caseload.person")
        ),
        devices=tuple(
            Device(id=row[0], kind=row[1], model=row[2], fix_interval_s=row[3])
            for row in await _all(
                conn, "select id, kind, model, fix_interval_s from caseload.device"
            )
        ),
        assignments=await _assignments(conn),
        orders=await _orders(conn, conditions),
    )


async def _assignments(conn: psycopg.AsyncConnection) -> tuple[Assignment, ...]:
    rows = await _all(
        conn,
        "select d.id, p.id, a.valid_from, a.valid_to from caseload.assignment a"
        " join caseload.device d using (device_no) join caseload.person p using (person_no)",
    )
    return tuple(Assignment(device=r[0], person=r[1], from_=r[2], to=r[3]) for r in rows)


async def _orders(
    conn: psycopg.AsyncConnection, conditions: dict[str, list[Condition]]
) -> tuple[Order, ...]:
    rows = await _all(
        conn,
        "select o.id, a.id, p.id, o.valid_from, o.valid_to, o.time_zone, o.profile"
        " from caseload.court_order o join caseload.agency a using (agency_no)"
        " join caseload.person p on p.person_no = o.wearer_no",
    )
    return tuple(
        Order(
            id=row[0],
            agency=row[1],
            wearer=row[2],
            valid_from=row[3],
            valid_to=row[4],
            time_zone=row[5],
            profile=row[6],
            conditions=tuple(conditions.get(row[0], ())),
        )
        for row in rows
    )


async def _all(conn: psycopg.AsyncConnection, query: LiteralString) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query)).fetchall()


async def write_rows(conn: psycopg.AsyncConnection, before: Caseload, after: Caseload) -> None:
    """Turns the rows of `before` into those of `after`; nothing in `before` is ever dropped.

    Both in canonical form, `after` merged on top of `before`.
    """
    agencies = _changed(before.agencies, after.agencies)
    people = _changed(before.people, after.people)
    devices = _changed(before.devices, after.devices)
    orders = _changed(before.orders, after.orders)
    known = {assignment_key(a): a for a in before.assignments}
    assignments = [a for a in after.assignments if known.get(assignment_key(a)) != a]
    async with conn.cursor() as cursor:
        await cursor.executemany(_UPSERT_AGENCY, [(a.id, a.name) for a in agencies])
        await cursor.executemany(
            _UPSERT_PERSON, [(p.id, p.role, p.name, p.language) for p in people]
        )
        await cursor.executemany(
            _UPSERT_DEVICE, [(d.id, d.kind, d.model, d.fix_interval_s) for d in devices]
        )
        await cursor.executemany(
            _UPSERT_ASSIGNMENT, [(a.device, a.person, a.from_, a.to) for a in assignments]
        )
        await _write_orders(cursor, orders)


async def _write_orders(cursor: psycopg.AsyncCursor[Any], orders: Sequence[Order]) -> None:
    await cursor.executemany(
        _UPSERT_ORDER,
        [
            (o.id, o.agency, o.wearer, o.valid_from, o.valid_to, o.time_zone, o.profile)
            for o in orders
        ],
    )
    # All are taken out before any is put in: a condition may move from one order to another.
    await cursor.executemany(_DELETE_CONDITIONS, [(order.id,) for order in orders])
    await cursor.executemany(
        _INSERT_CONDITION,
        [
            (c.id, o.id, position, type(c).__struct_config__.tag, c.protected, _json(c))
            for o in orders
            for position, c in enumerate(o.conditions)
        ],
    )


def _json(condition: Condition) -> str:
    return msgspec.json.encode(condition).decode()


def _changed(before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
    known = {item.id: item for item in before}
    return [item for item in after if known.get(item.id) != item]
