"""Devices over a real broker that is killed under them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.commands import FixInterval, Locate, Notify, Text
from devices.instants import to_iso
from simulators.device import SimulatedDevice
from simulators.score import Ledger
from simulators.wire import Broker
from tests.ingest.waiting import until
from tests.simulators.service import Listener, address, listening


@asynccontextmanager
async def alive(device: SimulatedDevice) -> AsyncIterator[SimulatedDevice]:
    life = asyncio.create_task(device.run())
    try:
        await until(device.online.is_set, "the device is connected")
        yield device
    finally:
        device.close(1.0)
        await asyncio.wait_for(life, 10)


def device(
    broker: EmbeddedBroker,
    name: str = "tag-1",
    *,
    handset: bool = False,
    observer: Ledger | None = None,
) -> SimulatedDevice:
    return SimulatedDevice(
        name, address(broker), clock=wall_clock_us, handset=handset, observer=observer
    )


async def test_no_fix_is_forgotten_when_the_broker_is_killed(broker: EmbeddedBroker) -> None:
    ledger = Ledger()
    given: set[int] = set()

    async with listening(broker) as listener, alive(device(broker, observer=ledger)) as tag:

        def report(count: int) -> None:
            now_us = wall_clock_us()
            given.update(tag.fix(now_us + n, 54.0, 4.0, accuracy_m=5) for n in range(count))

        report(60)
        await until(lambda: ledger.acknowledged >= 20, "the first fixes are acknowledged")
        report(40)  # some of these are in flight when it happens
        await asyncio.sleep(0)
        broker.kill()
        await until(lambda: not tag.online.is_set(), "the device notices")
        report(200)
        broker.start()
        report(5)
        await until(lambda: len(tag.outbox) == 0, "everything is acknowledged", 40)

        def arrived() -> set[int]:
            return {fix["seq"] for fix in listener.reports("fix")}

        await until(lambda: arrived() == given, "every fix has arrived", 40)
        assert {key.seq for key in ledger.published_keys()} == given
        assert ledger.unacknowledged() == []
        assert ledger.published == ledger.acknowledged == len(given) == 305
        buffered = {fix["seq"] for fix in listener.reports("fix") if fix.get("buffered")}
        assert len(buffered) == tag.counts.buffered >= 200
        assert tag.counts.connects == 2


async def test_a_fix_says_what_is_known_and_nothing_else(broker: EmbeddedBroker) -> None:
    async with listening(broker) as listener, alive(device(broker)) as tag:
        first = tag.fix(1_800_000_000_123_456, 54.000000049, -4.25, speed_mps=600.0)
        second = tag.fix(1_800_000_001_000_000, 1, 2, accuracy_m=6.504, speed_mps=1, course_deg=90)
        event = tag.event("panic", 1_800_000_002_000_000, peer="phone-1")
        await until(lambda: len(listener.reports("fix")) == 2, "both fixes arrive")
        await until(lambda: len(listener.reports("event")) == 1, "the event arrives")
    assert listener.reports("fix") == [
        {"seq": first, "time": "2027-01-15T08:00:00.123456Z", "lat": 54.0, "lon": -4.25},
        {
            "seq": second,
            "time": "2027-01-15T08:00:01.000000Z",
            "lat": 1.0,
            "lon": 2.0,
            "accuracy_m": 6.5,
            "speed_mps": 1.0,
            "course_deg": 90.0,
        },
    ]
    (panic,) = listener.reports("event")
    assert (panic["type"], panic["seq"], panic["peer"]) == ("panic", event, "phone-1")


async def test_numbers_never_repeat_not_even_after_a_restart(broker: EmbeddedBroker) -> None:
    first, now_us = device(broker), wall_clock_us()
    used = [first.fix(now_us, 1, 2) for _ in range(50)] + [first.event("panic", now_us)]
    again = device(broker)
    used += [again.fix(now_us, 1, 2) for _ in range(50)]
    assert used == sorted(set(used))


async def test_coming_and_going_is_told(broker: EmbeddedBroker) -> None:
    def online(listener: Listener) -> list[bool]:
        return [status["online"] for status in listener.reports("status")]

    async with listening(broker) as listener:
        async with alive(device(broker)):
            await until(lambda: online(listener) == [True], "it says that it is there")
        await until(lambda: online(listener) == [True, False], "it says that it leaves")
    times = [status["time"] for status in listener.reports("status")]
    assert all(time.endswith("Z") for time in times)


def notify(number: int, version: int, *, expires_us: int | None = None) -> Notify:
    now_us = wall_clock_us()
    return Notify(
        id=f"command-{number}",
        time=to_iso(now_us),
        expires=to_iso(expires_us or now_us + 60_000_000),
        alert_id="alert-1",
        version=version,
        kind="raised",
        tier=2,
        level="alert",
        title="Someone is near",
        text="Help is told.",
    )


async def test_a_handset_answers_commands_and_shows_each_once(broker: EmbeddedBroker) -> None:
    ledger = Ledger()
    now = to_iso(wall_clock_us())
    later = to_iso(wall_clock_us() + 60_000_000)
    phone = device(broker, "phone-1", handset=True, observer=ledger)
    async with listening(broker) as listener, alive(phone):
        await listener.send("phone-1", b"not json")
        await listener.send("phone-1", notify(1, 2))
        await listener.send("phone-1", notify(1, 2))  # repeated: answered, not shown again
        await listener.send("phone-1", notify(2, 1))  # older than what is shown
        await listener.send("phone-1", notify(3, 3, expires_us=1))
        await listener.send("phone-1", Locate(id="command-4", time=now, expires=later))
        await listener.send("phone-1", Text(id="command-5", time=now, expires=later, message="hi"))
        await until(lambda: len(listener.reports("receipt")) == 9, "all receipts arrive")
    answers = [(receipt["id"], receipt["state"]) for receipt in listener.reports("receipt")]
    shown = {"command-1", "command-5"}
    assert sorted(answers) == sorted(
        [(f"command-{n}", "received") for n in (1, 1, 2, 3, 4, 5)]
        + [(f"command-{n}", "shown") for n in (1, 1, 5)]
    )
    assert {command for command, state in answers if state == "shown"} == shown
    assert phone.counts.commands == 5
    assert phone.counts.repeated_commands == 1
    assert phone.counts.expired_commands == 1
    assert phone.counts.unreadable_commands == 1
    assert ledger.notices == 3
    assert ledger.alerts_raised == 1


def every(interval_s: float, number: int, *, at_us: int = 0) -> FixInterval:
    now_us = at_us or wall_clock_us()
    return FixInterval(
        id=f"command-{number}",
        time=to_iso(now_us),
        expires=to_iso(now_us + 60_000_000),
        interval_s=interval_s,
    )


async def test_a_tag_obeys_and_answers_but_shows_nothing(broker: EmbeddedBroker) -> None:
    start_us = wall_clock_us()
    tag = SimulatedDevice("tag-1", address(broker), clock=wall_clock_us, interval_s=60)
    async with listening(broker) as listener, alive(tag):

        def walk(from_s: int) -> list[int]:
            """A position each second for two minutes; the seconds that were reported."""
            seconds = range(from_s, from_s + 120)
            return [s for s in seconds if tag.fix(start_us + s * 1_000_000, 54, 4) >= 0]

        assert walk(0) == [0, 57, 114]
        await listener.send("tag-1", notify(1, 1))
        await listener.send("tag-1", every(15, 2, at_us=start_us + 2))
        await listener.send("tag-1", every(60, 3, at_us=start_us + 1))  # overtaken: it is older
        await until(lambda: len(listener.reports("receipt")) == 3, "it answers each")
        assert tag.interval_s == 15
        assert walk(200)[:4] == [200, 215, 230, 245]
    states = {(receipt["id"], receipt["state"]) for receipt in listener.reports("receipt")}
    assert states == {(f"command-{n}", "received") for n in (1, 2, 3)}


async def test_an_expired_interval_is_not_obeyed(broker: EmbeddedBroker) -> None:
    tag = SimulatedDevice("tag-1", address(broker), clock=wall_clock_us, interval_s=60)
    async with listening(broker) as listener, alive(tag):
        await listener.send("tag-1", every(15, 1, at_us=1_000_000))
        await until(lambda: len(listener.reports("receipt")) == 1, "it answers")
        assert (tag.interval_s, tag.counts.expired_commands) == (60, 1)


async def test_closing_without_a_broker_ends_in_time() -> None:
    nowhere = Broker(host="127.0.0.1", port=9)
    tag = SimulatedDevice("tag-1", nowhere, clock=wall_clock_us)
    tag.fix(wall_clock_us(), 1, 2)
    life = asyncio.create_task(tag.run())
    await until(lambda: tag.counts.failures >= 2, "it has tried")
    tag.close(0.2)
    await asyncio.wait_for(life, 5)
    assert len(tag.outbox) == 1


@pytest.mark.parametrize("empty", [True, False])
async def test_closing_before_running_ends_at_once(empty: bool) -> None:  # noqa: FBT001
    tag = SimulatedDevice("tag-1", Broker(host="127.0.0.1", port=9), clock=wall_clock_us)
    if not empty:
        tag.fix(wall_clock_us(), 1, 2)
    tag.close(0.1)
    await asyncio.wait_for(tag.run(), 5)
