"""Small things that must outlive the process and be at hand without the database.

The caseload in force and the engine's checkpoint lie in a JetStream object store, beside the
journal: whoever can read the journal can start, whether PostgreSQL is up or not.
"""

from __future__ import annotations

import zlib

import msgspec
from nats.js import JetStreamContext
from nats.js.api import ObjectStoreConfig
from nats.js.errors import NotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from devices.caseload import Caseload

BUCKET = "keep"
MAX_BUCKET_BYTES = 512 * 1024 * 1024
CASELOAD = "caseload"
CASELOAD_SUBJECT = "core.caseload"
"""A message here says that the kept caseload has changed; it carries the version."""


class KeptCaseload(msgspec.Struct, frozen=True):
    """The caseload in force, with the version the database gave it."""

    version: str
    caseload: Caseload


class Keep:
    """Named, compressed blobs; each put replaces the one before."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    async def open(cls, js: JetStreamContext) -> Keep:
        """Open the bucket, making it when it is not there."""
        try:
            return cls(await js.object_store(BUCKET))
        except NotFoundError:
            config = ObjectStoreConfig(max_bytes=MAX_BUCKET_BYTES)
            return cls(await js.create_object_store(BUCKET, config))

    async def put(self, name: str, data: bytes) -> None:
        """Keep `data` under `name`."""
        await self._store.put(name, zlib.compress(data, level=1))

    async def get(self, name: str) -> bytes | None:
        """What was kept last, or None. Its digest has been checked on the way."""
        try:
            kept = await self._store.get(name)
        except ObjectNotFoundError:
            return None
        return zlib.decompress(kept.data) if kept.data else None

    async def put_caseload(self, kept: KeptCaseload) -> None:
        """Keep the caseload in force."""
        await self.put(CASELOAD, msgspec.json.encode(kept))

    async def get_caseload(self) -> KeptCaseload | None:
        """The caseload in force, or None before the first one."""
        data = await self.get(CASELOAD)
        return msgspec.json.decode(data, type=KeptCaseload) if data else None
