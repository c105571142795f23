"""The back room: the same history from a process of its own, whatever happens to that process."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import aiomqtt
import msgspec
import psycopg
import pytest

from cordon.backroom import BackroomProcess
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.service import Service
from devices.instants import to_iso
from evidence.keys import Guard
from evidence.store import Store
from ingest.allowance import BULK_BYTES
from tests.conftest import Database
from tests.cordon.running import World, load, one_pair, running, settings_for_tests, until
from tests.ingest.reports import fix, payload

pytestmark = pytest.mark.timeout(240)
BUFFERED = 400


def is_there(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty once it has ended
    except FileNotFoundError:
        return False


def guards() -> int:
    """Of the log's keys, in this process."""
    gc.collect()
    # Not by `isinstance`, which asks what a proxy stands for, and that may be gone.
    return sum(type(one) is Guard for one in gc.get_objects())


def ends_of(broker: EmbeddedBroker, database: Database) -> Endpoints:
    return Endpoints(
        nats_url=broker.nats_url,
        mqtt_host=broker.host,
        mqtt_port=broker.mqtt_port,
        mqtt_user=broker.service_user,
        mqtt_password=broker.service_password,
        dsn=database.dsn,
    )


async def test_history_and_slow_lane_go_on_when_the_process_is_killed(
    broker: EmbeddedBroker, database: Database
) -> None:
    ends = ends_of(broker, database)
    settings = settings_for_tests()
    service = Service(ends, settings, wall_clock_us, headless=True, backroom=True)
    before = guards()
    async with running(service):
        assert guards() == before, "the seeds of the log lie in the other process alone"
        await service.wait_for_caseload(await load(database.dsn, one_pair()))
        room, sealer = service.parts.writer, service.parts.sealer
        assert isinstance(room, BackroomProcess)

        def sealed() -> bool:
            return sealer is not None and sealer.progress.size > 0

        await until(lambda: room.counts.database_up, "it has found the database")
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
            seen = World(service, ends, device)
            await seen.fix("tag-1", 10)
            await until(lambda: seen.stored() == set(seen.sent), "the history has it")
            await until(lambda: room.counts.written.fixes >= 1, "and the figures say so")
            assert room.counts.database_up
            await until(lambda: room.conduct.looks >= 1, "and looks at the conduct of the wearer")
            await until(lambda: service.parts.record.capacity, "and at the room there is")
            await until(sealed, "and it seals")

            first = room.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await seen.fix("tag-1", 0)
            await until(lambda: room.pid not in {None, first}, "it is started again")
            await until(lambda: seen.stored() == set(seen.sent), "the history goes on")

            now = to_iso(wall_clock_us())
            body = payload([fix(time=now, seq=number) for number in range(BUFFERED)])
            assert len(body) > BULK_BYTES
            await seen.publish("phone-1", "fix", body)
            everything = set(seen.sent) | {("phone-1", number) for number in range(BUFFERED)}
            await until(lambda: seen.stored() == everything, "a flushed buffer is taken in")
            await until(lambda: service.parts.slow_lane.counts.taken_in == 1, "and counted")

            second = room.pid
            assert second is not None
            os.kill(second, signal.SIGKILL)
            await until(lambda: room.pid not in {None, second}, "it is started once more")
            body = payload([fix(time=now, seq=BUFFERED + number) for number in range(BUFFERED)])
            await seen.publish("phone-1", "fix", body)
            everything |= {("phone-1", BUFFERED + number) for number in range(BUFFERED)}
            await until(
                lambda: seen.stored() == everything, "another one is not taken for the first"
            )
            assert seen.query("select * from evidence.gap") == [], "nothing was lost"
            starts = seen.query("select distinct split_part(gateway, '.', 1) from evidence.batch")
            assert starts == [(service.parts.gateway.name,)], "all of it is of one start"
            last = room.pid
            assert last is not None
    await until(lambda: not is_there(last), "it ends with the service")


async def test_what_cannot_be_read_beside_it_does_not_stop_the_history(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    """A finding that another version wrote, and no place where the disk should be looked at."""
    await load(database.dsn, one_pair())
    store = Store(database.dsn)
    await store.migrate()
    await store.close()
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO evidence.conduct_pattern VALUES ('of another version', 1, now(), 'he', "
            "'she', 'centre', 'going_on', now(), now(), '{}')"
        )
    (tmp_path / "postgres").write_text("")
    settings = msgspec.structs.replace(settings_for_tests(), state_directory=str(tmp_path))
    ends = ends_of(broker, database)
    service = Service(ends, settings, wall_clock_us, headless=True, backroom=True)
    async with running(service):
        room = service.parts.writer
        assert isinstance(room, BackroomProcess)
        await until(
            lambda: room.conduct.unreadable, "the look at the wearer failed, and is counted"
        )
        await until(lambda: room.restarts.get("record"), "so did the look at the room there is")
        first = room.pid
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
            seen = World(service, ends, device)
            await seen.fix("tag-1", 10)
            await until(lambda: seen.stored() == set(seen.sent), "fixes are stored all the same")
        assert room.pid == first
