"""Small things that must outlive the process and be at hand without the database.

The caseload in force and the engine's checkpoint lie in a JetStream object store, beside the
journal: whoever can read the journal can start, whether PostgreSQL is up or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib

import msgspec
import structlog
from nats.js import JetStreamContext
from nats.js.api import ObjectStoreConfig
from nats.js.errors import (
    BadObjectMetaError,
    DigestMismatchError,
    NotFoundError,
    ObjectNotFoundError,
)
from nats.js.object_store import ObjectStore

from devices.caseload import Caseload

log = structlog.get_logger("keep")

BUCKET = "keep"
MAX_BUCKET_BYTES = 512 * 1024 * 1024
SHORT_LIMIT_S = 2.0
GET_LIMIT_S = 20.0
"""Longest waits for one thing. Where pieces of it are missing nats-py would wait for ever, and so it would
for what is replaced while it is read, of which the second try reads what is there by then."""

CASELOAD = "caseload"
CASELOAD_SUBJECT = "core.caseload"
"""A message here says that the kept caseload has changed; it carries the version."""

_STREAM = f"OBJ_{BUCKET}"
_PIECES = f"$O.{BUCKET}.C."


class KeptCaseload(msgspec.Struct, frozen=True):
    """The caseload in force, with the version the database gave it."""

    version: str
    caseload: Caseload


class Keep:
    """Named, compressed blobs; each put replaces the one before."""

    def __init__(self, js: JetStreamContext, store: ObjectStore) -> None:
        self._js = js
        self._store = store

    @classmethod
    async def open(cls, js: JetStreamContext, *, max_bytes: int = MAX_BUCKET_BYTES) -> Keep:
        """Open the bucket, making it when it is not there. Nobody may be putting meanwhile.

        Args:
            js: JetStream of the service's account.
            max_bytes: Disk it may use, reserved at the broker.

        Raises:
            nats.errors.Error: The broker has no room for it, or does not answer.
        """
        try:
            store = await js.object_store(BUCKET)
        except NotFoundError:
            config = ObjectStoreConfig(max_bytes=max_bytes)
            return cls(js, await js.create_object_store(BUCKET, config))
        stream = (await js.stream_info(_STREAM)).config
        if stream.max_bytes != max_bytes:
            stream.max_bytes = max_bytes
            await js.update_stream(stream)
        await _sweep(js, store)
        return cls(js, store)

    @classmethod
    async def look(cls, js: JetStreamContext) -> Keep | None:
        """Open the bucket to read, whoever works with it meanwhile; None when there is none.

        Raises:
            nats.errors.Error: The broker does not answer.
        """
        try:
            return cls(js, await js.object_store(BUCKET))
        except NotFoundError:
            return None

    async def put(self, name: str, data: bytes) -> None:
        """Keep `data` under `name`.

        Raises:
            nats.errors.Error: It is not known to be kept; what was kept before may still be.
        """
        packed = await asyncio.to_thread(zlib.compress, data, 1)
        await self._store.put(name, packed)

    async def get(self, name: str) -> bytes | None:
        """What was kept last, or None: nothing was, or it is damaged, which is logged.

        Raises:
            nats.errors.Error: The broker does not answer.
        """
        with contextlib.suppress(TimeoutError):
            return await self._get(name, SHORT_LIMIT_S)
        return await self._get(name, GET_LIMIT_S)

    async def _get(self, name: str, limit_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(limit_s):
                kept = await self._store.get(name)
            return zlib.decompress(kept.data) if kept.data else None
        except ObjectNotFoundError:
            return None
        except (BadObjectMetaError, DigestMismatchError, zlib.error) as error:
            log.error("kept_thing_damaged", name=name, reason=type(error).__name__)  # noqa: TRY400
            return None
        except TimeoutError:
            if await self._is_whole(name):
                raise
            log.error("kept_thing_damaged", name=name, reason="pieces are missing")  # noqa: TRY400
            return None

    async def _is_whole(self, name: str) -> bool:
        thing = await self._store.get_info(name)
        pieces = await _pieces(self._js)
        return pieces.get(f"{_PIECES}{thing.nuid}", 0) == (thing.chunks or 0)

    async def mark(self, name: str) -> str:
        """Changes with every put of `name`; empty before the first. Cheaper than `get`."""
        try:
            return str((await self._store.get_info(name)).nuid)
        except ObjectNotFoundError:
            return ""

    async def put_caseload(self, kept: KeptCaseload) -> None:
        """Keep the caseload in force."""
        await self.put(CASELOAD, msgspec.json.encode(kept))

    async def get_caseload(self) -> KeptCaseload | None:
        """The caseload in force; None before the first one, or when it cannot be read.

        An unreadable one is logged. The database has it still, and `caseload_feed` brings it.
        """
        data = await self.get(CASELOAD)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=KeptCaseload)
        except msgspec.MsgspecError as error:
            log.error("kept_caseload_unreadable", reason=type(error).__name__)  # noqa: TRY400
            return None


async def _pieces(js: JetStreamContext) -> dict[str, int]:
    """Subjects of all pieces in the bucket, and how many stand on each."""
    state = (await js.stream_info(_STREAM, subjects_filter=f"{_PIECES}>")).state
    return state.subjects or {}


async def _sweep(js: JetStreamContext, store: ObjectStore) -> None:
    """Remove pieces that belong to nothing: those of a put that a crash cut short.

    nats-py leaves them, and would fill the bucket with them crash by crash.
    """
    pieces = await _pieces(js)
    if not pieces:
        return
    try:
        wanted = {f"{_PIECES}{thing.nuid}" for thing in await store.list()}
    except NotFoundError:  # it says so of an empty bucket
        wanted = set()
    for subject in pieces.keys() - wanted:
        await js.purge_stream(_STREAM, subject=subject)
        log.info("unfinished_put_removed")
