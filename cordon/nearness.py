"""Tells the gateway whose positions matter most at the moment: those of pairs that are near.

By a message on an internal subject, as the gateway may be another process.
"""

from __future__ import annotations

import asyncio

import msgspec
import nats.errors
import numpy as np
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.partition import Partition
from devices.ending import end_if_told
from geofence.levels import Level
from ingest.gateway import Gateway

SUBJECT = "core.near.0"
EVERY_S = 1.0
MAX_NEAR = 10_000
"""Devices named at most; they fit into one message of the broker."""


def near_devices(partition: Partition) -> list[str]:
    """Devices of all watches that are not clear, at most `MAX_NEAR`."""
    compiled = partition.compiled
    keys = compiled.plan.watch_keys
    levels = partition.engine.picture().watches.level
    found: dict[str, None] = {}
    for index in np.flatnonzero(levels != Level.CLEAR)[:MAX_NEAR]:
        watch = compiled.watches[keys[index]]
        found.update({device: None for device in (watch.tag, watch.handset) if device})
    return list(found)[:MAX_NEAR]


class Nearness:
    """Announces who is near, every `EVERY_S`, and has the gateway heed it."""

    def __init__(self, nc: NatsClient, partition: Partition, gateway: Gateway) -> None:
        self._nc = nc
        self._partition = partition
        self._gateway = gateway

    async def run(self) -> None:
        """Announce and listen until cancelled."""
        subscription = await self._nc.subscribe(SUBJECT, cb=self._hear)
        try:
            while True:
                end_if_told()
                try:
                    near = msgspec.json.encode(near_devices(self._partition))
                    await self._nc.publish(SUBJECT, near)
                except (nats.errors.Error, OSError):
                    pass  # the gateway goes on with what it knew; the heartbeat tells of the broker
                await asyncio.sleep(EVERY_S)
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    async def _hear(self, message: Msg) -> None:
        self._gateway.put_first(msgspec.json.decode(message.data, type=list[str]))
