"""Where the streams ended when the service started, kept until everybody has looked.

What evidence and the worker's checkpoint remember beyond it is of a stream that has lost its end since.
The database may be away for long, and the service start again meanwhile: by then the streams are longer,
and only the first look told. So it is kept beside the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import nats.errors
import structlog
from nats.js import JetStreamContext

from cordon.keep import Keep
from devices.ending import end_if_told
from evidence.sources import Stream

NAME = "stream-ends"
"""Under this name lies what the worker is to look at."""

LOOK_S = 0.1

log = structlog.get_logger("service")


class Ends(msgspec.Struct):
    """Where streams ended, for the worker until it has written a checkpoint.

    Attributes:
        journal: The journal.
        alerts: What was recorded of the alerts.
        streams: For evidence, as earlier versions kept it; see `HistoryEnds`.
    """

    journal: int | None = None
    alerts: int | None = None
    streams: dict[Stream, int] = msgspec.field(default_factory=dict)


class HistoryEnds:
    """Where streams ended, for evidence until it has looked at each.

    It looks before it stores anything of the stream, and what it has looked at is forgotten before,
    too: whoever is killed in between has stored nothing beyond an end that is still kept, and nothing
    sound is taken for lost.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        # A broker that loses its newest in a power cut has the end again that this run has looked at.
        self._looked: set[Stream] = set()

    async def of(self, stream: Stream) -> int | None:
        """Where it ended; None when somebody has looked since.

        Raises:
            nats.errors.Error: The broker does not answer.
        """
        if stream in self._looked:
            return None
        data = await self._keep.get(f"{NAME}-{stream}") or b""
        return int(data) if data.isdigit() else None

    async def note(self, stream: Stream, end: int) -> None:
        """It ends there, and nobody has looked.

        Raises:
            nats.errors.Error: It is not known to be kept.
        """
        await self._keep.put(f"{NAME}-{stream}", str(end).encode())

    async def forget(self, stream: Stream) -> None:
        """Somebody has looked.

        Raises:
            nats.errors.Error: It is not known to be forgotten.
        """
        if stream not in self._looked:
            await self._keep.put(f"{NAME}-{stream}", b"")
            self._looked.add(stream)


async def stream_ends(js: JetStreamContext, keep: Keep) -> Ends:
    """Where streams end, or ended at an earlier start that not everybody has looked at.

    Call it before anything of this run is written to a stream. What evidence is to look at is kept for
    it; the worker's is returned.

    Raises:
        nats.errors.Error: The broker does not answer, or does not keep them.
    """
    now = {stream: (await js.stream_info(stream.value)).state.last_seq for stream in Stream}
    data = await keep.get(NAME)
    before = _read(data) if data else Ends()
    history = HistoryEnds(keep)
    for stream, end in now.items():
        kept = _first(end, await history.of(stream))
        await history.note(stream, _first(kept, before.streams.get(stream)))
    found = Ends(
        _first(now[Stream.JOURNAL], before.journal), _first(now[Stream.ALERTS], before.alerts)
    )
    await keep.put(NAME, msgspec.json.encode(found))
    return found


def _read(data: bytes) -> Ends:
    try:
        return msgspec.json.decode(data, type=Ends)
    except msgspec.MsgspecError as error:
        # Another version wrote it. What it knew was of a break that nobody has looked at yet.
        log.warning("stream_ends_unreadable", reason=str(error))
        return Ends()


def _first(end: int, before: int | None) -> int:
    return end if before is None else min(end, before)


async def forget_when_looked_at(keep: Keep, checkpoints: Callable[[], int]) -> None:
    """Forget the worker's ends when it has written a checkpoint.

    Args:
        keep: Where they are kept.
        checkpoints: How many the worker has written.
    """
    while True:
        end_if_told()  # it may have been lost in the last put
        await asyncio.sleep(LOOK_S)
        if not checkpoints():
            continue
        try:
            await keep.put(NAME, msgspec.json.encode(Ends()))
        except (nats.errors.Error, OSError) as error:  # tried again
            log.info("stream_ends_not_forgotten", reason=type(error).__name__)
        else:
            return
