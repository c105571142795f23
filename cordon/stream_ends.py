"""Where the streams ended when the service started, kept until everybody has looked.

What evidence and the worker's checkpoint remember beyond it is of a stream that has lost its end since.
The database may be away for long, and the service start again meanwhile: by then the streams are longer,
and only the first look told. So it is kept beside the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import nats.errors
import structlog
from nats.js import JetStreamContext

from cordon.keep import Keep
from devices.ending import end_if_told
from evidence.sources import Stream
from evidence.writer import LaneCounts

NAME = "stream-ends"
"""Under this name they are kept."""

LOOK_S = 0.1

log = structlog.get_logger("service")


class Ends(msgspec.Struct):
    """Where streams ended.

    Attributes:
        streams: For evidence, those that it has not looked at.
        journal: For the worker, until it has written a checkpoint.
        alerts: The same of what was recorded of the alerts.
    """

    streams: dict[Stream, int] = msgspec.field(default_factory=dict)
    journal: int | None = None
    alerts: int | None = None


async def stream_ends(js: JetStreamContext, keep: Keep) -> Ends:
    """Where each stream ends, or ended at an earlier start that not everybody has looked at.

    Call it before anything of this run is written to a stream.
    """
    ends = {stream: (await js.stream_info(stream.value)).state.last_seq for stream in Stream}
    data = await keep.get(NAME)
    before = _read(data) if data else Ends()
    found = Ends(
        {stream: min(end, before.streams.get(stream, end)) for stream, end in ends.items()},
        _first(ends[Stream.JOURNAL], before.journal),
        _first(ends[Stream.ALERTS], before.alerts),
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


async def forget_when_looked_at(
    keep: Keep,
    ends: Ends,
    lanes: Callable[[], Mapping[Stream, LaneCounts]],
    checkpoints: Callable[[], int],
) -> None:
    """Forget each end when evidence reads that stream, and the worker has written a checkpoint.

    Args:
        keep: Where they are kept.
        ends: Of this run.
        lanes: How far evidence is. What it has read, it has read behind what was lost.
        checkpoints: How many the worker has written.
    """
    left = Ends(dict(ends.streams), ends.journal, ends.alerts)
    while left != Ends():
        end_if_told()  # it may have been lost in the last put
        await asyncio.sleep(LOOK_S)
        unread = {s for s, lane in lanes().items() if not (lane.seen or lane.caught_up)}
        now = Ends(
            {stream: end for stream, end in left.streams.items() if stream in unread},
            None if checkpoints() else left.journal,
            None if checkpoints() else left.alerts,
        )
        if now == left:
            continue
        try:
            await keep.put(NAME, msgspec.json.encode(now))
            left = now
        except (nats.errors.Error, OSError) as error:  # tried again
            log.info("stream_ends_not_forgotten", reason=type(error).__name__)
