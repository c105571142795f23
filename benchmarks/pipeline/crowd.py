"""Devices under load: each keeps a report until it is acknowledged, over lost connections."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.pipeline.link import Link, connect_packet, topic_bytes
from benchmarks.pipeline.spec import SENT_DTYPE

WINDOW = 20
"""Messages of a device on their way at once, as in `simulators.outbox`."""

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 1.0
CONNECTING_AT_ONCE = 50
CONNECT_LIMIT_S = 10.0
PING_EVERY_S = 10.0
POLL_S = 0.05


@dataclass(slots=True, eq=False)
class Parcel:
    """One message and what it holds.

    Attributes:
        topic: As it stands in a packet.
        seq, reports: Number of its first report, and how many it has; 0 for what need not be kept.
        is_event: Its reports are events, not fixes.
    """

    topic: bytes
    payload: bytes
    device: int
    seq: int = 0
    reports: int = 0
    is_event: bool = False
    acknowledged: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """One device.

    Attributes:
        index: In the crowd.
        seq: Number of its next report.
    """

    index: int
    name: str
    topics: dict[str, bytes] = field(default_factory=dict)
    seq: int = 1
    link: Link | None = None
    waiting: deque[Parcel] = field(default_factory=deque)
    in_flight: dict[int, Parcel] = field(default_factory=dict)

    def topic(self, kind: str) -> bytes:
        """Its topic for reports of a kind."""
        found = self.topics.get(kind)
        if found is None:
            found = self.topics[kind] = topic_bytes(f"cordon/v1/{self.name}/{kind}")
        return found

    def send(self, parcel: Parcel) -> None:
        """Send it now, or as soon as the window and the connection allow."""
        self.waiting.append(parcel)
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the window goes."""
        link = self.link
        while link is not None and self.waiting and len(self.in_flight) < WINDOW:
            parcel = self.waiting.popleft()
            self.in_flight[link.publish(parcel.topic, parcel.payload)] = parcel

    def acknowledged(self, packet_id: int) -> None:
        """The broker has one."""
        parcel = self.in_flight.pop(packet_id, None)
        if parcel is not None:
            parcel.acknowledged = True
            self.pump()

    def take_back(self) -> None:
        """The connection is gone: what was on its way waits again, before everything newer."""
        self.link = None
        self.waiting.extendleft(reversed(self.in_flight.values()))
        self.in_flight.clear()


def as_rows(parcels: Iterable[Parcel]) -> bytes:
    """Bytes of an array of `SENT_DTYPE`: of each message that has reports, what it holds."""
    rows = [(p.device, p.seq, p.reports, p.is_event, p.acknowledged) for p in parcels if p.reports]
    return np.array(rows, SENT_DTYPE).tobytes()


async def until(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait until a condition holds, for `limit_s` at most."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while loop.time() < end_s and not condition():  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(POLL_S)


class Agency:
    """An agency's own system: it is told of every change of an alert, over lost connections."""

    def __init__(
        self, host: str, port: int, user: str, password: str, on_change: Callable[[bytes], None]
    ) -> None:
        self._address = host, port
        self._hello = connect_packet("agency-system", user, password, clean=False)
        self._on_change = on_change

    async def run(self, ready: asyncio.Event) -> None:
        """Listen until cancelled; `ready` is set once it does."""
        while True:
            lost = asyncio.Event()
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    link = await self._open(lost)
            except (OSError, TimeoutError):
                await asyncio.sleep(RETRY_FIRST_S)
                continue
            ready.set()
            keeping = asyncio.create_task(_keep_alive(link))
            await lost.wait()
            keeping.cancel()

    async def _open(self, lost: asyncio.Event) -> Link:
        _transport, link = await asyncio.get_running_loop().create_connection(
            lambda: Link(
                self._hello,
                ("cordon/v1/agency/+/alert", 1),
                lambda _topic, payload: self._on_change(payload),
                lambda _packet_id: None,
                lost.set,
            ),
            *self._address,
        )
        await link.ready
        return link


async def _keep_alive(link: Link) -> None:
    while True:
        await asyncio.sleep(PING_EVERY_S)
        link.ping()


class Crowd:
    """Many devices, each on a connection of its own.

    Args:
        on_command: Is given the index of a device and each command that it receives.
    """

    def __init__(self, host: str, port: int, on_command: Callable[[int, bytes], None]) -> None:
        self.members: list[Member] = []
        self.reconnects = 0
        self._host = host
        self._port = port
        self._on_command = on_command
        self._door = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._chance = random.Random(1)  # noqa: S311 - spreads reconnects, keeps no secret

    def add(self, name: str) -> Member:
        """A new device; it connects with `connect`."""
        member = Member(len(self.members), name)
        self.members.append(member)
        return member

    async def connect(self, members: Iterable[Member], *, listening: Callable[[str], bool]) -> None:
        """Connect devices and keep them connected; returns when all of them are."""
        firsts = []
        for member in members:
            first = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._stay(member, listening(member.name), first))
            self._tasks.add(task)
            firsts.append(first)
        await asyncio.gather(*firsts)

    @property
    def unacknowledged(self) -> int:
        """Messages that wait for their PUBACK, or to be sent at all."""
        return sum(len(m.waiting) + len(m.in_flight) for m in self.members)

    async def keep_alive(self) -> None:
        """Ping on quiet connections."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            for member in self.members:
                if member.link is not None:
                    member.link.ping()

    async def close(self) -> None:
        """Disconnect everybody."""
        self._closing = True
        for member in self.members:
            if member.link is not None:
                member.link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stay(self, member: Member, listens: bool, first: asyncio.Future[None]) -> None:  # noqa: FBT001
        pause_s = RETRY_FIRST_S
        while True:
            lost = asyncio.Event()
            try:
                async with self._door, asyncio.timeout(CONNECT_LIMIT_S):
                    link = await self._open(member, listens, lost)
            except (OSError, TimeoutError):
                await asyncio.sleep(pause_s * self._chance.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, RETRY_MOST_S)
                continue
            pause_s = RETRY_FIRST_S
            member.link = link
            member.pump()
            if not first.done():
                first.set_result(None)
            await lost.wait()
            if self._closing:
                return
            self.reconnects += 1

    async def _open(self, member: Member, listens: bool, lost: asyncio.Event) -> Link:  # noqa: FBT001
        def gone() -> None:
            member.take_back()
            lost.set()

        commands = (f"cordon/v1/{member.name}/command", 0) if listens else None
        hello = connect_packet(member.name)
        _transport, link = await asyncio.get_running_loop().create_connection(
            lambda: Link(
                hello,
                commands,
                lambda _topic, payload: self._on_command(member.index, payload),
                member.acknowledged,
                gone,
            ),
            self._host,
            self._port,
        )
        await link.ready
        return link
