"""Sees whom the broker itself turned away, and brings that with the reason.

A message over the broker's size limit, or nonsense that is no MQTT, never reaches the gateway:
the broker closes the connection. It says so in an advisory, which becomes a refusal. What the
connection sent is lost with it; its sender has no acknowledgement and keeps it.
"""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.msg import Msg

from cordon.broker_refusals import BrokerRefusals
from cordon.connections import connect_nats
from devices.credentials import RESERVED

DISCONNECTS = "$SYS.ACCOUNT.*.DISCONNECT"
TOPIC = "$broker/disconnect"
CODE = "broker_closed"

NOT_LET_IN = "Authentication Failure"
NOTABLE = {
    "Maximum Message Payload Exceeded": "it sent a message larger than the broker takes",
    "Maximum Payload Exceeded": "it sent a message larger than the broker takes",
    "Protocol Violation": "what it sent is not accepted by the broker",
    "Malformed Packet": "what it sent is not accepted by the broker",
    "Parse Error": "what it sent is not accepted by the broker",
    "Read Error": "what it sent cannot be read",
    NOT_LET_IN: "its name or password is wrong",
    "Slow Consumer (Pending Bytes)": "it does not take what is sent to it",
}
"""Reasons worth an operator's look; the others are ordinary ends of connections."""


class _Client(msgspec.Struct, frozen=True):
    client_type: str = ""
    client_id: str = ""
    user: str = ""


class _Advisory(msgspec.Struct, frozen=True):
    reason: str = ""
    client: _Client = _Client()


class BrokerWatch:
    """Brings the connections that the broker closed for what they sent.

    Args:
        system_url: NATS address with system rights.
        refusals: Where they go.
        told_by_others: Failures of devices to sign in are left out: who refuses them brings them
            himself, with the very reason.
    """

    def __init__(
        self, system_url: str, refusals: BrokerRefusals, *, told_by_others: bool = False
    ) -> None:
        self._system_url = system_url
        self._refusals = refusals
        self._told_by_others = told_by_others

    async def run(self) -> None:
        """Listen until cancelled."""
        nc = await connect_nats(self._system_url, "broker-watch")
        try:
            await nc.subscribe(DISCONNECTS, cb=self._on_disconnect)
            await asyncio.Event().wait()
        finally:
            await nc.close()

    async def _on_disconnect(self, message: Msg) -> None:
        """Bring what is notable; the ordinary end of a connection is not."""
        try:
            advisory = msgspec.json.decode(message.data, type=_Advisory)
        except msgspec.MsgspecError:
            return
        client, reason = advisory.client, advisory.reason
        if client.client_type not in {"mqtt", "mqtt_websocket"} or reason not in NOTABLE:
            return
        if reason == NOT_LET_IN and self._told_by_others and client.user not in RESERVED:
            return
        said = f"The broker closed the connection: {NOTABLE[reason]} ({reason})."
        self._refusals.put(TOPIC, client.client_id, CODE, said, message.data)
