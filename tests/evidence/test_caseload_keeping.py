"""Versions of the caseload go when nothing refers to them, and names when nothing else is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from devices.caseload import Caseload, Person
from devices.course import CourseStep, Mark
from devices.instants import to_datetime
from devices.store import CaseloadStore
from evidence import holds
from evidence.audit import audit
from evidence.case_records import Custody, record_disclosure
from evidence.caseload_keeping import Struck, retain_caseload
from evidence.erasures import (
    CASELOAD,
    Connection,
    all_erasures,
    erasure_text,
    erasures_over,
    retained_from_us,
)
from evidence.retention import Policy, retain, scrub
from evidence.store import Store
from evidence.told import add_state
from tests.conftest import Database
from tests.evidence.access_world import CASE, caseload
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of, decision_of
from tests.evidence.sealing_world import log_keys, seal_all, sealer_of
from tests.evidence.test_erasing import hold
from tests.evidence.test_holds import placed_meanwhile

DAYS = 30
LATER_US = NOW_US + 35 * DAY_US
NAMES = {"he-1": "Adam Qvist", "he-2": 'Björn "B" Zäll', "she-1": "Cléo Ærø"}


def named(**changes: Any) -> Caseload:
    """The case, with names; both orders ended soon."""
    whole = caseload()
    people = tuple(msgspec.structs.replace(one, name=NAMES[one.id]) for one in whole.people)
    orders = tuple(
        msgspec.structs.replace(one, valid_to=to_datetime(NOW_US + DAY_US)) for one in whole.orders
    )
    assignments = tuple(
        msgspec.structs.replace(one, to=to_datetime(NOW_US + DAY_US)) for one in whole.assignments
    )
    new = msgspec.structs.replace(whole, people=people, orders=orders, assignments=assignments)
    return msgspec.structs.replace(new, **changes)


@dataclass
class Site:
    """Four versions of the caseload: from 4, 3, 2 and 1 days before now."""

    dsn: str
    connection: Connection
    caseloads: CaseloadStore
    store: Store

    async def retain(
        self, *, days: int = DAYS, now_us: int = LATER_US, dry_run: bool = False
    ) -> Struck:
        return await retain_caseload(self.connection, days, "job", now_us, dry_run=dry_run)

    async def versions(self) -> list[int]:
        cursor = await self.connection.execute(
            "SELECT version FROM caseload.caseload_version ORDER BY 1"
        )
        return [row[0] for row in await cursor.fetchall()]


@pytest.fixture
async def site(store: Store, database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    caseloads = CaseloadStore(database.dsn)
    await caseloads.migrate()
    for number in range(4):
        more = (Person(id="she-2", role="protected", name="Dora Øst", language=lang(number)),)
        await caseloads.save(named(people=(*named().people, *more)))
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True, options="-c timezone=UTC"
    ) as connection:
        await connection.execute(
            "UPDATE caseload.caseload_version SET loaded_at = %s::timestamptz "
            "- (5 - version) * interval '1 day'",
            (to_datetime(NOW_US),),
        )
        await store.write_journal([(1, batch_of(1))])
        await seal_all(sealer_of(database.dsn, tmp_path), database.dsn)
        yield Site(database.dsn, connection, caseloads, store)
    await caseloads.close()


def lang(number: int) -> str:
    return ("en", "es", "da", "fr")[number]


def names_in(probe: Probe) -> set[str]:
    """Whose names stand anywhere in the tables of the caseload and of the history."""
    tables = probe.ask(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('caseload', 'evidence') AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    text = " ".join(
        str(row[0])
        for schema, table in tables
        for row in probe.ask(f'SELECT t::text FROM {schema}."{table}" t')
    )
    plain = text.replace('\\\\"', '"').replace('\\"', '"').replace('""', '"')
    return {person for person, name in NAMES.items() if name.split()[-1] in plain}


async def test_nothing_goes_unless_it_is_asked_for_and_before_its_time(site: Site) -> None:
    assert await site.retain(days=0) == Struck()
    assert await site.retain(now_us=NOW_US + 20 * DAY_US) == Struck()
    assert await site.versions() == [1, 2, 3, 4]
    assert await all_erasures(site.connection) == []


async def test_versions_go_with_a_record_and_names_with_them(site: Site, probe: Probe) -> None:
    assert names_in(probe) == set(NAMES)
    would = await site.retain(dry_run=True)
    assert would == Struck(3, 4, 1)
    assert await site.versions() == [1, 2, 3, 4]
    assert names_in(probe) == set(NAMES)
    assert await site.retain() == would
    assert await site.versions() == [4, 5]
    assert names_in(probe) == set()
    stored = await site.caseloads.load()
    assert stored.version == 5, "the one in force is another one, so that it is brought everywhere"
    assert {one.name for one in stored.caseload.people} == {""}
    assert stored.caseload.orders == named().orders
    struck = probe.ask("SELECT version FROM caseload.caseload_version WHERE struck_at IS NOT NULL")
    assert struck == [(4,)]
    [record] = await all_erasures(site.connection)
    assert (record.kind, record.subject, record.older) == ("retention", CASELOAD, 3)
    assert "3 versions of the caseload deleted; names of 4 people" in erasure_text(record)
    assert record.to_us == (LATER_US // DAY_US - DAYS) * DAY_US
    assert await site.retain() == Struck()
    assert len(await all_erasures(site.connection)) == 1


async def test_a_record_of_it_is_sealed_and_forbids_no_replay(
    site: Site, probe: Probe, tmp_path: Path
) -> None:
    await site.retain()
    await seal_all(sealer_of(probe.dsn, tmp_path), probe.dsn)
    found = await audit(site.connection, log_keys(), [])
    assert (found.findings, found.waiting) == ([], 0)
    assert await erasures_over(site.connection, 0, 2**52) == []
    assert await retained_from_us(site.connection) == 0


async def decide(site: Site) -> None:
    decision = msgspec.structs.replace(
        decision_of(1), caseload_version="2", wearer="he-1", protected="she-1"
    )
    await site.store.write_decisions([(1, [decision])])


async def begin_a_run(site: Site) -> None:
    steps = [
        CourseStep(
            run_us=NOW_US + n, number=1, kind="started", at_us=NOW_US, caseload_version="2",
            detail='{"mark": null}',
        )
        for n in range(2)
    ]  # fmt: skip
    await site.store.write_decisions([(1, steps)])


async def go_on_from_a_state(site: Site) -> None:
    step = CourseStep(
        run_us=NOW_US, number=1, kind="started", at_us=NOW_US, caseload_version="2",
        detail='{"mark": {}}',
    )  # fmt: skip
    await site.store.write_decisions([(1, [step])])
    await add_state(site.connection, Mark(run_us=NOW_US, steps=1, ticked_us=NOW_US), "b", b"x")


async def hold_its_time(site: Site) -> None:
    start_us = NOW_US - 3 * DAY_US
    await holds.place(site.connection, hold(people=("he-2",), from_us=start_us, to_us=start_us + 1))


async def give_a_pack(site: Site) -> None:
    start_us = NOW_US - 3 * DAY_US
    custody = Custody(
        disclosure="d", case="order-9", actor="a", purpose="p", recipient="r", side="court",
        from_us=start_us, to_us=start_us + 1,
    )  # fmt: skip
    await record_disclosure(site.connection, custody, "opened", NOW_US)


REFERS = [
    (decide, {"he-1", "she-1"}),
    (begin_a_run, set()),
    (go_on_from_a_state, set()),
    (hold_its_time, {"he-2"}),
    (give_a_pack, set()),
]


@pytest.mark.parametrize(("refer", "stay"), REFERS, ids=[one.__name__ for one, _ in REFERS])
async def test_a_version_stays_that_something_refers_to(
    refer: Any, stay: set[str], site: Site, probe: Probe
) -> None:
    await refer(site)
    done = await site.retain()
    assert done.deleted == 2
    assert await site.versions() == [2, 4, 5]
    assert names_in(probe) == stay, "only names go of what has to stay"
    [[document]] = probe.ask(
        "SELECT document::text FROM caseload.caseload_version WHERE version = 2"
    )
    kept = msgspec.json.decode(document, type=Caseload)
    assert kept.orders == named().orders
    assert [one.id for one in kept.people] == ["he-1", "he-2", "she-1", "she-2"]


async def test_a_version_stays_whose_time_is_put_under_hold_meanwhile(
    site: Site, probe: Probe
) -> None:
    start_us = NOW_US - 3 * DAY_US
    new = hold(people=("he-2",), from_us=start_us, to_us=start_us + 1)
    assert (await placed_meanwhile(probe, site.retain(), new)).deleted == 2
    assert await site.versions() == [2, 4, 5]
    assert names_in(probe) == {"he-2"}


async def test_a_version_that_the_log_has_not_taken_over_stays(site: Site) -> None:
    await site.connection.execute("UPDATE evidence.caseload_kept SET version = 2")
    assert (await site.retain()).deleted == 2
    assert await site.versions() == [3, 4, 5]


async def carry_on(site: Site) -> None:
    first, *_ = named().assignments
    assert first.person == "he-1"
    carried = (msgspec.structs.replace(first, to=None),)
    await site.caseloads.save(Caseload(assignments=carried))


async def be_bound(site: Site) -> None:
    order = next(one for one in named().orders if one.id == CASE)
    await site.caseloads.save(Caseload(orders=(msgspec.structs.replace(order, valid_to=None),)))


async def be_new(site: Site) -> None:
    """Somebody is taken in, and her order comes later."""
    new = Person(id="new", role="protected", name=NAMES["she-1"])
    await site.caseloads.save(Caseload(people=(new,)))


async def have_sent(site: Site) -> None:
    await site.store.write_journal([(2, batch_of(2, [("tag-1", 1, NOW_US)]))])


@pytest.mark.parametrize(
    ("make", "stay"),
    [
        (carry_on, {"he-1"}),
        (be_bound, {"he-1", "she-1"}),
        (have_sent, {"he-1"}),
        (be_new, {"she-1"}),
    ],
    ids=["carries", "bound", "sent", "new"],
)
async def test_names_stay_of_whom_something_is_known(
    make: Any, stay: set[str], site: Site, probe: Probe
) -> None:
    await make(site)
    await site.retain()
    assert names_in(probe) == stay


async def test_retention_takes_what_refers_first(site: Site, probe: Probe, tmp_path: Path) -> None:
    """With the positions of then go the states, so that nothing refers to the versions any more."""
    await go_on_from_a_state(site)
    await have_sent(site)
    await seal_all(sealer_of(probe.dsn, tmp_path), probe.dsn)
    policy = Policy(positions_days=20, caseload_days=DAYS)
    shown = await retain(site.connection, policy, "job", LATER_US, dry_run=True)
    assert shown.caseload.deleted == 2, "what would go first refers to it still"
    done = await retain(site.connection, policy, "job", LATER_US, dry_run=False)
    assert done.caseload == Struck(3, 4, 1)
    await scrub(site.connection)
    assert names_in(probe) == set()
