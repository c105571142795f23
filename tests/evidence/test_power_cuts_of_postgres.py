"""What was acknowledged is in the database after a power cut, and what was not is there or is not.

PostgreSQL runs on a disk that loses what was not forced to it (`tests/power`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cordon.database_access import run_on_connection
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.sections import Database as DatabaseSettings
from cordon.settings import Settings
from devices.caseload import Caseload, Person
from devices.credential_store import CredentialStore
from devices.store import CaseloadStore
from evidence import access, holds
from evidence.access import NewGrant
from evidence.audit import audit
from evidence.database import Database
from evidence.erasing import Order
from evidence.holds import NewHold
from evidence.log.notes import Checkpoint, parse_checkpoint
from evidence.retention import erase_subject
from evidence.store import Store
from evidence.witness_client import Witness
from tests.evidence.access_world import CASE, WINDOW, fill
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import ORIGIN, log_keys, sealer_of, witness_here
from tests.evidence.test_crashes import STEPS
from tests.power.fuse import NoLossyDiskError
from tests.power.mounted import LossyDisk
from tests.power.servers import lose_power, postgres_on_a_lossy_disk

pytestmark = pytest.mark.timeout(300)

CUT_AFTER = (0, 1, 2, 3, 5, 8, 13, 21, 34, 60)
"""Changes of the disk from the beginning of a step to the cut."""


@pytest.fixture
def lossy_data(postgres: EmbeddedPostgres) -> Iterator[LossyDisk]:
    try:
        with postgres_on_a_lossy_disk(postgres) as disk:
            yield disk
    except NoLossyDiskError as error:
        pytest.skip(str(error))


@dataclass
class World:
    """What is done to the database, and what of it was acknowledged.

    Attributes:
        kept: Questions and their answers, which stay true.
    """

    dsn: str
    folder: Path
    number: int = 10
    kept: list[tuple[str, tuple[Any, ...], Any]] = field(default_factory=list)

    def keep(self, query: str, *values: Any, answer: Any = 1) -> None:
        self.kept.append((query, values, answer))

    async def do(self, what: Callable[[psycopg.AsyncConnection], Awaitable[None]]) -> None:
        async with await psycopg.AsyncConnection.connect(
            self.dsn, autocommit=True, options="-c timezone=UTC"
        ) as connection:
            await what(connection)

    async def store(self) -> None:
        self.number += 1
        store = Store(self.dsn)
        try:
            fixes = [("tag-1", 10 * self.number + n, NOW_US + self.number + n) for n in range(3)]
            await store.write_journal([(self.number, batch_of(self.number, fixes))])
        finally:
            await store.close()
        self.keep("SELECT count(*) FROM evidence.batch WHERE number = %s", self.number)
        self.keep("SELECT last_sequence >= %s FROM evidence.position", self.number, answer=True)

    async def seal(self) -> None:
        await sealer_of(self.dsn, self.folder).turn()
        with psycopg.connect(self.dsn) as connection:
            [(size, note)] = connection.execute(
                "SELECT size, note FROM evidence.seal_checkpoint ORDER BY size DESC LIMIT 1"
            ).fetchall()
        text = "SELECT note FROM evidence.seal_checkpoint WHERE size = %s"
        self.keep(text, size, answer=note)

    async def caseload(self) -> None:
        self.number += 1
        store = CaseloadStore(self.dsn)
        person = Person(id=f"p-{self.number}", role="wearer")
        saved = await store.save(Caseload(people=(person,)))
        await store.close()
        self.keep("SELECT count(*) > 0 FROM caseload.caseload_version WHERE version = %s",
                  saved.version, answer=True)  # fmt: skip

    async def grant(self) -> None:
        async def act(connection: psycopg.AsyncConnection) -> None:
            new = NewGrant(
                "chief", "person", "ana", "investigator", CASE, "he-1", "investigation",
                NOW_US, NOW_US + DAY_US, "file 1",
            )  # fmt: skip
            made = await access.grant(connection, new)
            self.keep("SELECT count(*) FROM evidence.access_grant WHERE grant_id = %s", made)

        await self.do(act)

    async def hold(self) -> None:
        async def act(connection: psycopg.AsyncConnection) -> None:
            new = NewHold(
                "chief", CASE, ("she-1",), *WINDOW, "file 1", NOW_US + 100 * DAY_US
            )  # fmt: skip
            made = await holds.place(connection, new)
            self.keep("SELECT count(*) FROM evidence.hold WHERE hold_id = %s", made)

        await self.do(act)

    async def erase(self) -> None:
        """Everything of he-2, of which there is something the first time only."""

        async def act(connection: psycopg.AsyncConnection) -> None:
            window = (WINDOW[0], NOW_US + DAY_US)
            order = Order("erasure", "the court", "chief", "he-2", *window, "acquitted")
            await erase_subject(connection, "he-2", window, order, NOW_US)
            self.keep("SELECT count(*) FROM evidence.fix WHERE device = 'tag-2'", answer=0)
            self.keep("SELECT count(*) FROM evidence.erasure")

        await self.do(act)

    async def check(self, *witnesses: Witness) -> None:
        """All that was acknowledged is there, and what was signed is in the database."""
        with psycopg.connect(self.dsn) as connection:
            for query, values, answer in self.kept:
                found = connection.execute(query.encode(), values).fetchall()
                assert found == [(answer,)], query
        sealer = sealer_of(self.dsn, self.folder, *witnesses)
        seen = sealer._guard.seen(ORIGIN)
        async with asyncio.timeout(60):
            while True:  # raises where more was signed than is there
                await sealer.turn()
                async with await psycopg.AsyncConnection.connect(
                    self.dsn, autocommit=True
                ) as connection:
                    found_ = await audit(connection, log_keys(), [])
                assert found_.findings == []
                if not found_.waiting:
                    break
        assert sealer.progress.size > seen.size


async def test_every_acknowledged_step_survives_a_power_cut(
    postgres: EmbeddedPostgres, lossy_data: LossyDisk, tmp_path: Path
) -> None:
    store = Store(postgres.dsn)
    await store.migrate()
    await fill(postgres.dsn, store)
    await store.close()
    world = World(postgres.dsn, tmp_path)
    await world.seal()
    steps = [world.store, world.seal, world.grant, world.hold, world.caseload]
    interrupted = 0
    for number, after in enumerate(CUT_AFTER):
        await steps[number % len(steps)]()
        following = world.erase if number == 6 else steps[(number + 1) % len(steps)]
        lossy_data.cut(after)
        done = False
        with suppress(psycopg.Error, TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(5):
                await following()
                done = True
        interrupted += not done
        lose_power(postgres, lossy_data, seed=number)
        await world.check()
    assert interrupted >= 3, "some cuts came in the middle"
    await world.erase()
    lose_power(postgres, lossy_data, seed=None)
    await world.check()


async def test_power_lost_at_every_step_of_the_sealer(
    postgres: EmbeddedPostgres, lossy_data: LossyDisk, tmp_path: Path
) -> None:
    """What the guard or a witness has signed is in the database, wherever the power goes."""
    store = Store(postgres.dsn)
    await store.migrate()
    await store.close()
    world = World(postgres.dsn, tmp_path)
    with witness_here(tmp_path, "w1.test") as witness:
        for number, step in enumerate(STEPS):
            await world.store()

            def cut(now: str, at: str = step) -> None:
                if now == at:
                    lossy_data.cut()
                    raise ConnectionAbortedError(now)

            with pytest.raises(ConnectionAbortedError):
                await sealer_of(postgres.dsn, tmp_path, witness, crashpoint=cut).turn()
            lose_power(postgres, lossy_data, seed=number if number % 2 else None)
            await world.check(witness)
        note = witness.newest(ORIGIN)
        assert note is not None
        head = parse_checkpoint(note.text)
        await world.do(lambda connection: sound(connection, head))


async def sound(connection: psycopg.AsyncConnection, head: Checkpoint) -> None:
    found = await audit(connection, log_keys(), [("the witness", head)])
    assert (found.findings, found.waiting) == ([], 0)


async def test_without_waiting_for_the_disk_acknowledged_rows_are_lost(
    postgres: EmbeddedPostgres, lossy_data: LossyDisk
) -> None:
    # The control: what this emulation finds where somebody does not force what he acknowledges.
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("SET synchronous_commit = off")
        connection.execute("INSERT INTO kept VALUES (1)")
        lossy_data.cut()
    lose_power(postgres, lossy_data, seed=None)
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchall() == [(0,)]


def test_the_embedded_server_forces_what_it_acknowledges(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert connection.execute(f"SHOW {name}".encode()).fetchall() == [("on",)], name


async def test_every_connection_waits_for_the_disk_whatever_the_database_says(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("ALTER DATABASE cordon SET synchronous_commit = off")
        store = Store(postgres.dsn)
        await store.migrate()
        await store.close()
        caseloads = CaseloadStore(postgres.dsn)
        await caseloads.migrate()
    show, found = "SHOW synchronous_commit", {}
    with psycopg.connect(postgres.dsn) as plain:
        assert plain.execute(show).fetchall() == [("off",)]
    database = Database(postgres.dsn)
    async with database.session() as session:
        found["writer"] = await (await session.execute(show)).fetchone()
    await database.close()
    async with sealer_of(postgres.dsn, tmp_path)._sealing() as (session, _):
        found["sealer"] = await (await session.execute(show)).fetchone()
    async with caseloads._connection() as session:
        found["caseload"] = await (await session.execute(show)).fetchone()
    async with CredentialStore(postgres.dsn).open() as credentials:
        found["credentials"] = await (await credentials._conn.execute(show)).fetchone()

    async def ask(connection: psycopg.AsyncConnection) -> Any:
        return await (await connection.execute(show)).fetchone()

    settings = Settings(database=DatabaseSettings(url=postgres.dsn))
    found["commands"] = await asyncio.to_thread(run_on_connection, settings, ask)
    assert set(found.values()) == {("on",)}, found
