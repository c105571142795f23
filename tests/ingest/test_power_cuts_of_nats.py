"""nats-server on a disk that loses what was not forced: it starts, and has all that was forced.

It forces messages once in `sync_interval`, and never what a stream is (``meta.inf``): until the system
has written that by itself, within half a minute of the stream's making, a power cut takes the stream
away. `ensure_streams` makes it again, and then the messages are in it that were forced.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from ingest.reader import StreamReader
from ingest.streams import JOURNAL, ensure_streams, journal_subject
from tests.ingest.waiting import until
from tests.power.mounted import LossyDisk

pytestmark = pytest.mark.timeout(240)
GROUP = 60
SEEDS = (None, 1, 2, 3)


async def fill(js: JetStreamContext, first: int, count: int) -> None:
    for number in range(first, first + count):
        await js.publish(journal_subject(0), str(number).encode() * 50)


async def held(js: JetStreamContext) -> list[int]:
    """The numbers that the stream holds, in its order."""
    reader = StreamReader(js, JOURNAL, journal_subject(0), 0)
    found: list[int] = []
    while len(found) < (await js.stream_info(JOURNAL)).state.last_seq:
        found += [int(e.data[: len(e.data) // 50]) for e in await reader.read(5.0)]
    await reader.close()
    return found


async def test_what_was_forced_is_there_and_it_goes_on(
    lossy_store: LossyDisk, tmp_path: Path
) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    kept: list[int] = []

    def messages_forced() -> bool:
        return not any(name.endswith(".blk") for name in lossy_store.unforced())

    lost = 0
    for seed in SEEDS:
        broker.start()
        async with await nats.connect(broker.nats_url, allow_reconnect=False) as nc:
            js = nc.jetstream()
            await ensure_streams(js)
            there = await held(js)
            assert there[: len(kept)] == kept, "what was forced"
            await fill(js, 1_000 + len(there), GROUP)
            kept = await held(js)
            assert kept[: len(there)] == there
            await until(messages_forced, "sync_interval has passed")
            await fill(js, 5_000, GROUP)
            await asyncio.to_thread(lossy_store.cut)
            broker.kill()
        lossy_store.bring_back(seed)
    broker.start()
    async with await nats.connect(broker.nats_url, allow_reconnect=False) as nc:
        js = nc.jetstream()
        await ensure_streams(js)
        there = await held(js)
        assert there[: len(kept)] == kept
        lost += len(kept) + GROUP - len(there)
        await fill(js, 9_000, 1)
        assert (await held(js))[len(there) :] == [9_000]
    assert lost, "the last group was not forced"
    broker.stop()
