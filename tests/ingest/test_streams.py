"""Setting up the streams."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType
from nats.js.errors import APIError

from cordon.embedded.ports import accepts_connections, free_port
from ingest.streams import (
    ALERTS,
    DECISIONS,
    DEFERRED,
    JOURNAL,
    STREAMS,
    StreamsError,
    ensure_streams,
    journal_subject,
)
from tests.ingest.waiting import until


async def test_ensuring_twice_changes_nothing(nc: NATS) -> None:
    js = nc.jetstream()
    assert await ensure_streams(js) == [JOURNAL, DEFERRED, DECISIONS, ALERTS]
    await js.publish(journal_subject(0), b"kept")
    assert await ensure_streams(js) == []
    assert (await js.get_msg(JOURNAL, 1)).data == b"kept"


async def test_new_limits_are_applied_and_entries_stay(js: JetStreamContext) -> None:
    await js.publish(journal_subject(0), b"kept")
    assert await ensure_streams(js, max_bytes=10**9) == list(STREAMS)
    info = await js.stream_info(JOURNAL)
    assert info.config.max_bytes == 600_000_000
    assert info.state.messages == 1


async def test_the_journal_refuses_when_full_and_lies_on_disk(js: JetStreamContext) -> None:
    await ensure_streams(js, max_bytes=10_000)
    config = (await js.stream_info(JOURNAL)).config
    assert config.storage == StorageType.FILE
    assert config.discard == DiscardPolicy.NEW
    for _ in range(5):
        await js.publish(journal_subject(0), bytes(1_000))
    with pytest.raises(APIError, match="maximum bytes"):
        await js.publish(journal_subject(0), bytes(1_000))
    assert (await js.get_msg(JOURNAL, 1)).seq == 1


async def test_too_little_room_is_explained(nc: NATS) -> None:
    with pytest.raises(StreamsError, match="max_file"):
        await ensure_streams(nc.jetstream(), max_bytes=10**15)


async def test_jetstream_off_is_explained(tmp_path: Path) -> None:
    port = free_port()
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    log = tmp_path / "log"
    command = [str(program), "-a", "127.0.0.1", "-p", str(port), "-l", str(log)]
    server = subprocess.Popen(command)  # noqa: ASYNC220 -- starts at once
    try:
        await until(lambda: accepts_connections("127.0.0.1", port), "the server listens")
        nc = await nats.connect(f"nats://127.0.0.1:{port}")
        with pytest.raises(StreamsError, match="JetStream is off"):
            await ensure_streams(nc.jetstream())
        await nc.close()
    finally:
        server.kill()
        server.wait()
