"""Sending goes on whatever the channels do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
import structlog
from structlog.testing import capture_logs

from alerts.channels import Channel
from alerts.channels.agency import AgencyChannel
from alerts.channels.handset import HandsetChannel
from alerts.deliveries import ChannelName, DeliveryRecord
from alerts.dispatcher import Dispatcher, DispatchLimits
from alerts.model import AlertChange
from alerts.outbox import Outbox
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    WATCH,
    desk,
    event,
    transition,
)

LIMIT_S = 10.0
QUICK = DispatchLimits(in_flight=4, attempt_s=0.05, retry_first_s=0.001, retry_longest_s=0.004)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - the condition belongs to the code under test
            await asyncio.sleep(0.001)


class Publisher:
    """Fails, hangs or works, as it is told."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.attempts: list[str] = []
        self.fail_on: Callable[[str], bool] = lambda _topic: False
        self.hang_on: Callable[[str], bool] = lambda _topic: False
        self.inside = 0
        self.most_inside = 0
        self.begun: list[tuple[str, asyncio.Future[bool]]] = []
        self.is_prompt = False

    def begin(self, topic: str, _payload: bytes) -> asyncio.Future[bool] | None:
        if not self.is_prompt:
            return None
        confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.begun.append((topic, confirmed))
        return confirmed

    async def publish(self, topic: str, payload: bytes) -> None:
        self.attempts.append(topic)
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        try:
            if self.hang_on(topic):
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            if self.fail_on(topic):
                raise ConnectionError("no broker")
        finally:
            self.inside -= 1
        self.published.append((topic, payload))

    def to(self, ending: str) -> list[bytes]:
        return [payload for topic, payload in self.published if topic.endswith(ending)]


class Bench:
    """A dispatcher with everything around it."""

    def __init__(self, limits: DispatchLimits = QUICK) -> None:
        self.now_us = START_US
        self.publisher = Publisher()
        self.records: list[DeliveryRecord] = []
        self.bearers = dict(BEARERS)
        self.outbox = Outbox(PROFILES, self.bearers.get)
        self.channels: dict[ChannelName, Channel] = {
            "handset": HandsetChannel(self.publisher, self.bearers.get),
            "agency": AgencyChannel(self.publisher),
        }
        self.dispatcher = Dispatcher(
            self.outbox, self.channels, self.records.append, lambda: self.now_us, limits
        )

    def states(self, channel: str) -> list[str]:
        return [record.state for record in self.records if record.channel == channel]

    async def submit_promptly(self) -> None:
        """Submit an alert to channels that can write at once."""
        self.publisher.is_prompt = True
        for _ in range(3):  # turns of the loop until the lanes are there: a task, and its tasks
            await asyncio.sleep(0)
        self.dispatcher.submit(raised())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.dispatcher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()


def raised(kind: str = "alert") -> list[AlertChange]:
    if kind == "alert":
        return desk().on_transition(transition(1, Level.ALERT), WATCH, now_us=START_US)
    return desk().on_event(event(kind, 1), PHONE, now_us=START_US)


@contextmanager
def heard() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as logs:
        yield logs


async def test_a_change_goes_to_both_and_is_recorded() -> None:
    bench = Bench()
    async with bench.running():
        bench.dispatcher.submit(raised())
        await until(lambda: len(bench.records) == 2)
    assert {topic for topic, _ in bench.publisher.published} == {
        "cordon/v1/phone1/command",
        "cordon/v1/agency/centre/alert",
    }
    assert bench.states("handset") == bench.states("agency") == ["sent"]
    assert bench.outbox.pending() == []
    assert bench.dispatcher.counts["handset"].sent == 1


async def test_what_was_submitted_before_the_start_is_sent() -> None:
    bench = Bench()
    bench.dispatcher.submit(raised())
    assert bench.publisher.attempts == []
    async with bench.running():
        await until(lambda: len(bench.records) == 2)


async def test_what_a_channel_can_write_at_once_has_left_when_submit_returns() -> None:
    bench = Bench()
    async with bench.running():
        await bench.submit_promptly()
        written = [topic for topic, _ in bench.publisher.begun]
        assert written == ["cordon/v1/phone1/command", "cordon/v1/agency/centre/alert"]
        assert bench.records == []  # not before somebody has taken charge of it
        for _, confirmed in bench.publisher.begun:
            confirmed.set_result(True)
        await until(lambda: len(bench.records) == 2)
    assert bench.states("handset") == bench.states("agency") == ["sent"]
    assert bench.publisher.attempts == []


async def test_what_was_written_and_lost_with_its_connection_is_sent_again() -> None:
    bench = Bench()
    async with bench.running():
        await bench.submit_promptly()
        for _, confirmed in bench.publisher.begun:
            confirmed.set_result(False)
        await until(lambda: len(bench.records) == 2)
    assert len(bench.publisher.published) == 2
    assert bench.dispatcher.counts["handset"].failed_attempts == 0


async def test_what_is_written_and_never_confirmed_is_tried_again_in_time() -> None:
    bench = Bench(DispatchLimits(attempt_s=0.05, retry_first_s=0.01))
    async with bench.running():
        await bench.submit_promptly()
        bench.publisher.is_prompt = False
        await until(lambda: len(bench.records) == 2)
    assert bench.states("handset") == ["sent"]
    assert bench.dispatcher.counts["handset"].failed_attempts == 1


async def test_a_failing_channel_is_tried_until_it_works() -> None:
    bench = Bench()
    bench.publisher.fail_on = lambda _topic: len(bench.publisher.attempts) < 20
    with heard() as logs:
        async with bench.running():
            bench.dispatcher.submit(raised())
            await until(lambda: len(bench.records) == 2)
    assert bench.states("handset") == bench.states("agency") == ["sent"]
    counts = bench.dispatcher.counts
    assert counts["handset"].failed_attempts + counts["agency"].failed_attempts >= 18
    assert not counts["handset"].failing
    said = [entry["event"] for entry in logs]
    assert said.count("channel_failing") == 2  # once each, not once for each attempt
    assert said.count("channel_works_again") == 2


async def test_a_dead_channel_delays_no_other() -> None:
    bench = Bench()
    bench.publisher.hang_on = lambda topic: "agency" in topic
    async with bench.running():
        for number in range(20):
            change = transition(1, Level.ALERT, onset_us=START_US + number)
            bench.dispatcher.submit(desk().on_transition(change, WATCH, now_us=START_US))
        await until(lambda: len(bench.states("handset")) == 20)
        await until(lambda: bench.dispatcher.counts["agency"].failed_attempts > 4)
        assert bench.states("agency") == []
        bench.publisher.hang_on = lambda _topic: False
        await until(lambda: len(bench.states("agency")) == 20)
    assert set(bench.states("agency")) == {"sent"}


async def test_one_bad_recipient_delays_no_other() -> None:
    bench = Bench()
    bad = msgspec.structs.replace(
        PHONE, device="phone2", person="p2", agencies=("bad",), notify=("phone2",)
    )
    bench.bearers["phone2"] = bad
    bench.publisher.fail_on = lambda topic: "bad" in topic or "phone2" in topic
    async with bench.running():
        panic = event("panic", 1, device="phone2")
        bench.dispatcher.submit(desk().on_event(panic, bad, now_us=START_US))
        await until(lambda: bench.dispatcher.counts["handset"].failed_attempts > 3)
        bench.dispatcher.submit(raised("battery_low"))
        await until(lambda: len(bench.records) == 2)
    assert {record.recipient for record in bench.records} == {"phone1", "centre"}


async def test_what_is_too_old_is_not_sent_but_recorded() -> None:
    bench = Bench()
    bench.publisher.fail_on = lambda topic: topic.endswith("command")
    async with bench.running():
        bench.dispatcher.submit(raised())
        await until(lambda: bench.dispatcher.counts["handset"].failed_attempts > 2)
        bench.now_us += 3600 * SECOND_US
        await until(lambda: bench.states("handset"))
        bench.publisher.fail_on = lambda _topic: False
    assert bench.states("handset") == ["expired"]
    assert bench.publisher.to("command") == []
    assert bench.dispatcher.counts["handset"].expired == 1


async def test_a_device_that_changed_hands_while_waiting_gets_nothing() -> None:
    bench = Bench()
    bench.dispatcher.submit(raised())
    bench.bearers["phone1"] = TAG
    async with bench.running():
        await until(lambda: len(bench.records) == 2)
    assert bench.states("handset") == ["refused"]
    assert bench.publisher.to("command") == []
    assert bench.dispatcher.counts["handset"].refused == 1


async def test_what_was_not_confirmed_is_sent_again_after_a_restart_with_its_id() -> None:
    first = Bench()
    first.publisher.hang_on = lambda _topic: True
    changes = raised()
    async with first.running():
        first.dispatcher.submit(changes)
        await until(lambda: len(first.publisher.attempts) >= 2)
    second = Bench()
    second.outbox.restore(changes, now_us=START_US)
    waiting = {delivery.id for delivery in first.outbox.pending()}
    assert len(waiting) == 2
    async with second.running():
        await until(lambda: len(second.records) == 2)
    assert {record.delivery_id for record in second.records} == waiting


async def test_a_lane_that_was_ended_can_go_on() -> None:
    bench = Bench()
    bench.publisher.hang_on = lambda _topic: True
    async with bench.running():
        bench.dispatcher.submit(raised())
        await until(lambda: len(bench.publisher.attempts) >= 2)
    bench.publisher.hang_on = lambda _topic: False
    async with bench.running():
        await until(lambda: len(bench.records) == 2)


async def test_no_more_is_in_flight_than_the_limit_and_the_urgent_goes_first() -> None:
    bench = Bench(DispatchLimits(in_flight=1))
    for kind in ("battery_low", "permission_off", "panic"):
        bench.dispatcher.submit(raised(kind))
    async with bench.running():
        await until(lambda: len(bench.records) == 6)
    assert bench.publisher.most_inside <= 2  # one for each lane
    tiers = [b'"tier":1' in payload for payload in bench.publisher.to("alert")]
    assert tiers == [True, False, False]


async def test_a_record_that_cannot_be_written_stops_nothing() -> None:
    bench = Bench()
    written: list[DeliveryRecord] = []

    def write(record: DeliveryRecord) -> None:
        if record.channel == "agency":
            raise OSError("stream full")
        written.append(record)

    bench.dispatcher = Dispatcher(bench.outbox, bench.channels, write, lambda: bench.now_us, QUICK)
    with heard() as logs:
        async with bench.running():
            bench.dispatcher.submit(raised())
            bench.dispatcher.submit(raised("panic"))
            await until(lambda: len(bench.publisher.published) == 4)
            await until(lambda: bench.dispatcher.counts["agency"].unwritten_records == 2)
    assert len(written) == 2
    assert {entry["event"] for entry in logs} == {"delivery_record_not_written"}
