"""The devices of a run, from the first connection to the report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from devices.instants import Clock, to_iso
from simulators.device import FAREWELL_LIMIT_S, SimulatedDevice
from simulators.score import Key, Latency, Ledger
from simulators.wire import Broker

log = structlog.get_logger("simulators")

CONNECT_WAIT_S = 10.0
"""How long the play waits for all devices to be connected. Then it begins without those that are not,
which keep what they have to say, unless there are none at all."""

SETTLE_S = 1.0
"""After the last fix of a play, for the notices it causes to arrive."""

DRAIN_LIMIT_S = 1.4
"""How long a run that ends waits for acknowledgements. The rest is reported as unacknowledged."""

PROGRESS_EVERY_S = 1.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is going. `notice` is a sentence for the person watching, mostly empty."""

    devices: int
    connected: int
    published: int
    acknowledged: int
    alerts_seen: int
    notice: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a run. Counts are of fixes unless they say otherwise.

    Attributes:
        published: Handed to a connection at least once.
        acknowledged: Acknowledged by the broker.
        unacknowledged: Published but not acknowledged when the run ended.
        unsent: Taken but never published: the run ended first.
        given_up: Fixes, events and receipts forgotten because a device's memory was full.
        buffered: Taken while the device had no connection.
        failures: Attempts to connect that failed and connections that were lost.
        alerts_seen, returned_seen: Distinct alerts that handsets were told of as raised, as returned.
        notices: Distinct ``notify`` commands that arrived.
        receipts: Receipts sent for commands.
        first_publish, last_publish: Fix times, ISO 8601; None when nothing was published.
        forgotten: Fixes missing in `published_keys`, of a very long run.
        published_keys: All fixes published, as (device, time_us, seq).
    """

    devices: int
    published: int
    acknowledged: int
    unacknowledged: int
    unsent: int
    given_up: int
    buffered: int
    failures: int
    alerts_seen: int
    returned_seen: int
    notices: int
    receipts: int
    latency_ms: Latency
    first_publish: str | None
    last_publish: str | None
    forgotten: int
    published_file: str = ""
    published_keys: set[Key] = msgspec.field(default_factory=set)


class SimulationError(Exception):
    """A run that cannot begin. The text is for the person who started it."""


Tell = Callable[[Progress], None]


class Stage:
    """Devices, how they begin and end, and what they have to show for it."""

    def __init__(
        self,
        cast_list: Sequence[tuple[str, bool]],
        broker: Broker,
        clock: Clock,
        progress: Tell,
        stop: asyncio.Event,
    ) -> None:
        self.ledger = Ledger()
        self.devices = [
            SimulatedDevice(name, broker, clock=clock, handset=handset, observer=self.ledger)
            for name, handset in cast_list
        ]
        self._broker = broker
        self._progress = progress
        self._stop = stop

    def tell(self, notice: str = "") -> None:
        """Report progress."""
        self._progress(
            Progress(
                devices=len(self.devices),
                connected=sum(device.online.is_set() for device in self.devices),
                published=self.ledger.published,
                acknowledged=self.ledger.acknowledged,
                alerts_seen=self.ledger.alerts_raised,
                notice=notice,
            )
        )

    async def play(
        self, perform: Callable[[], Awaitable[None]], for_s: float | None, published_file: str
    ) -> Report:
        """Connect, let the player perform until it ends or is stopped, then take leave.

        Raises:
            SimulationError: No broker answers, or `published_file` cannot be written.
        """
        if published_file:
            _check_writable(Path(published_file))
        running = [asyncio.create_task(device.run(), name=device.name) for device in self.devices]
        ticker = asyncio.create_task(self._tick(), name="progress")
        try:
            await self._connect()
            await self._perform(perform, for_s)
        finally:
            ticker.cancel()
            await self._leave(running)
        self.tell()
        report = self._report(published_file)
        if published_file:
            await asyncio.to_thread(self._write, Path(published_file))
        return report

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            self.tell()

    async def _connect(self) -> None:
        async def everyone() -> None:
            for device in self.devices:
                await device.online.wait()

        online = asyncio.create_task(everyone())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait(
            {online, stopped}, timeout=CONNECT_WAIT_S, return_when=asyncio.FIRST_COMPLETED
        )
        await _cancel([online, stopped])
        if not self._stop.is_set() and not any(device.online.is_set() for device in self.devices):
            raise SimulationError(
                f"no MQTT broker answers at {self._broker.host}:{self._broker.port}, or it refuses "
                "these devices; check the address, that the service is running, and that the "
                "devices are provisioned (the console shows under Refused who is not let in)"
            )

    async def _perform(self, perform: Callable[[], Awaitable[None]], for_s: float | None) -> None:
        async def performance() -> None:
            await perform()
            await asyncio.sleep(SETTLE_S)

        playing = asyncio.create_task(performance(), name="player")
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait(
                {playing, stopped}, timeout=for_s, return_when=asyncio.FIRST_COMPLETED
            )
            if playing.done():
                playing.result()  # what went wrong in it goes wrong here
        finally:
            await _cancel([playing, stopped])

    async def _leave(self, running: Sequence[asyncio.Task[None]]) -> None:
        for device in self.devices:
            device.close(DRAIN_LIMIT_S)
        finished, left = await asyncio.wait(running, timeout=DRAIN_LIMIT_S + 2 * FAREWELL_LIMIT_S)
        if left:
            log.warning("devices_cut_off", devices=len(left))
        await _cancel(left)
        for task in finished:
            task.result()  # a device that failed by a mistake of ours must not go unnoticed

    def _report(self, published_file: str) -> Report:
        ledger = self.ledger
        counts = [device.counts for device in self.devices]
        taken = sum(count.fixes for count in counts)
        return Report(
            devices=len(self.devices),
            published=ledger.published,
            acknowledged=ledger.acknowledged,
            unacknowledged=len(ledger.unacknowledged()),
            unsent=taken - ledger.published,
            given_up=sum(device.outbox.given_up for device in self.devices),
            buffered=sum(count.buffered for count in counts),
            failures=sum(count.failures for count in counts),
            alerts_seen=ledger.alerts_raised,
            returned_seen=ledger.alerts_returned,
            notices=ledger.notices,
            receipts=sum(count.receipts for count in counts),
            latency_ms=ledger.latency(),
            first_publish=None if ledger.first_us is None else to_iso(ledger.first_us),
            last_publish=None if ledger.last_us is None else to_iso(ledger.last_us),
            forgotten=ledger.forgotten,
            published_file=published_file,
            published_keys=ledger.published_keys(),
        )

    def _write(self, path: Path) -> None:
        missing = set(self.ledger.unacknowledged())
        with path.open("w", encoding="utf-8") as file:
            file.write("device,time_us,seq,acknowledged\n")
            for key in sorted(self.ledger.published_keys()):
                file.write(f"{key.device},{key.time_us},{key.seq},{int(key not in missing)}\n")


def _check_writable(path: Path) -> None:
    """Find out before the run, not when all that is left to do is to write the file."""
    try:
        path.open("w").close()
    except OSError as error:
        raise SimulationError(
            f"{path} cannot be written ({error.strerror}); name another file for what is published"
        ) from error


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks whose own results do not matter any more."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
