"""Puts devices out whose credential is no longer good, while they are connected.

The broker asks about a device only when it comes. So whenever the registry has changed, and every
`SWEEP_S` in any case, all sessions are gone through, and who may not stay is cut off by the number
of his connection. When that fails, the end that each session was given is the second net.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NatsClient

from cordon.connections import connect_nats
from cordon.identity.authorizer import DEVICES_ACCOUNT, MQTT
from cordon.identity.registry_feed import RegistryCopy
from devices.credentials import RESERVED, Registry
from devices.ending import end_if_told
from devices.instants import Clock, from_iso

log = structlog.get_logger("sessions")

SWEEP_S = 20.0
PAGE = 1_024
"""Connections in one answer of a server."""

PAGES_LIMIT = 1_000
OPEN_OR_CLOSED = 2
ANSWER_S = 5.0
SERVERS_ANSWER_S = 0.5
"""How long the servers of a cluster are given to say that they are there."""

_PING = "$SYS.REQ.SERVER.PING"
_OF_SERVER = "$SYS.REQ.SERVER.{server}.{what}"


@dataclass(slots=True)
class SessionCounts:
    """Since the start.

    Attributes:
        swept: Times that all sessions were gone through.
        cut: Sessions that were ended.
        failed: Times that a server did not answer; it is tried again.
        sessions: Of devices, when they were gone through last.
    """

    swept: int = 0
    cut: int = 0
    failed: int = 0
    sessions: int = 0


class Connection(msgspec.Struct, frozen=True):
    """One connection as its server describes it."""

    cid: int
    start: str
    type: str = ""
    authorized_user: str = ""
    account: str = ""
    mqtt_client: str = ""


class _Page(msgspec.Struct, frozen=True):
    total: int = 0
    connections: list[Connection] = []


class _Server(msgspec.Struct, frozen=True):
    id: str


class _Answer(msgspec.Struct, frozen=True):
    server: _Server
    data: _Page = _Page()


class Sessions:
    """Ends the sessions of devices that may not stay.

    Args:
        system_url: NATS address with system rights.
        copy: The registry in force.
        clock: The time.
        nameless: Device that needs no credential, in a demonstration.

    Attributes:
        counts: See `SessionCounts`.
    """

    def __init__(
        self, system_url: str, copy: RegistryCopy, clock: Clock, *, nameless: str = ""
    ) -> None:
        self._system_url = system_url
        self._copy = copy
        self._clock = clock
        self._nameless = nameless
        self.counts = SessionCounts()

    async def run(self) -> None:
        """Go through the sessions until cancelled."""
        nc = await connect_nats(self._system_url, "sessions")
        try:
            while True:
                end_if_told()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_S):
                        await self._copy.changed.wait()
                self._copy.changed.clear()
                try:
                    await self._sweep(nc)
                except (nats.errors.Error, msgspec.MsgspecError) as error:
                    self.counts.failed += 1
                    log.warning("sessions_not_swept", reason=type(error).__name__)
                    await asyncio.sleep(1)
                    self._copy.changed.set()
        finally:
            await nc.close()

    async def _sweep(self, nc: NatsClient) -> None:
        registry = self._copy.registry
        if registry is None:
            return
        count = 0
        for server in await servers(nc):
            async for connection in connections(nc, server):
                device = device_of(connection)
                if device is None:
                    continue
                count += 1
                if not self._may_stay(registry, device, connection):
                    await self._cut(nc, server, connection, device)
        self.counts.swept += 1
        self.counts.sessions = count

    def _may_stay(self, registry: Registry, device: str, connection: Connection) -> bool:
        if device == self._nameless:
            return True
        return registry.may_stay(device, _start_us(connection), self._clock())

    async def _cut(self, nc: NatsClient, server: str, connection: Connection, device: str) -> None:
        subject = _OF_SERVER.format(server=server, what="KICK")
        await nc.request(subject, msgspec.json.encode({"cid": connection.cid}), timeout=ANSWER_S)
        self.counts.cut += 1
        log.warning("session_cut", device=device, what="its credential is no longer good")


def _start_us(connection: Connection) -> int:
    """When it began; the server writes nanoseconds."""
    return from_iso(connection.start.removesuffix("Z")[:26] + "Z")


async def servers(nc: NatsClient) -> list[str]:
    """Ids of all servers that answer.

    Raises:
        nats.errors.Error: None does.
    """
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    found = []
    try:
        await nc.publish(_PING, b"", reply=inbox)
        wait_s = ANSWER_S
        while True:
            message = await subscription.next_msg(timeout=wait_s)
            found.append(msgspec.json.decode(message.data, type=_Answer).server.id)
            wait_s = SERVERS_ANSWER_S
    except nats.errors.TimeoutError:
        if not found:
            raise
    finally:
        await subscription.unsubscribe()
    return found


async def connections(nc: NatsClient, server: str) -> AsyncIterator[Connection]:
    """Every connection of a server, page by page.

    Raises:
        nats.errors.Error: The server does not answer.
    """
    subject = _OF_SERVER.format(server=server, what="CONNZ")
    for page in range(PAGES_LIMIT):
        asked = msgspec.json.encode({"auth": True, "offset": page * PAGE, "limit": PAGE})
        answer = await nc.request(subject, asked, timeout=ANSWER_S)
        found = msgspec.json.decode(answer.data, type=_Answer).data
        for connection in found.connections:
            yield connection
        if (page + 1) * PAGE >= found.total:
            return


async def connection(nc: NatsClient, cid: int) -> Connection | None:
    """The connection of this number at whichever server has or had it, open or closed."""
    asked = msgspec.json.encode({"auth": True, "cid": cid, "state": OPEN_OR_CLOSED})
    for server in await servers(nc):
        answer = await nc.request(
            _OF_SERVER.format(server=server, what="CONNZ"), asked, timeout=ANSWER_S
        )
        for found in msgspec.json.decode(answer.data, type=_Answer).data.connections:
            return found
    return None


def device_of(connection: Connection) -> str | None:
    """The device that a session is of; None: it is no device's."""
    if connection.type not in MQTT or connection.account != DEVICES_ACCOUNT:
        return None
    return None if connection.authorized_user in RESERVED else connection.authorized_user
