"""What several tests of the service begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from nats.js import JetStreamContext

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep
from ingest.streams import ensure_streams

MAX_BYTES = 64 * 1024 * 1024


class StreamsPlace(NamedTuple):
    """The service's streams at a broker of the test's own, and what is kept beside them."""

    js: JetStreamContext
    keep: Keep


@pytest.fixture
async def place(broker: EmbeddedBroker) -> AsyncIterator[StreamsPlace]:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js, max_bytes=MAX_BYTES)
    yield StreamsPlace(js, await Keep.open(js, max_bytes=MAX_BYTES))
    await nc.close()
