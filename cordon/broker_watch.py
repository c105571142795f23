"""Sees whom the broker itself turned away, and keeps that with the reason.

A message over the broker's size limit, or nonsense that is no MQTT, never reaches the gateway:
the broker closes the connection. It says so in an advisory, which is journaled as a refusal, so
that staff see it beside all others. What the connection sent is lost with it; its sender has no
acknowledgement and keeps it.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.msg import Msg

from cordon.connections import connect_nats
from devices.instants import Clock
from devices.reports import Batch, Message, Refusal, no_fixes
from ingest.journal import JournalUnavailableError, JournalWriter

log = structlog.get_logger("broker-watch")

DISCONNECTS = "$SYS.ACCOUNT.*.DISCONNECT"
TOPIC = "$broker/disconnect"
CODE = "broker_closed"
WAITING_LIMIT = 1_000
"""Advisories that wait to be journaled; more are counted and let go."""

NOTABLE = {
    "Maximum Message Payload Exceeded": "it sent a message larger than the broker takes",
    "Maximum Payload Exceeded": "it sent a message larger than the broker takes",
    "Protocol Violation": "what it sent is not accepted by the broker",
    "Malformed Packet": "what it sent is not accepted by the broker",
    "Parse Error": "what it sent is not accepted by the broker",
    "Read Error": "what it sent cannot be read",
    "Authentication Failure": "its name or password is wrong",
    "Slow Consumer (Pending Bytes)": "it does not take what is sent to it",
}
"""Reasons worth an operator's look; the others are ordinary ends of connections."""


@dataclass(slots=True)
class WatchCounts:
    """What a watch has done since it was made.

    Attributes:
        closed: Connections that the broker closed for what they sent, journaled as refusals.
        let_go: Advisories lost because too many waited, or the journal did not take them.
    """

    closed: int = 0
    let_go: int = 0


class _Client(msgspec.Struct, frozen=True):
    client_type: str = ""
    client_id: str = ""
    user: str = ""


class _Advisory(msgspec.Struct, frozen=True):
    reason: str = ""
    client: _Client = _Client()


class BrokerWatch:
    """Journals the connections that the broker closed for what they sent.

    Args:
        system_url: NATS address with system rights.
        journal: Where refusals are kept.
        clock: The time.
        gateway: Name of the gateway this belongs to; its batches are a piece of the gateway's.

    Attributes:
        counts: See `WatchCounts`.
    """

    def __init__(
        self, system_url: str, journal: JournalWriter, clock: Clock, *, gateway: str
    ) -> None:
        self._system_url = system_url
        self._journal = journal
        self._clock = clock
        self._name = f"{gateway}.watch"
        self._number = 0
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING_LIMIT)
        self.counts = WatchCounts()

    async def run(self) -> None:
        """Listen until cancelled."""
        nc = await connect_nats(self._system_url, "broker-watch")
        try:
            await nc.subscribe(DISCONNECTS, cb=self._on_disconnect)
            while True:
                await self._keep(await self._waiting.get())
        finally:
            await nc.close()

    async def _on_disconnect(self, message: Msg) -> None:
        try:
            self._waiting.put_nowait(message.data)
        except asyncio.QueueFull:
            self.counts.let_go += 1

    async def _keep(self, data: bytes) -> None:
        batch = self._refusal(data)
        if batch is None:
            return
        try:
            await self._journal.append(batch)
        except JournalUnavailableError:
            self.counts.let_go += 1
            log.warning("advisory_not_journaled")
        else:
            self.counts.closed += 1

    def _refusal(self, data: bytes) -> Batch | None:
        """What to keep of an advisory; None for the ordinary end of a connection."""
        try:
            advisory = msgspec.json.decode(data, type=_Advisory)
        except msgspec.MsgspecError:
            return None
        client = advisory.client
        if client.client_type not in {"mqtt", "mqtt_websocket"} or advisory.reason not in NOTABLE:
            return None
        self._number += 1
        now_us = self._clock()
        refusal = Refusal(
            message=0,
            device=client.client_id[:128],
            code=CODE,
            reason=f"The broker closed the connection: {NOTABLE[advisory.reason]} "
            f"({advisory.reason}).",
            item=None,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).digest(),
        )
        return Batch(
            gateway=self._name,
            number=self._number,
            received_us=now_us,
            messages=(Message(now_us, TOPIC, data),),
            fixes=no_fixes(),
            refusals=(refusal,),
        )
