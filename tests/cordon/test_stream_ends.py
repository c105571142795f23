"""Where streams ended, from start to start."""

from __future__ import annotations

import pytest

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep
from cordon.stream_ends import NAME, Ends, stream_ends
from evidence.sources import Stream
from ingest.streams import ensure_streams

MAX_BYTES = 64 * 1024 * 1024


@pytest.mark.parametrize(
    "kept", [b"", b"not JSON", b'{"streams":{"OF_ANOTHER_VERSION":3},"journal":1}']
)
async def test_what_cannot_be_read_keeps_nobody_from_starting(
    broker: EmbeddedBroker, kept: bytes
) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js, max_bytes=MAX_BYTES)
    keep = await Keep.open(js, max_bytes=MAX_BYTES)
    await keep.put(NAME, kept)
    assert await stream_ends(js, keep) == Ends(dict.fromkeys(Stream, 0), 0, 0)
    await nc.close()


async def test_the_first_end_counts_until_it_is_forgotten(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js, max_bytes=MAX_BYTES)
    keep = await Keep.open(js, max_bytes=MAX_BYTES)
    none = Ends(dict.fromkeys(Stream, 0), 0, 0)
    assert await stream_ends(js, keep) == none
    for stream in Stream:
        [subject] = (await js.stream_info(stream.value)).config.subjects or []
        await js.publish(subject.replace("*", "0").replace(">", "0"), b"one")
    assert await stream_ends(js, keep) == none
    await keep.put(NAME, b"{}")
    assert await stream_ends(js, keep) == Ends(dict.fromkeys(Stream, 1), 1, 1)
    await nc.close()
