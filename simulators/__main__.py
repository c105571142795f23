"""The simulators as a process of their own: ``python -m simulators``.

Reads one JSON document from standard input and writes JSON lines to standard output: ``progress``
about once a second, then one ``report`` or one ``error``. SIGTERM and SIGINT end the run in order.

This process does not read the wall clock: whoever starts it says which instant belongs to which
reading of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time

import msgspec
import structlog

from simulators.run import TownOptions, TracksOptions, run_town, run_tracks
from simulators.stage import Progress, Report, SimulationError
from simulators.wire import Broker

DOCUMENT_LIMIT_BYTES = 1_000_000

EXIT_FAILED = 1
EXIT_MISUSED = 2


class ClockReading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two clocks read at the same moment: UTC, and `time.monotonic_ns` in microseconds."""

    instant_us: int
    monotonic_us: int

    def now_us(self) -> int:
        """The present instant, microseconds UTC."""
        return self.instant_us + time.monotonic_ns() // 1_000 - self.monotonic_us


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to run, where, and what time it is."""

    options: TracksOptions | TownOptions
    broker: Broker
    clock: ClockReading


def main() -> int:
    """Run the job on standard input; returns the exit status."""
    # Standard output belongs to the JSON lines.
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(DOCUMENT_LIMIT_BYTES), type=Job)
    except msgspec.DecodeError as error:
        _say({"error": f"standard input holds no job: {error}"})
        return EXIT_MISUSED
    try:
        report = asyncio.run(_run(job))
    except SimulationError as error:
        _say({"error": str(error)})
        return EXIT_FAILED
    # The set may be large and has a file of its own.
    _say({"report": msgspec.structs.replace(report, published_keys=set())})
    return 0


async def _run(job: Job) -> Report:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def progress(news: Progress) -> None:
        if not _say({"progress": news}):
            stop.set()  # nobody listens any more

    clock = job.clock.now_us
    if isinstance(job.options, TownOptions):
        return await run_town(
            job.options, broker=job.broker, clock=clock, progress=progress, stop=stop
        )
    return await run_tracks(
        job.options, broker=job.broker, clock=clock, progress=progress, stop=stop
    )


def _say(line: dict[str, object]) -> bool:
    """Write one line; False when the reader is gone."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
