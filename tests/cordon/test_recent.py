"""What a service that stands by remembers, and hands over when it takes charge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.recent import Recent
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.session import MAX_BATCH_MESSAGES
from tests.cordon.running import until
from tests.ingest.reports import NOW_US, fix, payload


class _Counting(Decoder):
    """Counts what it has decoded."""

    decoded = 0

    def decode(self, messages: Sequence[Message], **more: Any) -> Batch:
        self.decoded += len(messages)
        return super().decode(messages, **more)


async def test_what_is_handed_over_is_decoded_piece_by_piece(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    heard = 0

    def clock() -> int:
        nonlocal heard
        heard += 1
        return NOW_US

    recent, decoder, count = Recent(nc, clock), _Counting(), 2 * MAX_BATCH_MESSAGES + 50
    async with recent.listening():
        for seq in range(count):
            await nc.publish("cordon.v1.tag-1.fix", payload(fix(seq=seq)))
        await until(lambda: heard >= 2 * count, "all of them are heard")
    batches = recent.batches("gw", decoder)
    first = next(batches)
    assert decoder.decoded == len(first.messages) == MAX_BATCH_MESSAGES, "others have a turn now"
    everything = [first, *batches]
    assert [int(seq) for one in everything for seq in one.fixes["seq"]] == list(range(count))
    assert len({one.name for one in everything}) == 3
    await nc.close()
