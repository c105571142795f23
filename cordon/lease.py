"""Which of several services is in charge: a lease in JetStream, renewed for as long as it is.

The lease is one key with one revision; whoever changes it names the revision he knows, so two can
never hold it. It carries an epoch that grows with every change of hands. Nobody compares clocks: a
lease has expired when its revision has not changed for `LEASE_S` by the watcher's own clock. It lies
at the broker, where everything that a service does goes through; with the broker away nobody can
take it, and nobody needs to.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.js.api import KeyValueConfig
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from cordon.errors import CordonError
from devices.durable import make_durable_folder, write_durably
from devices.ending import end_if_told

BUCKET = "lease"
KEY = "service-0"
LEASE_S = 1.2
"""Without a renewal for so long the lease is free. An event loop that is held up for longer than
this loses it."""

RENEW_S = 0.3
LOOK_S = 0.1
ANSWER_LIMIT_S = 1.0
GIVE_BACK_LIMIT_S = 1.0
MAX_BUCKET_BYTES = 1024 * 1024

_FAILURES = (nats.errors.Error, JetStreamError, OSError, TimeoutError)

_TAKEN = (
    "Another service is in charge of this broker. Start this one with --standby: it takes over when "
    "the other is gone."
)

log = structlog.get_logger("lease")


class LeaseLostError(CordonError):
    """Another service is in charge now; this one has to end."""


class Held(msgspec.Struct, frozen=True):
    """What the key holds.

    Attributes:
        epoch: Counts changes of hands.
        owner: Who is in charge; empty when it was given back.
    """

    epoch: int
    owner: str


class Lease:
    """The lease as one service sees it.

    Args:
        bucket: Of `open_bucket`.
        owner: Names this installation; the same after a restart, so that one that was killed and
            started again need not wait for itself.
    """

    def __init__(self, bucket: KeyValue, owner: str) -> None:
        self.epoch = 0
        self._bucket = bucket
        self._owner = owner
        self._revision = 0

    async def take(self, *, patient: bool) -> None:
        """Take charge, as soon as nobody else is.

        Args:
            patient: Wait for as long as it takes; else for one `LEASE_S` only.

        Raises:
            CordonError: Somebody else is in charge, and we are not patient.
        """
        loop = asyncio.get_running_loop()
        seen, since_s = 0, loop.time()
        while True:
            end_if_told()
            try:
                held, revision = await self._read()
                free = held is None or held.owner in {"", self._owner}
                if not free and revision != seen:
                    if seen and not patient:
                        raise CordonError(_TAKEN)
                    seen, since_s = revision, loop.time()
                expired = loop.time() - since_s > LEASE_S
                if (free or expired) and await self._claim(held, revision):
                    return
            except _FAILURES as error:
                log.info("lease_not_read", reason=type(error).__name__)
                since_s = loop.time()  # who is in charge cannot renew it either
            await asyncio.sleep(LOOK_S)

    async def hold(self) -> None:
        """Renew it until cancelled.

        Raises:
            LeaseLostError: Somebody else has taken it.
        """
        while True:
            end_if_told()
            await asyncio.sleep(RENEW_S)
            try:
                await self._renew()
            except _FAILURES as error:
                # With the broker away nobody else can take it either.
                log.debug("lease_not_renewed", reason=type(error).__name__)

    async def give_back(self) -> None:
        """Let whoever stands by take over at once. What fails here costs him `LEASE_S`."""
        try:
            async with asyncio.timeout(GIVE_BACK_LIMIT_S):
                await self._bucket.update(KEY, _encoded(Held(self.epoch, "")), self._revision)
        except _FAILURES as error:
            log.info("lease_not_given_back", reason=type(error).__name__)

    async def _renew(self) -> None:
        try:
            held = Held(self.epoch, self._owner)
            self._revision = await self._bucket.update(KEY, _encoded(held), self._revision)
        except KeyWrongLastSequenceError:
            await self._look_who_has_it()

    async def _look_who_has_it(self) -> None:
        """A renewal whose answer was lost looks like this as well."""
        held, revision = await self._read()
        if held != Held(self.epoch, self._owner):
            raise LeaseLostError(
                "Another service has taken charge: this one had not renewed its lease for "
                f"{LEASE_S:g} s. It ends; start it again with --standby. If this repeats while "
                "both run, the machine is too busy."
            )
        self._revision = revision

    async def _claim(self, held: Held | None, revision: int) -> bool:
        epoch = held.epoch + 1 if held else 1
        try:
            self._revision = await self._bucket.update(
                KEY, _encoded(Held(epoch, self._owner)), revision
            )
        except KeyWrongLastSequenceError:
            return False
        self.epoch = epoch
        log.info("lease_taken", epoch=epoch)
        return True

    async def _read(self) -> tuple[Held | None, int]:
        """Who holds it, and the revision of the key; (None, 0) before the first."""
        try:
            entry = await self._bucket.get(KEY)
        except KeyNotFoundError:
            return None, 0
        return msgspec.msgpack.decode(entry.value or b"", type=Held), entry.revision or 0


def _encoded(held: Held) -> bytes:
    return msgspec.msgpack.encode(held)


async def open_bucket(nc: NatsClient) -> KeyValue:
    """The bucket that the lease lies in, made when it is not there."""
    js = nc.jetstream(timeout=ANSWER_LIMIT_S)
    try:
        return await js.key_value(BUCKET)
    except NotFoundError:
        return await js.create_key_value(
            config=KeyValueConfig(bucket=BUCKET, history=1, max_bytes=MAX_BUCKET_BYTES)
        )


def instance_name(home: Path) -> str:
    """The name of this installation, made once and kept in its state directory."""
    file = home / "instance"
    name = file.read_text().strip() if file.exists() else ""
    if not name:
        make_durable_folder(home)
        name = secrets.token_hex(8)
        write_durably(file, name.encode())
    return name
