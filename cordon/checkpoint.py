"""What a restart begins with: the worker's checkpoint, and what was recorded after it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.client import Client as NatsClient

from alerts.deliveries import Entry, decode_entry
from alerts.errors import EntryFormatError
from ingest.reader import JournalGap, StreamReader
from ingest.streams import ALERTS

log = structlog.get_logger("checkpoint")

CHECKPOINT = "checkpoint"
"""Under this name it is kept beside the journal."""

READ_WAIT_S = 0.25


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a worker, and how far in the journal and the alert stream it has come.

    It is written only when everything decided up to it is in the streams, so that what a restart
    does not repeat is on disk.
    """

    journal_position: int
    alerts_position: int
    ticked_us: int
    gateway: str
    engine: bytes
    desk: bytes
    outgoing: bytes


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


async def read_recorded(nc: NatsClient, subject: str, *, after: int) -> Recorded:
    """What the alert stream holds after a position, to its present end."""
    reader = StreamReader(nc.jetstream(), ALERTS, subject, after=after)
    entries: list[Entry] = []
    damaged = 0
    try:
        while not reader.caught_up:
            for entry in await reader.read(READ_WAIT_S):
                try:
                    entries.append(decode_entry(entry.data))
                except EntryFormatError:
                    damaged += 1
                    log.exception("alert_entry_damaged", position=entry.position)
    except JournalGap as gap:
        # Older changes have passed out of the stream; each newer one carries its whole alert.
        log.error("alert_stream_gap", wanted=gap.wanted, found=gap.found)  # noqa: TRY400
    finally:
        await reader.close()
    return Recorded(tuple(entries), reader.position, damaged)
