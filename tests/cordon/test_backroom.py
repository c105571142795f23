"""The back room: the same history from a process of its own, whatever happens to that process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiomqtt
import pytest

from cordon.backroom import BackroomProcess
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.service import Service
from devices.instants import to_iso
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


async def test_history_and_slow_lane_go_on_when_the_process_is_killed(
    broker: EmbeddedBroker, database: Database
) -> None:
    ends = Endpoints(
        nats_url=broker.nats_url,
        mqtt_host=broker.host,
        mqtt_port=broker.mqtt_port,
        mqtt_user=broker.service_user,
        mqtt_password=broker.service_password,
        dsn=database.dsn,
    )
    settings = settings_for_tests()
    service = Service(ends, settings, wall_clock_us, headless=True, backroom=True)
    async with running(service):
        await service.wait_for_caseload(await load(database.dsn, one_pair()))
        room = service.parts.writer
        assert isinstance(room, BackroomProcess)
        await until(lambda: room.counts.database_up, "it has found the database")
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
            seen = World(service, ends, device)
            await seen.fix("tag-1", 10)
            await until(lambda: seen.stored() == set(seen.sent), "the history has it")
            await until(lambda: room.counts.written.fixes >= 1, "and the figures say so")
            assert room.counts.database_up
            await until(lambda: room.conduct.looks >= 1, "and looks at the conduct of the wearer")
            await until(lambda: service.parts.record.capacity, "and at the room there is")

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
            last = room.pid
            assert last is not None
    await until(lambda: not is_there(last), "it ends with the service")
