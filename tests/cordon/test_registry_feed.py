"""The registry of credentials in the keep, over an update of the service."""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.client import Client as NatsClient

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.identity.provisioning import new_signing_key
from cordon.identity.registry_feed import KEPT, RegistryCopy, RegistryFeed
from cordon.keep import Keep
from devices.credential_store import CredentialStore
from tests.conftest import Database
from tests.cordon.running import until
from tests.ingest.waiting import running


async def test_who_has_to_sign_is_known_after_an_update(
    broker: EmbeddedBroker, database: Database
) -> None:
    store = CredentialStore(database.dsn)
    async with store.open() as opened:
        key, _ = new_signing_key("tag-1", "hmac", by="Kim", now_us=1, public=b"")
        await opened.issue_keys([key], replace=True)
        version = await opened.version()
    nc: NatsClient = await connect_nats(broker.nats_url, "test")
    keep = await Keep.open(nc.jetstream())
    # As a version wrote it that knew of no keys, at the version the database still has.
    await keep.put(KEPT, msgspec.msgpack.encode({"version": version, "credentials": []}))
    copy, feed = RegistryCopy(keep, nc), RegistryFeed(store, keep, nc)
    async with running(copy.run()), running(feed.run()):
        await asyncio.wait_for(copy.wait_for(version), 20)
        await until(
            lambda: copy.registry is not None and copy.registry.signs("tag-1").must_sign,
            "it has to sign",
        )
        assert feed.changes == 1
    await nc.close()
