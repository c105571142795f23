"""Sends each protected person's handset how well she is protected, again and again.

Nothing is sent before the service has once caught up: what it knew before is not what is. When it
dies, no status is renewed, and each handset shows by itself that nothing is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog

from alerts.assurances import Assurance, sent_record
from alerts.protection import Status, statuses
from cordon.footing import FootingWatch, Signs
from cordon.outgoing import Outgoing
from cordon.worker import Worker
from devices.commands import HandsetAddress, address_of, to_handset
from devices.instants import Clock, from_iso
from devices.synthetic import is_synthetic
from ingest.mqtt import Publisher

log = structlog.get_logger("assurance")

TURN_S = 1.0
LONGEST_PAUSE_S = 5.0
PAUSE_TURNS = 20
"""After a turn it rests for at least `TURN_S`, and for so many times as long as the turn took, up to
the longest pause: with very many people it takes a twentieth of a core."""

AT_ONCE = 64
"""Statuses being sent at a time."""

PEOPLE_AT_ONCE = 100
"""After so many people the loop is let go for other work: an alert waits for no status."""

SEND_LIMIT_S = 5.0


class Assurer:
    """Keeps the handsets told.

    Args:
        worker: Has the state from which a status follows.
        outgoing: Has what was told; records go there.
        publisher: MQTT connection.
        signs: How the service is now.
        clock: The time.
    """

    def __init__(
        self,
        worker: Worker,
        outgoing: Outgoing,
        publisher: Publisher,
        signs: Callable[[], Signs],
        clock: Clock,
    ) -> None:
        self._worker = worker
        self._outgoing = outgoing
        self.counts = outgoing.assured
        self._publisher = publisher
        self._signs = signs
        self._clock = clock
        self._watch = FootingWatch()

    def statuses(self) -> Iterator[Status]:
        """The status of everybody who exists, as it is now."""
        partition, now_us = self._worker.partition, self._clock()
        found = statuses(
            partition.compiled,
            partition.care.health.devices,
            partition.desk.weakening,
            now_us,
            self._watch.note(self._signs(), now_us),
        )
        return (one for one in found if not is_synthetic(one.person))

    async def run(self) -> None:
        """Tell until cancelled."""
        await self._worker.caught_up.wait()
        while True:
            began_s = asyncio.get_running_loop().time()
            if self._publisher.connected:  # without a broker each handset shows "unknown" by itself
                await self._turn()
            took_s = asyncio.get_running_loop().time() - began_s
            await asyncio.sleep(max(TURN_S, min(PAUSE_TURNS * took_s, LONGEST_PAUSE_S)))

    async def _turn(self) -> None:
        self._outgoing.assurances.keep(self._worker.partition.compiled.bearers)
        due: list[Assurance] = []
        for number, status in enumerate(self.statuses(), 1):
            due += self._outgoing.assurances.due(status, self._clock())
            if number % PEOPLE_AT_ONCE == 0 or len(due) >= AT_ONCE:
                await self._send_all(due)
                due = []
        await self._send_all(due)

    async def _send_all(self, due: list[Assurance]) -> None:
        await asyncio.gather(*map(self._send, due), asyncio.sleep(0))

    async def _send(self, assurance: Assurance) -> None:
        bearer = self._worker.partition.compiled.bearers.get(assurance.device)
        address = None if bearer is None else address_of(bearer)
        if not isinstance(address, HandsetAddress):
            self.counts.unaddressed += 1
            return
        if self._clock() >= from_iso(assurance.command.expires):
            self.counts.expired += 1
            self._outgoing.assurances.unsent(assurance)
            return
        outgoing = to_handset(address, assurance.command)
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await self._publisher.publish(outgoing.topic, outgoing.payload)
        except Exception as error:  # noqa: BLE001 - it may fail in any way; the next turn tries again
            self.counts.failed += 1
            self._outgoing.assurances.unsent(assurance)
            log.warning("status_not_sent", device=assurance.device, reason=type(error).__name__)
            return
        self.counts.sent += 1
        if assurance.changed:
            self._outgoing.keep(sent_record(assurance, self._clock()))
