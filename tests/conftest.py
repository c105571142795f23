"""Real servers for the tests: a broker per test, databases on every server at hand."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import conninfo, sql

# Before anything imports the engine: its kernels are compiled once for all test processes.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".cordon" / "compiled"))

from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from devices.store import CaseloadStore
from evidence.store import Store
from tests.power.fuse import NoLossyDiskError
from tests.power.mounted import LossyDisk, lossy_disk

# How long an example takes says how busy the machine is, and whether a kernel had to be compiled.
settings.register_profile("cordon", settings(), deadline=None)
settings.load_profile("cordon")

OTHER_SERVER_DSN = os.environ.get("CORDON_TEST_DSN", "")


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database of its own on one of the servers at hand."""

    dsn: str
    has_timescale: bool


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Recorded tracks, zones and payloads of other people's making; not part of the project."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CORDON_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder}; set CORDON_DATA to run this test")
    return folder


@pytest.fixture(autouse=True)
def _log_as_it_comes() -> None:
    """A command that another test ran in this process has left the log with its own level."""
    structlog.reset_defaults()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A fresh broker with nothing in it."""
    server = EmbeddedBroker(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


@contextmanager
def _lossy_disk(folder: Path, **how: bool) -> Iterator[LossyDisk]:
    folder.mkdir(parents=True)
    try:
        with lossy_disk(folder, **how) as disk:
            yield disk
    except NoLossyDiskError as error:
        pytest.skip(str(error))


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[LossyDisk]:
    """An empty disk that records what is written to it and what is forced."""
    with _lossy_disk(tmp_path / "disk", recording=True) as disk:
        yield disk


@pytest.fixture
def lossy_store(tmp_path: Path) -> Iterator[LossyDisk]:
    """Where the broker of this test keeps its streams, as a disk that loses what was not forced."""
    with _lossy_disk(tmp_path / "broker" / "jetstream", journaling=True) as disk:
        yield disk


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A database server that the test may stop and kill."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    yield server
    _stop_and_remove(server)


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The server that `database` makes its databases on."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("shared-postgres"))
    server.start()
    yield server
    _stop_and_remove(server)


def _stop_and_remove(server: EmbeddedPostgres) -> None:
    server.stop()
    shutil.rmtree(server.directory)  # under root it may lie outside the test's own folder


@pytest.fixture(scope="session")
def present_schema(shared_postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database on that server with the schemas of history and caseload as they are now."""

    async def migrate(dsn: str) -> None:
        store, caseloads = Store(dsn), CaseloadStore(dsn)
        await store.migrate()
        await caseloads.migrate()
        await store.close()
        await caseloads.close()

    with _new_database(shared_postgres.dsn_of("postgres")) as database:
        # In a thread of its own: this one's loop belongs to the tests.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrate(database.dsn)).result()
        yield str(conninfo.conninfo_to_dict(database.dsn)["dbname"])


SERVERS = ["embedded", *(["CORDON_TEST_DSN"] if OTHER_SERVER_DSN else [])]


@pytest.fixture(params=SERVERS)
def empty_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database in which nothing is, once on each server at hand."""
    if request.param == "embedded":
        server: EmbeddedPostgres = request.getfixturevalue("shared_postgres")
        maintenance = server.dsn_of("postgres")
    else:
        maintenance = OTHER_SERVER_DSN
    with _new_database(maintenance) as database:
        yield database


@pytest.fixture(params=SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database for history and caseload, once on each server at hand.

    On our own it has their schemas, which is a second less for each test; whoever begins by
    migrating, as everybody does, finds nothing to do.
    """
    if request.param == "embedded":
        server: EmbeddedPostgres = request.getfixturevalue("shared_postgres")
        template = request.getfixturevalue("present_schema")
        with _new_database(server.dsn_of("postgres"), template) as database:
            yield database
    else:
        with _new_database(OTHER_SERVER_DSN) as database:
            yield database


@contextmanager
def _new_database(maintenance: str, template: str = "template1") -> Iterator[Database]:
    name = f"cordon_test_{secrets.token_hex(6)}"
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        available = connection.execute(
            "select 1 from pg_available_extensions where name = 'timescaledb'"
        ).fetchone()
    dsn = conninfo.make_conninfo(maintenance, dbname=name)
    yield Database(dsn, available is not None)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
