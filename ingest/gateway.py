"""The gateway: takes what devices report from the broker and acknowledges it once it is journaled.

It holds two sessions at the broker. What a device noticed (and its status and receipts) comes on one,
positions on the other, so that no flood of positions fills the window in front of a panic. Within
each, what is urgent goes first, and a device that sends more than it may waits (`ingest.allowance`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from devices.instants import Clock
from devices.reports import Batch, Message, Refusal, no_fixes
from ingest.ack_client import Incoming
from ingest.allowance import BURST_MESSAGES, MESSAGES_PER_S, Allowances, Verdict, is_bulk
from ingest.decoder import Decoder
from ingest.formats.registry import EVENT_FILTERS, POSITION_FILTERS, find
from ingest.journal import JournalUnavailableError
from ingest.mqtt import MqttBroker
from ingest.session import GatewayCounts, Journal, Lane, Session

IDENTIFIER = "cordon-gateway-0"
"""Begins the names of the sessions at the broker. A standby that connects with the same ones takes
them over."""

FLOOD_TOPIC = "$gateway/flood"
FLOOD_CODE = "flood"

log = structlog.get_logger("ingest")

Defer = Callable[[Sequence[Message]], Awaitable[None]]


class Gateway:
    """Carries reports from the broker into the journal.

    Args:
        broker: Where the sessions are.
        journal: Where batches are kept.
        clock: The time.
        defer: Keeps messages that have to wait (`ingest.slow_lane.SlowLane.keep`). None: nobody
            has to.
        identifier: Begins the names of the sessions.
        name: Names this gateway and its start; no two starts share it. None: a new one.
        decoder: Reads the messages. None: a new one.

    Attributes:
        ready: Set while the subscriptions of all sessions stand.
        counts: See `GatewayCounts`.
    """

    def __init__(
        self,
        broker: MqttBroker,
        journal: Journal,
        clock: Clock,
        *,
        defer: Defer | None = None,
        identifier: str = IDENTIFIER,
        name: str | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self.name = name or new_name(identifier)
        self.ready = asyncio.Event()
        self.counts = GatewayCounts()
        self._clock = clock
        self._journal = journal
        self._defer = defer
        self._allowances = Allowances()
        self._near: frozenset[str] = frozenset()
        self._floods = 0
        self._telling: set[asyncio.Task[None]] = set()
        lanes = (
            self._lane("events", EVENT_FILTERS, (), lambda topic: find(topic).urgent),
            self._lane(
                "fixes",
                POSITION_FILTERS,
                EVENT_FILTERS,
                lambda topic: find(topic).device in self._near,
            ),
        )
        self._sessions = [
            Session(
                lane,
                broker,
                journal,
                clock,
                # The session of positions is that which once carried everything: what still waits
                # in it must not be left there.
                identifier=identifier if lane.others else f"{identifier}-{lane.name}",
                gateway=self.name,
                counts=self.counts,
                decoder=decoder or Decoder(),
                on_readiness=self._look_at_readiness,
            )
            for lane in lanes
        ]

    @property
    def unacked(self) -> int:
        """Messages taken from the broker and not yet acknowledged."""
        return sum(session.unacked for session in self._sessions)

    @property
    def flooding(self) -> int:
        """Devices that send more than they may."""
        return self._allowances.flooding

    def put_first(self, near: Iterable[str]) -> None:
        """From now on these devices' positions go before all others: their wearers are near."""
        self._near = frozenset(near)

    async def run(self) -> None:
        """Serves until it is cancelled; see `Session.run`."""
        async with asyncio.TaskGroup() as group:
            for session in self._sessions:
                group.create_task(session.run(), name="gateway-session")

    def _look_at_readiness(self) -> None:
        if all(session.ready.is_set() for session in self._sessions):
            self.ready.set()
        else:
            self.ready.clear()

    def _lane(
        self,
        name: str,
        filters: tuple[str, ...],
        others: tuple[str, ...],
        is_urgent: Callable[[str], bool],
    ) -> Lane:
        async def defer(messages: Sequence[Message]) -> None:
            assert self._defer is not None, "sorted out only where somebody keeps it"
            await self._defer(messages)

        def sort(messages: Sequence[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
            return self._sort(messages, is_urgent)

        return Lane(name, filters, others, is_urgent, self._is_bulk, sort, defer)

    def _is_bulk(self, topic: str, size_bytes: int) -> bool:
        # The topic of another server speaks for many devices.
        return self._defer is not None and is_bulk(size_bytes) and bool(find(topic).device)

    def _sort(
        self, messages: Sequence[Incoming], is_urgent: Callable[[str], bool]
    ) -> tuple[list[Incoming], list[Incoming]]:
        """Those to be taken in now, and those to wait. What is urgent pays, and never waits."""
        if self._defer is None:
            return list(messages), []
        now: list[Incoming] = []
        later: list[Incoming] = []
        for message in messages:
            device = find(message.topic).device
            if not device:  # the topic of another server, which speaks for many devices
                now.append(message)
                continue
            verdict = self._allowances.judge(device, len(message.payload), message.received_us)
            if verdict is Verdict.AT_ONCE or is_urgent(message.topic):
                now.append(message)
            else:
                later.append(message)
            if verdict in {Verdict.FLOOD, Verdict.STILL_FLOOD}:
                self._tell_flood(device, began=verdict is Verdict.FLOOD)
        return now, later

    def _tell_flood(self, device: str, *, began: bool) -> None:
        """Have a flood kept as a refusal: staff see it beside all others, and are alerted by it."""
        if began:
            self.counts.floods += 1
            log.warning("device_floods", device=device[:64])
        self._floods += 1
        task = asyncio.create_task(self._keep_flood(device, self._floods), name="flood")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _keep_flood(self, device: str, number: int) -> None:
        now_us = self._clock()
        data = json.dumps({"device": device[:64]}).encode()
        refusal = Refusal(
            message=0,
            device=device[:64],
            code=FLOOD_CODE,
            reason=f"It sends more than {MESSAGES_PER_S:g} messages a second, and more than "
            f"{BURST_MESSAGES:g} at once. What exceeds that is kept and taken in later. Look at "
            "the device: a fault, or somebody else with its credentials.",
            item=None,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).digest(),
        )
        batch = Batch(
            gateway=f"{self.name}.floods",
            number=number,
            received_us=now_us,
            messages=(Message(now_us, FLOOD_TOPIC, data),),
            fixes=no_fixes(),
            refusals=(refusal,),
        )
        try:
            await self._journal.append(batch)
        except JournalUnavailableError:
            log.warning("flood_not_journaled")
        else:
            self.counts.refusals[FLOOD_CODE] += 1


def new_name(identifier: str = IDENTIFIER) -> str:
    """A name for a gateway that starts now."""
    return f"{identifier}-{secrets.token_hex(4)}"
