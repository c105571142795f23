"""The caseload in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from cordon.embedded.postgres import EmbeddedPostgres
from devices.canonical import canonical, digest, merged
from devices.caseload import Assignment, Caseload, Person
from devices.problems import CaseloadError
from devices.rules import check
from devices.store import CaseloadStore
from tests.conftest import Database
from tests.database_faults import never_answered
from tests.devices.samples import caseloads, sample, tree


@pytest.fixture
async def store(database: Database) -> AsyncIterator[CaseloadStore]:
    store = CaseloadStore(database.dsn)
    await store.migrate()
    yield store
    await store.close()


async def rows(database: Database, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(database.dsn) as conn:
        return await (await conn.execute(query)).fetchall()


async def test_a_new_database_is_empty(store: CaseloadStore) -> None:
    stored = await store.load()
    assert (stored.version, stored.caseload) == (0, Caseload())
    assert await store.migrate() == []


async def test_what_is_saved_is_loaded(store: CaseloadStore, database: Database) -> None:
    saved = await store.save(sample())
    assert (saved.version, saved.changed) == (1, True)
    stored = await store.load()
    assert stored.version == 1
    assert stored.caseload == canonical(sample())
    ((document, sha256),) = await rows(
        database, "select document::text, sha256 from caseload.caseload_version"
    )
    assert msgspec.json.decode(document, type=Caseload) == stored.caseload
    assert sha256 == digest(stored.caseload)


async def test_loading_it_twice_changes_nothing(store: CaseloadStore, database: Database) -> None:
    tables = ("agency", "person", "device", "assignment", "court_order", "condition")
    query = " union all ".join(f"select xmin::text, ctid::text from caseload.{t}" for t in tables)
    await store.save(sample())
    before = await rows(database, query)
    again = await store.save(sample())
    assert (again.version, again.changed) == (1, False)
    part = await store.save(Caseload(people=sample().people))
    assert not part.changed
    assert await rows(database, query) == before


async def test_an_upload_goes_on_top_of_what_is_there(store: CaseloadStore) -> None:
    await store.save(sample())
    order = sample().orders[0]
    shorter = msgspec.structs.replace(order, profile="france", conditions=order.conditions[1::-1])
    addition = Caseload(people=(Person(id="p9", role="protected"),), orders=(shorter,))
    saved = await store.save(addition)
    assert (saved.version, saved.changed) == (2, True)
    stored = await store.load()
    assert stored.caseload == canonical(merged(sample(), addition))
    assert [c.id for c in stored.caseload.orders[0].conditions] == ["school", "keep-away"]


async def test_a_condition_may_move_to_another_order(store: CaseloadStore) -> None:
    await store.save(sample())
    order = sample().orders[0]
    orders = (
        msgspec.structs.replace(order, conditions=order.conditions[:1]),
        msgspec.structs.replace(order, id="order-2", conditions=order.conditions[1:]),
    )
    assert (await store.save(Caseload(orders=orders))).changed
    assert [len(o.conditions) for o in (await store.load()).caseload.orders] == [1, 2]


async def test_a_handset_changes_hands_in_one_step(store: CaseloadStore) -> None:
    await store.save(sample())
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    change = datetime(2026, 6, 1, tzinfo=UTC)
    people = (Person(id="p2", role="protected"),)
    handover = (
        Assignment(device="phone-1", person="p2", from_=change),
        Assignment(device="phone-1", person="p1", from_=begin, to=change),
    )
    assert (await store.save(Caseload(people=people, assignments=handover))).changed


async def test_the_merged_result_is_what_is_checked(store: CaseloadStore) -> None:
    await store.save(sample())
    late = Assignment(device="phone-1", person="p1", from_=datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(CaseloadError) as caught:
        await store.save(Caseload(assignments=(late,), people=(Person(id="p9", role="wearer"),)))
    assert "still assigned" in str(caught.value)
    stored = await store.load()
    assert (stored.version, stored.caseload) == (1, canonical(sample()))


async def test_the_database_refuses_two_bearers_by_itself(
    store: CaseloadStore, database: Database
) -> None:
    await store.save(sample())
    with pytest.raises(psycopg.errors.ExclusionViolation):
        await rows(
            database,
            "set constraints all immediate; insert into caseload.assignment"
            " select device_no, person_no, valid_from + interval '1 day' from caseload.assignment",
        )


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=caseloads(), second=caseloads())
def test_any_caseload_survives(
    postgres_run: Callable[[Caseload, Caseload], None], first: Caseload, second: Caseload
) -> None:
    postgres_run(first, second)


@pytest.fixture
def postgres_run(database: Database) -> Callable[[Caseload, Caseload], None]:
    """Saves two caseloads one after the other, on tables emptied before."""
    asyncio.run(CaseloadStore(database.dsn).migrate())

    async def run(first: Caseload, second: Caseload) -> None:
        async with await psycopg.AsyncConnection.connect(database.dsn) as conn:
            await conn.execute(
                "truncate caseload.condition, caseload.court_order, caseload.assignment,"
                " caseload.device, caseload.person, caseload.agency, caseload.caseload_version"
            )
        store = CaseloadStore(database.dsn)
        await store.save(first)
        assert (await store.load()).caseload == canonical(first)
        both = merged(first, second)
        if check(both):
            with pytest.raises(CaseloadError):
                await store.save(second)
            assert (await store.load()).caseload == canonical(first)
        else:
            await store.save(second)
            assert (await store.load()).caseload == canonical(both)
        assert not (await store.save((await store.load()).caseload)).changed

    return lambda first, second: asyncio.run(run(first, second))


async def test_saves_at_the_same_moment_take_turns(store: CaseloadStore) -> None:
    people = [Caseload(people=(Person(id=f"p{i}", role="protected"),)) for i in range(6)]
    saved = await asyncio.gather(*(store.save(one) for one in people))
    assert sorted(s.version for s in saved) == [1, 2, 3, 4, 5, 6]
    assert len((await store.load()).caseload.people) == 6


async def started(wait: Coroutine[Any, Any, bool], dsn: str) -> asyncio.Task[bool]:
    """The wait as a task, once it listens and has compared versions."""
    task = asyncio.create_task(wait)
    query = "select 1 from pg_stat_activity where query like 'select coalesce(max%'"
    async with asyncio.timeout(10), await psycopg.AsyncConnection.connect(dsn) as conn:
        while await (await conn.execute(query)).fetchone() is None:
            await conn.rollback()
            await asyncio.sleep(0.01)
    return task


async def test_a_change_is_noticed_while_waiting(store: CaseloadStore, database: Database) -> None:
    await store.load()
    waiting = await started(store.wait_for_change(30), database.dsn)
    assert not waiting.done()
    await CaseloadStore(database.dsn).save(sample())
    async with asyncio.timeout(10):
        assert await waiting is True
    await store.load()
    assert await store.wait_for_change(0.05) is False


async def test_a_change_before_waiting_is_not_missed(
    store: CaseloadStore, database: Database
) -> None:
    await store.load()
    await CaseloadStore(database.dsn).save(sample())
    assert await store.wait_for_change(0) is True
    assert await store.wait_for_change(0) is True  # until it has been loaded
    await store.load()
    assert await store.wait_for_change(0) is False


async def test_saving_what_is_there_wakes_nobody(store: CaseloadStore, database: Database) -> None:
    await store.save(sample())
    await store.load()
    other = CaseloadStore(database.dsn)
    await other.save(sample())
    assert await store.wait_for_change(0.1) is False


async def test_a_cancelled_wait_can_be_repeated(store: CaseloadStore) -> None:
    await store.load()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.wait_for_change(30)
    await store.save(sample())
    assert await store.wait_for_change(5) is True


async def test_a_server_that_is_away_and_back(postgres: EmbeddedPostgres) -> None:
    store = CaseloadStore(postgres.dsn)
    await store.migrate()
    await store.save(sample())
    await store.load()
    waiting = await started(store.wait_for_change(60), postgres.dsn)
    await asyncio.to_thread(postgres.stop)
    with pytest.raises(psycopg.OperationalError):
        async with asyncio.timeout(20):
            await waiting
    for attempt in (
        store.load(),
        store.save(Caseload()),
        store.wait_for_change(1),
        store.migrate(),
    ):
        with pytest.raises(psycopg.OperationalError):
            await attempt
    postgres.start()  # not in a thread: the server dies with the thread that started it
    assert (await store.load()).caseload == canonical(sample())
    people = tree()["people"]
    people[0]["name"] = "X"
    await store.save(Caseload(people=tuple(msgspec.convert(people, list[Person]))))
    assert await store.wait_for_change(10) is True
    await store.close()


async def test_a_wait_given_up_while_it_connects_leaves_no_connection_open(
    store: CaseloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with never_answered(monkeypatch) as asked:
        wait = asyncio.create_task(store.wait_for_change(60.0))
        connection = await asked
        wait.cancel()
        await asyncio.wait([wait])
        assert wait.cancelled()
        assert connection.closed
