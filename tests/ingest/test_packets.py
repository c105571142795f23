"""Packets out of a stream: the same however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packets import MAX_PACKET_BYTES, PUBACK, PacketError, PacketReader, Publish, puback


def length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def encoded(packet: Publish | bytes) -> bytes:
    if isinstance(packet, bytes):
        return packet
    mid = packet.mid.to_bytes(2, "big") if packet.qos else b""
    body = len(packet.topic).to_bytes(2, "big") + packet.topic + mid + packet.payload
    head = 0x30 | packet.qos << 1 | int(packet.retained)
    return bytes((head,)) + length(len(body)) + body


publishes = st.builds(
    lambda topic, payload, mid, retained: Publish(topic, payload, 1 if mid else 0, mid, retained),
    st.binary(max_size=40),
    st.binary(max_size=400),
    st.integers(0, 65_535),
    st.booleans(),
)
others = st.sampled_from([b"\x40\x02\x00\x07", b"\xd0\x00", b"\x90\x03\x00\x01\x01"])
packets = st.lists(st.one_of(publishes, others), max_size=12)


@given(packets, st.data())
def test_what_was_put_together_is_taken_apart(
    wanted: list[Publish | bytes], data: st.DataObject
) -> None:
    stream = b"".join(map(encoded, wanted))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, found = PacketReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == wanted


@given(st.binary(max_size=300), st.integers(1, 50))
def test_nonsense_ends_as_packets_or_as_an_error(noise: bytes, step: int) -> None:
    reader = PacketReader()
    taken = 0
    try:
        for start in range(0, len(noise), step):
            for packet in reader.feed(noise[start : start + step]):
                taken += len(packet) if isinstance(packet, bytes) else len(encoded(packet))
    except PacketError:
        return
    assert taken <= len(noise) + 4  # a length may be written longer than it need be


def test_what_is_too_long_is_an_error() -> None:
    with pytest.raises(PacketError):
        PacketReader().feed(b"\x30" + length(MAX_PACKET_BYTES + 1))
    with pytest.raises(PacketError):
        PacketReader().feed(b"\x30\xff\xff\xff\xff\xff")


def test_a_publish_shorter_than_its_topic_is_an_error() -> None:
    with pytest.raises(PacketError):
        PacketReader().feed(b"\x32\x03\x00\x09a")


@given(st.lists(st.integers(1, 65_535), max_size=30))
def test_acknowledgements_are_packets(mids: list[int]) -> None:
    found = PacketReader().feed(puback(mids))
    assert [packet[0] for packet in found if isinstance(packet, bytes)] == [PUBACK] * len(mids)
    assert [
        int.from_bytes(packet[2:], "big") for packet in found if isinstance(packet, bytes)
    ] == mids
