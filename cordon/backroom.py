"""The back room: a process of its own for work that nobody waits for.

It stores the history, seals it, looks for courses of conduct in it and at how full the database is,
and takes in what the slow lane keeps. All of these take much of a processor when much has come in at once, and on the event loop that
decides and alerts, each piece of such work is a time in which no panic is heard. A process apart, of
lower priority, costs an alert nothing.

Orders come as one line on standard input, figures go out as lines on standard output. It ends with
the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path

import msgspec
import structlog

from cordon.clock import wall_clock_us
from cordon.conduct_watch import ConductCounts, ConductWatch
from cordon.connections import Endpoints, connect_nats
from cordon.embedded.child import die_with_parent
from cordon.errors import CordonError
from cordon.identity.registry_feed import RegistryCopy
from cordon.identity.signing_keys import RegisteredKeys
from cordon.keep import Keep
from cordon.logs import configure_logs
from cordon.record_watch import RecordWatch
from cordon.seal import BUILD, sealer_of
from cordon.settings import Settings
from cordon.state_keeper import StateKeeper
from cordon.stream_ends import HistoryEnds
from cordon.streams_source import source_factory
from cordon.supervision import Supervisor
from evidence.capacity import Capacity, Waiting
from evidence.sealer import Sealer, SealerCounts, SealerFigures, SealerProgress
from evidence.store import Store
from evidence.writer import Writer, WriterCounts
from ingest.decoder import Decoder
from ingest.journal import JournalWriter
from ingest.slow_lane import SlowCounts, SlowLane

NICENESS = 5
REPORT_EVERY_S = 0.25
END_LIMIT_S = 5.0
MAX_LINE_BYTES = 1024 * 1024

log = structlog.get_logger("backroom")


class Orders(msgspec.Struct, frozen=True):
    """What the process is told.

    Attributes:
        gateway: Name of the gateway whose slow lane it takes in.
        seals: Whether the sealer runs there, too.
    """

    nats_url: str
    dsn: str
    gateway: str
    settings: Settings
    seals: bool


class Sealed(msgspec.Struct, frozen=True):
    """What the sealer says about itself."""

    counts: SealerCounts
    progress: SealerProgress


class Recorded(msgspec.Struct, frozen=True):
    """What is known of the record; fields as of a `cordon.record_watch.RecordWatch`."""

    capacity: Capacity | None
    waiting: Waiting | None


class Figures(msgspec.Struct, frozen=True):
    """What the process says about itself.

    Attributes:
        waiting: In the slow lane.
        restarts: By name, how often a part in it was started again.
        sealed: None where no sealer runs in it.
    """

    writer: WriterCounts
    slow: SlowCounts
    waiting: int
    conduct: ConductCounts
    recorded: Recorded
    restarts: dict[str, int]
    sealed: Sealed | None = None


class BackroomProcess:
    """Runs the process, and knows its figures.

    Args:
        endpoints: Broker and database.
        settings: Of the service.
        slow_lane: The gateway's end of the slow lane; gets the figures of the other end.
        record: Stands for the one that runs there, and gets its figures.
        sealer: Gets the figures of the one that runs there; None: none does.
        gateway: See `Orders`.

    Attributes:
        counts: As of an `evidence.writer.Writer`.
        conduct: As of a `cordon.conduct_watch.ConductWatch`.
        restarts: See `Figures`.
        pid: Of the process; None while there is none.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        settings: Settings,
        slow_lane: SlowLane,
        record: RecordWatch,
        sealer: SealerFigures | None,
        gateway: str,
    ) -> None:
        self.counts = WriterCounts()
        self.conduct = ConductCounts()
        self.restarts: dict[str, int] = {}
        self.pid: int | None = None
        self._slow_lane = slow_lane
        self._record = record
        self._sealer = sealer
        self._orders = Orders(
            endpoints.nats_url,
            endpoints.dsn,
            gateway,
            settings,
            seals=sealer is not None,
        )
        self._decoder = msgspec.json.Decoder(Figures)

    async def run(self) -> None:
        """Have the process running until cancelled; returns when it has ended by itself."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cordon.backroom",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        self.pid = child.pid
        try:
            assert child.stdin is not None, "started with a pipe"
            assert child.stdout is not None, "started with a pipe"
            child.stdin.write(msgspec.json.encode(self._orders) + b"\n")
            await child.stdin.drain()
            async for line in child.stdout:
                self._note(line)
        finally:
            self.pid = None
            self.counts.database_up = None  # nobody knows
            self._record.capacity = self._record.waiting = None
            await _end(child)

    def _note(self, line: bytes) -> None:
        figures = self._decoder.decode(line)
        self.counts, self.conduct = figures.writer, figures.conduct
        self.restarts = figures.restarts
        lane = self._slow_lane
        lane.counts.taken_in, lane.counts.damaged = figures.slow.taken_in, figures.slow.damaged
        lane.counts.refusals = figures.slow.refusals
        lane.waiting = figures.waiting
        self._record.capacity = figures.recorded.capacity
        self._record.waiting = figures.recorded.waiting
        if self._sealer is not None and figures.sealed is not None:
            self._sealer.counts = figures.sealed.counts
            self._sealer.progress = figures.sealed.progress


async def _end(child: asyncio.subprocess.Process) -> None:
    """End it in order, or at once when it takes long."""
    if child.returncode is not None:
        return
    # Not by way of subprocess: it would collect the ended child, whose end asyncio waits for.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(END_LIMIT_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        await child.wait()


async def work(orders: Orders) -> None:
    """Store history, seal it, look at conduct and take in the slow lane, until told to stop."""
    nc = await connect_nats(orders.nats_url, "backroom")
    try:
        js = nc.jetstream()
        keep = await Keep.look(js)
        if keep is None:
            raise CordonError("the broker holds no registry: the service is to be started first")
        open_source = source_factory(js, HistoryEnds(keep))
        writer = Writer(Store(orders.dsn), open_source, wall_clock_us)
        registry = RegistryCopy(keep, nc)
        lane = SlowLane(
            nc,
            JournalWriter(nc),
            wall_clock_us,
            # Batches of a process before had the same numbers. It is the same start of the gateway:
            # for another one, silence would be counted anew.
            gateway=f"{orders.gateway}.{secrets.token_hex(4)}",
            rest_share=0.0,
            decoder=Decoder(RegisteredKeys(registry)),
        )
        sealer = sealer_of(orders.settings, orders.dsn, wall_clock_us) if orders.seals else None
        profiles = orders.settings.alerts.profiles
        conduct = ConductWatch(orders.dsn, Path(profiles) if profiles else None, wall_clock_us)
        record = RecordWatch(orders.dsn, orders.settings, wall_clock_us)
        supervisor = Supervisor()
        kept = {
            "registry": registry.run,
            "states": StateKeeper(orders.dsn, keep, nc, build=BUILD).run,
            "conduct": conduct.run,
            "record": record.run,
        }
        if sealer is not None:
            kept["sealer"] = sealer.run
        # The process is there for the writer and the slow lane, and ends with them, to be started
        # again; what fails beside them must not stop them.
        runs = {name: supervisor.keep(name, run) for name, run in kept.items()} | {
            "evidence": writer.run(),
            "slow-lane": _take_in(lane, registry),
            "figures": _report(writer, lane, conduct, record, sealer, supervisor),
        }
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run, name=name) for name, run in runs.items()]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: [task.cancel() for task in tasks])
    finally:
        await nc.close()


async def _take_in(lane: SlowLane, registry: RegistryCopy) -> None:
    await registry.looked.wait()  # until then nobody knows who has to sign
    await lane.run()


async def _report(
    writer: Writer,
    lane: SlowLane,
    conduct: ConductWatch,
    record: RecordWatch,
    sealer: Sealer | None,
    supervisor: Supervisor,
) -> None:
    while True:
        sealed = None if sealer is None else Sealed(sealer.counts, sealer.progress)
        figures = Figures(
            writer.counts,
            lane.counts,
            lane.waiting,
            conduct.counts,
            Recorded(record.capacity, record.waiting),
            dict(supervisor.restarts),
            sealed,
        )
        sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.sleep(REPORT_EVERY_S)


def main() -> None:
    """Entry point of the process."""
    os.nice(NICENESS)
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    configure_logs(orders.settings.logs)
    # The one that started us may vanish between two lines: then there is nobody to report to.
    with contextlib.suppress(BrokenPipeError, asyncio.CancelledError):
        asyncio.run(work(orders))


if __name__ == "__main__":
    main()
