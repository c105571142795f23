"""From the database to the keep, and what must not get there."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import psycopg
import pytest
from psycopg import conninfo
from structlog.testing import capture_logs

from cordon.caseload_feed import CaseloadFeed
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import BUCKET, CASELOAD, Keep, KeptCaseload
from devices.store import CaseloadStore
from tests.conftest import Database
from tests.cordon.running import load, one_pair, until


async def test_an_empty_database_does_not_end_the_protection_in_force(
    broker: EmbeddedBroker, database: Database
) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    keep = await Keep.open(nc.jetstream())
    await keep.put_caseload(KeptCaseload("7", one_pair()))
    feed = CaseloadFeed(CaseloadStore(database.dsn), keep, nc)
    task = asyncio.create_task(feed.run())
    await until(lambda: feed.refuses_empty, "the empty database is refused")
    kept = await keep.get_caseload()
    assert kept is not None
    assert kept.version == "7"
    await load(database.dsn, one_pair(alert_m=99))
    await until(lambda: feed.changes, "what is loaded then is copied")
    kept = await keep.get_caseload()
    assert kept is not None
    assert kept.version == "1"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await nc.close()


async def test_a_login_without_rights_waits_until_it_has_them(
    broker: EmbeddedBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordon.caseload_feed.REFUSED_RETRY_S", 0.01)
    await load(database.dsn, one_pair())
    nc = await connect_nats(broker.nats_url, "test")
    role = f"service_{secrets.token_hex(4)}"
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role}".encode())
        dsn = conninfo.make_conninfo(database.dsn, options=f"-c role={role}")
        store = CaseloadStore(dsn)
        feed = CaseloadFeed(store, await Keep.open(nc.jetstream()), nc)
        task = asyncio.create_task(feed.run())
        with capture_logs() as logs:
            await until(lambda: logs, "it says that it may not read")
        assert logs[0]["event"] == "caseload_database_does_not_fit"
        owner.execute(f"GRANT USAGE ON SCHEMA caseload TO {role}".encode())
        owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA caseload TO {role}".encode())
        await until(lambda: feed.changes, "then it goes on")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await nc.close()
        await store.close()
        owner.execute(f"DROP OWNED BY {role}".encode())
        owner.execute(f"DROP ROLE {role}".encode())


async def test_an_unreadable_kept_caseload_is_none(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    keep = await Keep.open(nc.jetstream())
    await keep.put(CASELOAD, b'{"version": 5}')
    assert await keep.get_caseload() is None
    await nc.close()


async def test_what_a_crash_left_of_a_put_is_removed(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    keep = await Keep.open(js)
    await keep.put("thing", b"whole")
    await js.publish(f"$O.{BUCKET}.C.unfinished", b"piece")
    before = (await js.stream_info(f"OBJ_{BUCKET}")).state.messages
    again = await Keep.open(js)
    assert (await js.stream_info(f"OBJ_{BUCKET}")).state.messages == before - 1
    assert await again.get("thing") == b"whole"
    await nc.close()
