"""Sending: takes the outbox's deliveries to their channels and does not give up early.

Each channel has a lane of its own, so a slow or dead one delays no other. Within a lane what is
more urgent goes first, a limited number at a time, each with a time limit; what fails waits a
little longer each time and is tried again until it is sent or has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from alerts.channels import Channel, PromptChannel
from alerts.deliveries import ChannelName, Delivery, DeliveryRecord, DeliveryState
from alerts.errors import NotDeliverable
from alerts.model import AlertChange
from alerts.outbox import Outbox
from devices.instants import MICROSECONDS, Clock

log = structlog.get_logger("alerts")

OnRecord = Callable[[DeliveryRecord], None]
"""Writes a record to the alerts stream. Must not block."""


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """Limits of each lane.

    Attributes:
        in_flight: Deliveries being sent at a time; others wait in the outbox.
        attempt_s: Time for one attempt.
        retry_first_s, retry_longest_s: Waiting time after the first failure, which doubles with
            each further one, and the longest.
    """

    in_flight: int = 256
    attempt_s: float = 5.0
    retry_first_s: float = 0.2
    retry_longest_s: float = 5.0


@dataclass(slots=True)
class LaneCounts:
    """What one lane has done.

    Attributes:
        failed_attempts: Attempts that will be repeated.
        unwritten_records: Records that the callback did not take.
        failing: Whether the last attempt failed.
    """

    sent: int = 0
    expired: int = 0
    refused: int = 0
    failed_attempts: int = 0
    unwritten_records: int = 0
    failing: bool = False


class Dispatcher:
    """Sends what changes of alerts ask for.

    Args:
        outbox: What has to be sent; after a restart, restored before `run`.
        channels: One for each channel of the outbox.
        on_record: Is given each record as it comes to be.
        clock: The time.
        limits: Of each lane.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[ChannelName, Channel],
        on_record: OnRecord,
        clock: Clock,
        limits: DispatchLimits | None = None,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        limits = limits or DispatchLimits()
        self._lanes = {
            name: _Lane(name, channel, outbox, on_record, clock, limits)
            for name, channel in channels.items()
        }

    @property
    def counts(self) -> Mapping[ChannelName, LaneCounts]:
        """By channel."""
        return {name: lane.counts for name, lane in self._lanes.items()}

    def submit(self, changes: Iterable[AlertChange]) -> None:
        """Have those concerned told of changes. Returns at once, whatever the channels do."""
        now_us = self._clock()
        for change in changes:
            for record in self._outbox.take(change, now_us=now_us):
                self._write(record)
        for lane in self._lanes.values():
            lane.pump()

    def _write(self, record: DeliveryRecord) -> None:
        """Of what is not sent at all; a channel that this site has not set up has no lane."""
        lane = (
            self._lanes[record.channel] if record.channel in self._lanes else self._lanes["agency"]
        )
        lane.report(record)

    async def run(self) -> None:
        """Send until cancelled. What is not sent by then stays in the outbox."""
        async with asyncio.TaskGroup() as group:
            for name, lane in self._lanes.items():
                group.create_task(lane.run(), name=f"deliveries to {name}")


class _Lane:
    """The way to one channel."""

    def __init__(
        self,
        name: ChannelName,
        channel: Channel,
        outbox: Outbox,
        on_record: OnRecord,
        clock: Clock,
        limits: DispatchLimits,
    ) -> None:
        self.counts = LaneCounts()
        self._name: ChannelName = name
        self._channel = channel
        self._outbox = outbox
        self._on_record = on_record
        self._clock = clock
        self._limits = limits
        self._failures: dict[str, int] = {}
        self._group: asyncio.TaskGroup | None = None
        self._sending = 0

    async def run(self) -> None:
        self._outbox.put_all_back(self._name)  # what a run that ended had in its hands
        self._sending = 0
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self.pump()
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    def pump(self) -> None:
        """Begin to send what waits, as far as the limit allows."""
        while self._group is not None and self._sending < self._limits.in_flight:
            delivery = self._outbox.next(self._name)
            if delivery is None:
                return
            self._sending += 1
            sent = self._begin(delivery)
            self._group.create_task(self._attempt(delivery, sent)).add_done_callback(self._sent)

    def _begin(self, delivery: Delivery) -> asyncio.Future[bool] | None:
        """Put it on its way now where the channel can: a task has its turn after all that waits."""
        if not isinstance(self._channel, PromptChannel) or self._is_late(delivery):
            return None
        try:
            return self._channel.begin(delivery)
        except Exception:  # noqa: BLE001 - the attempt meets it again, and says what it means
            return None

    def _is_late(self, delivery: Delivery) -> bool:
        return self._clock() >= delivery.expires_us

    def _sent(self, attempt: asyncio.Task[None]) -> None:
        self._sending -= 1
        if not attempt.cancelled():
            self.pump()

    async def _attempt(self, delivery: Delivery, sent: asyncio.Future[bool] | None) -> None:
        if sent is None and self._is_late(delivery):
            self.counts.expired += 1
            self._finish(delivery, "expired", "could not be sent in time")
            return
        try:
            async with asyncio.timeout(self._limits.attempt_s):
                if sent is None or not await sent:
                    await self._channel.send(delivery)
        except NotDeliverable as verdict:
            self.counts.refused += 1
            self._finish(delivery, "refused", str(verdict))
        except Exception as error:  # noqa: BLE001 - a channel may fail in any way; sending goes on
            self._fail(delivery, error)
        else:
            self.counts.sent += 1
            self._works(well=True)
            self._finish(delivery, "sent")

    def _fail(self, delivery: Delivery, error: Exception) -> None:
        failures = self._failures.get(delivery.id, 0) + 1
        self._failures[delivery.id] = failures
        self.counts.failed_attempts += 1
        self._works(well=False, error=type(error).__name__)
        wait_s = self._limits.retry_first_s * 2 ** min(failures - 1, 32)
        remaining_s = (delivery.expires_us - self._clock()) / MICROSECONDS
        wait_s = max(min(wait_s, self._limits.retry_longest_s, remaining_s), 0)
        asyncio.get_running_loop().call_later(wait_s, self._again, delivery)

    def _again(self, delivery: Delivery) -> None:
        if self._outbox.put_back(delivery):
            self.pump()
        else:
            self._failures.pop(delivery.id, None)

    def _finish(self, delivery: Delivery, state: DeliveryState, reason: str = "") -> None:
        self._failures.pop(delivery.id, None)
        self.report(self._outbox.finish(delivery, state, self._clock(), reason=reason))

    def report(self, record: DeliveryRecord) -> None:
        try:
            self._on_record(record)
        except Exception:
            # Without the record it is sent once more after a restart, under the same id.
            self.counts.unwritten_records += 1
            log.exception("delivery_record_not_written", channel=self._name)

    def _works(self, *, well: bool, error: str = "") -> None:
        """Speak up when the channel begins to fail and when it works again, not each time."""
        if self.counts.failing and well:
            log.info("channel_works_again", channel=self._name)
        elif not self.counts.failing and not well:
            log.warning("channel_failing", channel=self._name, error=error)
        self.counts.failing = not well
