"""One MQTT 3.1.1 connection of a device under load, at the least cost to the machine measured.

A client library costs more for each message than the broker does, and on two cores what generates
the load would be the thing measured. This speaks just what is needed: CONNECT, PUBLISH with QoS 1,
SUBSCRIBE, PUBACK both ways, PINGREQ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import IPPROTO_TCP, TCP_NODELAY

CONNACK, PUBLISH, PUBACK = 0x20, 0x30, 0x40
KEEPALIVE_S = 60
PACKET_IDS = 65_535
PING = b"\xc0\x00"


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    """The remaining length of a packet, seven bits a byte."""
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _packet(head: int, body: bytes) -> bytes:
    return bytes((head,)) + _length(len(body)) + body


def connect_packet(client: str, user: str = "", password: str = "", *, clean: bool = True) -> bytes:
    """CONNECT, with a session that ends with the connection if it is to be clean."""
    flags, tail = 0x02 if clean else 0, b""
    if user:
        flags |= 0xC0
        tail = _text(user) + _text(password)
    body = _text("MQTT") + bytes((4, flags)) + KEEPALIVE_S.to_bytes(2, "big")
    return _packet(0x10, body + _text(client) + tail)


class Link(asyncio.Protocol):
    """A connection.

    Args:
        hello: Of `connect_packet`.
        subscription: Topic filter and QoS.
        on_message: Is given topic and payload; then the message is acknowledged.
        on_acknowledged: Is given the packet id of what the broker has acknowledged.
        on_lost: Called when the connection is gone.

    Attributes:
        ready: Done when the broker has accepted it (and granted its subscription); fails otherwise.
    """

    def __init__(
        self,
        hello: bytes,
        subscription: tuple[str, int] | None,
        on_message: Callable[[str, bytes], None],
        on_acknowledged: Callable[[int], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hello = hello
        self._subscription = subscription
        self._on_message = on_message
        self._on_acknowledged = on_acknowledged
        self._on_lost = on_lost
        self._buffer = b""
        self._packet_id = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._transport = transport
        transport.write(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, who keeps what was not acknowledged."""
        self._transport = None
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"the broker closed the connection: {exc}"))
        self._on_lost()

    def publish(self, topic: bytes, payload: bytes) -> int:
        """Send with QoS 1; returns the packet id that its acknowledgement will carry."""
        self._packet_id = self._packet_id % PACKET_IDS + 1
        body = topic + self._packet_id.to_bytes(2, "big") + payload
        assert self._transport is not None, "publish only while the link stands"
        self._transport.write(_packet(PUBLISH | 0x02, body))
        return self._packet_id

    def ping(self) -> None:
        """Keep the connection alive."""
        if self._transport is not None:
            self._transport.write(PING)

    def close(self) -> None:
        """Take leave in order."""
        if self._transport is not None:
            self._transport.write(b"\xe0\x00")
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take whole packets out of what has come."""
        self._buffer += data
        start = 0
        while (packet := _next_packet(self._buffer, start)) is not None:
            body, end = packet
            self._take(self._buffer[start], self._buffer[body:end])
            start = end
        self._buffer = self._buffer[start:]

    def _take(self, head: int, body: bytes) -> None:
        kind = head & 0xF0
        if kind == PUBACK:
            self._on_acknowledged(int.from_bytes(body[:2], "big"))
        elif kind == PUBLISH:
            end = 2 + int.from_bytes(body[:2], "big")
            payload = end + 2 if head & 0x06 else end
            self._on_message(body[2:end].decode(), body[payload:])
            if payload > end and self._transport is not None:
                self._transport.write(_packet(PUBACK, body[end:payload]))
        elif kind == CONNACK and body[1]:
            self.ready.set_exception(ConnectionError(f"the broker refuses it with code {body[1]}"))
        elif kind == CONNACK and self._subscription is not None and self._transport is not None:
            topic, qos = self._subscription
            self._transport.write(_packet(0x82, b"\x00\x01" + _text(topic) + bytes((qos,))))
        elif kind in {CONNACK, 0x90} and not self.ready.done():
            self.ready.set_result(None)


def _next_packet(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the body of the packet at `start` begins and ends; None while it is not all there."""
    size = shift = 0
    for position in range(start + 1, min(start + 5, len(data))):
        size |= (data[position] & 0x7F) << shift
        shift += 7
        if not data[position] & 0x80:
            end = position + 1 + size
            return (position + 1, end) if end <= len(data) else None
    return None


def topic_bytes(topic: str) -> bytes:
    """A topic as it stands in a packet."""
    return _text(topic)
