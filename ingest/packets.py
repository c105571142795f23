"""MQTT 3.1.1 packets out of a stream of bytes, as far as the gateway needs them.

A core without I/O. PUBLISH is taken apart here; every other packet is handed on as it came, to the
library that holds the connection.
"""

from __future__ import annotations

from typing import NamedTuple

PUBLISH, PUBACK = 0x30, 0x40

MAX_PACKET_BYTES = 2 * 1024 * 1024
"""A longer one is a broken stream: nats-server hands on no payload over 1 MiB."""

_LENGTH_BYTES = 4
_SHORT = 2  # bytes of a length of text, and of a packet id


class PacketError(ValueError):
    """The bytes are no MQTT; the connection that brought them is of no use."""


class Publish(NamedTuple):
    """A PUBLISH.

    Attributes:
        topic: As received; whoever shows it decides about what is not UTF-8.
        mid: Packet id; 0 with QoS 0.
    """

    topic: bytes
    payload: bytes
    qos: int
    mid: int
    retained: bool


class PacketReader:
    """Cuts a stream into packets, in order, however it is cut into pieces on its way."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Publish | bytes]:
        """Take in what has come.

        Returns:
            The packets that are now whole: `Publish`, or the bytes of any other.

        Raises:
            PacketError: This is no MQTT, or a packet is longer than `MAX_PACKET_BYTES`.
        """
        buffer = self._rest + data if self._rest else data
        packets: list[Publish | bytes] = []
        start = 0
        while (found := _find(buffer, start)) is not None:
            body, end = found
            if buffer[start] & 0xF0 == PUBLISH:
                packets.append(_publish(buffer, start, body, end))
            else:
                packets.append(buffer[start:end])
            start = end
        self._rest = buffer[start:]
        return packets


def _find(buffer: bytes, start: int) -> tuple[int, int] | None:
    """Where the body of the packet at `start` begins and ends; None while it is not all there."""
    size = shift = 0
    for position in range(start + 1, min(start + 1 + _LENGTH_BYTES, len(buffer))):
        byte = buffer[position]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if size > MAX_PACKET_BYTES:
                raise PacketError(f"a packet of {size} bytes")
            end = position + 1 + size
            return (position + 1, end) if end <= len(buffer) else None
    if len(buffer) > start + _LENGTH_BYTES:
        raise PacketError("a length of more than four bytes")
    return None


def _publish(buffer: bytes, start: int, body: int, end: int) -> Publish:
    """The packet at `start`, whose body is from `body` to `end`. A payload is copied once."""
    head = buffer[start]
    qos = (head >> 1) & 3
    topic = body + _SHORT
    topic_end = topic + int.from_bytes(buffer[body:topic], "big")
    payload = topic_end + (_SHORT if qos else 0)
    if payload > end or qos > 2:
        raise PacketError("a PUBLISH that contradicts its length")
    mid = int.from_bytes(buffer[topic_end:payload], "big")
    return Publish(buffer[topic:topic_end], buffer[payload:end], qos, mid, bool(head & 1))


def puback(mids: list[int]) -> bytes:
    """PUBACK for each of these packet ids, one after the other."""
    return b"".join([b"\x40\x02" + mid.to_bytes(_SHORT, "big") for mid in mids])
