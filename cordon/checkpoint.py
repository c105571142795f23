"""What a restart begins with: the worker's checkpoint, and what was recorded after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.client import Client as NatsClient

from alerts.deliveries import Entry, decode_entry
from alerts.errors import EntryFormatError
from devices.course import Mark
from ingest.reader import JournalGap, StreamReader
from ingest.streams import ALERTS

log = structlog.get_logger("checkpoint")

CHECKPOINT = "checkpoint"
"""Under this name it is kept beside the journal."""

READ_WAIT_S = 0.25


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a worker, and how far in the journal and the alert stream it has come.

    It is written only when everything decided up to it is in the streams, so that what a restart
    does not repeat is on disk. What an older version did not write is empty.

    Attributes:
        mark: Where in the course of its run it was taken.
        compiled_us: For which instant the caseload in force was compiled.
    """

    journal_position: int
    alerts_position: int
    ticked_us: int
    gateway: str
    engine: bytes
    desk: bytes
    outgoing: bytes
    health: bytes = b""
    sequences: bytes = b""
    commands: bytes = b""
    door: bytes = b""
    choices: bytes = b""
    mark: Mark = Mark()
    caseload_version: str = ""
    compiled_us: int = 0


@dataclass(frozen=True, slots=True)
class Frozen:
    """The state at one instant, of which what can be very much is not bytes yet.

    Attributes:
        rest: The checkpoint without it.
        desk, outgoing: The bytes of it, piece by piece.
    """

    rest: Checkpoint
    desk: Iterator[bytes]
    outgoing: Iterator[bytes]

    def whole(self) -> Checkpoint:
        """The checkpoint, made at once."""
        return self._with(b"".join(self.desk), b"".join(self.outgoing))

    async def in_turns(self) -> Checkpoint:
        """The checkpoint; between two pieces everybody else has a turn."""
        return self._with(await _in_turns(self.desk), await _in_turns(self.outgoing))

    def _with(self, desk: bytes, outgoing: bytes) -> Checkpoint:
        return msgspec.structs.replace(self.rest, desk=desk, outgoing=outgoing)


async def _in_turns(pieces: Iterator[bytes]) -> bytes:
    found: list[bytes] = []
    for piece in pieces:
        found.append(piece)
        await asyncio.sleep(0)
    return b"".join(found)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Entries of the alert stream, in order.

    Attributes:
        position: Of the last one in the stream.
        damaged: Entries that could not be read; evidence keeps them.
    """

    entries: tuple[Entry, ...]
    position: int
    damaged: int


def decode_checkpoint(data: bytes) -> Checkpoint | None:
    """The checkpoint in these bytes; None when they are of another version or damaged."""
    try:
        return msgspec.msgpack.decode(data, type=Checkpoint)
    except msgspec.MsgspecError as error:
        log.error("checkpoint_unreadable", part="all", reason=type(error).__name__)  # noqa: TRY400
        return None


async def read_recorded(nc: NatsClient, subject: str, *, after: int) -> Recorded:
    """What the alert stream holds after a position, to its present end.

    What has passed out of it is passed over: each newer change carries its whole alert. One that
    ends before the position lost its end; then all of it is read, as positions are used again.
    """
    entries: list[Entry] = []
    damaged = 0
    while True:
        reader = StreamReader(nc.jetstream(), ALERTS, subject, after=after)
        try:
            while not reader.caught_up:
                for entry in await reader.read(READ_WAIT_S):
                    try:
                        entries.append(decode_entry(entry.data))
                    except EntryFormatError:
                        damaged += 1
                        log.exception("alert_entry_damaged", position=entry.position)
            return Recorded(tuple(entries), reader.position, damaged)
        except JournalGap as gap:
            log.error("alert_stream_gap", wanted=gap.wanted, found=gap.found)  # noqa: TRY400
            after = max(0, gap.found - 1)
        finally:
            await reader.close()
