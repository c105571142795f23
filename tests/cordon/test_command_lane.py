"""The way of commands: to whom what may be sent, and what becomes of the rest."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from cordon import command_lane
from cordon.command_lane import CommandLane
from devices.command_desk import Sending
from devices.commands import TAG_COMMAND_BYTES, FixInterval, decode_command
from devices.instants import to_iso
from devices.watches import Bearer
from tests.ingest.waiting import until

NOW_US = 1_795_000_000_000_000
TAG = Bearer(device="tag-1", kind="tag", person="he", role="wearer", fix_interval_s=60.0)
PHONE = Bearer(
    device="phone-1", kind="handset", person="she", role="protected", fix_interval_s=60.0
)
SPARE = Bearer(device="spare", kind="tag", person=None, role=None, fix_interval_s=60.0)
BEARERS = {one.device: one for one in (TAG, PHONE, SPARE)}


class Broker:
    """Takes what is published, or refuses."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.refuses = False

    def begin(self, topic: str, payload: bytes) -> None: ...

    async def publish(self, topic: str, payload: bytes) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise OSError("no connection")
        self.published.append((topic, payload))


def sending(device: str, number: int = 1, expires_us: int = NOW_US + 1) -> Sending:
    command = FixInterval(
        id=f"c{number}", time=to_iso(NOW_US), expires=to_iso(expires_us), interval_s=15
    )
    return Sending(device, command, expires_us)


async def test_each_goes_to_its_device_and_nobody_elses_gets_any() -> None:
    broker = Broker()
    lane = CommandLane(broker, BEARERS.get, lambda: NOW_US)
    task = asyncio.create_task(lane.run())
    lane.put([sending("tag-1"), sending("phone-1"), sending("spare"), sending("unheard-of")])
    lane.put([sending("tag-1", 2, expires_us=NOW_US)])
    await until(lambda: lane.counts.expired == 1, "all are dealt with")
    await until(lambda: lane.counts.sent == 2, "two are sent")
    assert [topic for topic, _ in broker.published] == [
        "cordon/v1/tag-1/command",
        "cordon/v1/phone-1/command",
    ]
    assert len(broker.published[0][1]) == TAG_COMMAND_BYTES
    assert decode_command(broker.published[0][1]) == sending("tag-1").command
    assert lane.counts.unaddressed == 2
    broker.refuses = True
    lane.put([sending("tag-1", 3)])
    await until(lambda: lane.counts.failed == 1, "the failure is counted")
    broker.refuses = False
    lane.put([sending("tag-1", 4)])
    await until(lambda: lane.counts.sent == 3, "and the next is sent")
    task.cancel()


async def test_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_lane, "WAITING_LIMIT", 2)
    broker = Broker()
    lane = CommandLane(broker, BEARERS.get, lambda: NOW_US)
    lane.put([sending("tag-1", number) for number in range(5)])
    assert lane.counts.dropped == 3
    task = asyncio.create_task(lane.run())
    await until(lambda: lane.counts.sent == 2, "the newest are sent")
    ids = [msgspec.json.decode(payload)["id"] for _, payload in broker.published]
    assert ids == ["c3", "c4"]
    task.cancel()
