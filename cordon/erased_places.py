"""Has the worker know no more where devices were at times whose records were erased."""

from __future__ import annotations

import msgspec
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.partition import Partition
from devices.instants import Clock
from geofence import forgetting
from geofence.anomaly_changes import ended_by
from geofence.forgetting import Times

log = structlog.get_logger("worker")

SUBJECT = "core.erased"
"""A message here is the times by device, as JSON. It is sent again as long as a checkpoint holds
something of them (`cordon.state_keeper`), so that one that is lost does no harm."""

_decoder = msgspec.json.Decoder(dict[str, tuple[tuple[int, int], ...]])


def let_go(partition: Partition, times: Times, now_us: int) -> set[str]:
    """Know no more where these devices were at these times. Returns of which something was known."""
    engine = partition.engine
    state, held = forgetting.let_go(engine.snapshot(), times, now_us)
    if not held:
        return held
    plan = partition.compiled.plan
    ended = ended_by(engine.anomalies(now_us), plan, now_us, held)
    state = forgetting.without_measures(state)
    partition.engine = type(engine).restore(state, plan, now_us=now_us, rules=engine.rules)
    partition.care.commands.displace(held)
    partition.note(ended, now_us)
    detail = msgspec.json.encode({name: times[name] for name in sorted(held)}).decode()
    partition.course.note("erased", now_us, detail=detail)
    return held


class ErasedPlaces:
    """Follows what was erased.

    Args:
        nc: Connection on which it is told.
        partition: The state.
        clock: The time.
    """

    def __init__(self, nc: NatsClient, partition: Partition, clock: Clock) -> None:
        self._nc = nc
        self._partition = partition
        self._clock = clock

    async def run(self) -> None:
        """Let go of what is told, until cancelled."""
        subscription = await self._nc.subscribe(SUBJECT)
        try:
            async for message in subscription.messages:
                self._take(message)
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    def _take(self, message: Msg) -> None:
        try:
            times = _decoder.decode(message.data)
        except msgspec.MsgspecError:
            log.exception("erased_places_unreadable")
            return
        held = let_go(self._partition, times, self._clock())
        log.info("erased_places_let_go", devices=len(held))
