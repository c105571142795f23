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
from evidence.sources import Stream
from evidence.writer import LaneCounts

NAME = "stream-ends"
"""Under this name they are kept."""

LOOK_S = 1.0

log = structlog.get_logger("service")


async def stream_ends(js: JetStreamContext, keep: Keep) -> dict[Stream, int]:
    """Where each stream ends, or ended at an earlier start that not everybody has looked at.

    Call it before anything of this run is written to a stream.
    """
    ends = {stream: (await js.stream_info(stream.value)).state.last_seq for stream in Stream}
    data = await keep.get(NAME)
    before = msgspec.json.decode(data, type=dict[Stream, int]) if data else {}
    ends = {stream: min(end, before.get(stream, end)) for stream, end in ends.items()}
    await keep.put(NAME, msgspec.json.encode(ends))
    return ends


async def forget_when_looked_at(
    keep: Keep, lanes: Callable[[], Mapping[Stream, LaneCounts]], checkpoints: Callable[[], int]
) -> None:
    """Wait until evidence reads every stream and the worker has written a checkpoint; then forget.

    Args:
        keep: Where they are kept.
        lanes: How far evidence is. What it has read, it has read behind what was lost.
        checkpoints: How many the worker has written.
    """

    def all_looked() -> bool:
        return all(lane.seen or lane.caught_up for lane in lanes().values())

    while not (checkpoints() and all_looked()):  # noqa: ASYNC110 - there is no hurry
        await asyncio.sleep(LOOK_S)
    try:
        await keep.put(NAME, b"{}")
    except nats.errors.Error as error:  # the next start looks at more than it needs to
        log.info("stream_ends_not_forgotten", reason=type(error).__name__)
