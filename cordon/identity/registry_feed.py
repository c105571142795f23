"""The registry of credentials: from the database to the keep, and from there to who lets devices in.

Letting a device in must not wait for PostgreSQL. As with the caseload, the registry in force lies
beside the journal as well, and each authorizer holds a copy in memory. With the database away the
last one stays in force; changes wait with the database.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import nats.errors
import psycopg
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.keep import Keep
from devices.credential_store import CredentialStore, OpenCredentials
from devices.credentials import Credential, CredentialError, Registry
from devices.ending import end_if_told
from devices.migrations import MigrationError
from devices.signing import SigningKey

log = structlog.get_logger("credentials")

KEPT = "credentials"
CHANGED = "core.credentials"
"""A message here says that the kept registry has changed."""

POLL_S = 1.0
"""How often the database is asked for its version: one row of one table."""

RETRY_S = 1.0
REFUSED_RETRY_S = 30.0
LOOK_S = 5.0
"""How often a copy looks at the keep by itself: a lost message delays a change by this much."""


class KeptRegistry(msgspec.Struct, frozen=True):
    """The registry in force, with the version the database gave it.

    `keys` is None where a version of the service wrote it that knew of none: who has to sign is not
    known from it.
    """

    version: int
    credentials: list[Credential]
    keys: list[SigningKey] | None = None


class RegistryFeed:
    """Copies each new version of the credentials from the database to the keep, and says so.

    Args:
        store: The credentials in the database.
        keep: The kept copy.
        nc: Where the change is announced, on `CHANGED`.
    """

    def __init__(self, store: CredentialStore, keep: Keep, nc: NatsClient) -> None:
        self._store = store
        self._keep = keep
        self._nc = nc
        self._version: int | None = None
        self._is_whole = True
        self.changes = 0
        self.reachable = False

    async def run(self) -> None:
        """Follow the database until cancelled; wait out its absence."""
        kept = await read_kept(self._keep)
        self._version = kept.version if kept else None
        self._is_whole = kept is None or kept.keys is not None
        while True:
            end_if_told()
            try:
                async with self._store.open() as database:
                    while True:
                        end_if_told()
                        await self._copy(database)
                        self.reachable = True
                        await asyncio.sleep(POLL_S)
            except psycopg.OperationalError as error:
                if self.reachable:
                    log.warning("credential_database_unreachable", reason=type(error).__name__)
                self.reachable = False
                await asyncio.sleep(RETRY_S)
            except MigrationError as error:
                log.error("credential_database_does_not_fit", reason=str(error))  # noqa: TRY400
                await asyncio.sleep(REFUSED_RETRY_S)

    async def _copy(self, database: OpenCredentials) -> None:
        version = await database.version()
        if version == self._version and self._is_whole:
            return
        if version == 0 and self._version:
            # A database that never held one must not lock every device out.
            log.error("credential_database_is_empty", meaning="the kept registry stays in force")
            await asyncio.sleep(REFUSED_RETRY_S)
            return
        if self._version is not None and version < self._version:
            log.error(
                "credential_database_is_older",
                meaning="a backup was restored: what was revoked since opens the door again",
                what_to_do="look at `cordon device list`, and revoke it again",
            )
        credentials, keys, version = await database.load()
        kept = KeptRegistry(version, credentials, keys)
        await self._keep.put(KEPT, msgspec.msgpack.encode(kept))
        await self._nc.publish(CHANGED, str(version).encode())
        self._version, self._is_whole = version, True
        self.changes += 1
        log.info("credentials_in_force", version=version)


class RegistryCopy:
    """The registry in memory, following the keep.

    Attributes:
        registry: In force; None before the first was read.
        changed: Set whenever it has changed; whoever acts on it clears it.
        looked: Set once it is known what the keep holds, or that it holds nothing that can be
            read: from then on there is nothing better to wait for.
    """

    def __init__(self, keep: Keep, nc: NatsClient) -> None:
        self._keep = keep
        self._nc = nc
        self._mark = ""
        self._called = asyncio.Event()
        self._renewed = asyncio.Condition()
        self.registry: Registry | None = None
        self.changed = asyncio.Event()
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        subscription = await self._nc.subscribe(CHANGED, cb=self._call)
        try:
            while True:
                end_if_told()
                self._called.clear()
                with contextlib.suppress(nats.errors.Error):  # the copy at hand goes on
                    await self._look()
                    self.looked.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._called.wait()
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    async def wait_for(self, version: int) -> None:
        """Wait until this version, or a later one, is in force."""
        async with self._renewed:
            await self._renewed.wait_for(
                lambda: self.registry is not None and self.registry.version >= version
            )

    async def _call(self, _message: Msg) -> None:
        self._called.set()

    async def _look(self) -> None:
        mark = await self._keep.mark(KEPT)
        if mark == self._mark:
            return
        kept = await read_kept(self._keep)
        if kept is None:
            return
        try:
            registry = Registry(kept.credentials, kept.keys or [], kept.version)
        except CredentialError as error:
            log.error("kept_credentials_unusable", reason=str(error))  # noqa: TRY400
            return
        self._mark = mark
        self.registry = registry
        self.changed.set()
        async with self._renewed:
            self._renewed.notify_all()


async def read_kept(keep: Keep) -> KeptRegistry | None:
    """The kept registry; None before the first, or when it cannot be read, which is logged."""
    data = await keep.get(KEPT)
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data, type=KeptRegistry)
    except msgspec.MsgspecError as error:
        log.error("kept_credentials_unreadable", reason=type(error).__name__)  # noqa: TRY400
        return None
