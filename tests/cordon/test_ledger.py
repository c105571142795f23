"""Counting a run from outside, also when the database is away at that moment."""

from __future__ import annotations

import asyncio

import nats
import pytest

from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError
from cordon.ledger import Ledger, Tally
from evidence.store import Store
from ingest.streams import ensure_streams
from simulators.score import Key

NEVER_STORED = Key("tag-1", 1_790_000_000_000_000, 1)


async def opened(broker: EmbeddedBroker, postgres: EmbeddedPostgres) -> Ledger:
    """A ledger over an empty journal and an empty history."""
    nc = await nats.connect(broker.nats_url)
    await ensure_streams(nc.jetstream())
    await nc.close()
    store = Store(postgres.dsn)
    await store.migrate()
    await store.close()
    return await Ledger.begin(Endpoints.embedded(broker, postgres))


async def test_a_database_that_comes_back_is_waited_for(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    ledger = await opened(broker, postgres)
    postgres.kill()
    counting = asyncio.create_task(ledger.tally({NEVER_STORED: False}, limit_s=60))
    done, _ = await asyncio.wait({counting}, timeout=3)
    assert not done
    postgres.start()
    assert await counting == Tally(journaled=0, stored=0, lost=0)
    await ledger.close()


async def test_a_database_that_stays_away_is_said_in_words(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    ledger = await opened(broker, postgres)
    postgres.kill()
    with pytest.raises(CordonError, match="The database did not answer"):
        await ledger.tally({NEVER_STORED: True}, limit_s=0.5)
    await ledger.close()
