"""The simulated devices as a child process: started, watched and ended here."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.child import die_with_parent
from cordon.errors import CordonError
from simulators.__main__ import ClockReading, Job
from simulators.run import TownOptions, TracksOptions
from simulators.score import Key
from simulators.stage import Progress, Report
from simulators.wire import Broker

END_LIMIT_S = 4.0
"""How long the process may take to end in order before it is killed."""

LINE_LIMIT_BYTES = 1 << 20


class SimulationFailedError(CordonError):
    """The simulated devices could not do what was asked."""


class Simulation:
    """Simulated devices in a process of their own. Use as an asynchronous context.

    Args:
        options: What to play.
        endpoints: The broker the devices connect to, without the service's rights.
        passwords: Of the devices, by id.
    """

    def __init__(
        self,
        options: TownOptions | TracksOptions,
        endpoints: Endpoints,
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cordon-simulation-")
        self._published = Path(self._folder.name) / "published.csv"
        self._options = msgspec.structs.replace(options, published_file=str(self._published))
        self._broker = Broker(
            host=endpoints.mqtt_host,
            port=endpoints.mqtt_port,
            passwords=dict(passwords or {}),
            ca_file=str(endpoints.mqtt_ca or ""),
        )
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self.progress: Progress | None = None
        self.report: Report | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulators",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
            limit=LINE_LIMIT_BYTES,
        )
        reading = ClockReading(instant_us=wall_clock_us(), monotonic_us=time.monotonic_ns() // 1000)
        job = Job(options=self._options, broker=self._broker, clock=reading)
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(job))
        self._process.stdin.close()
        self._reading = asyncio.create_task(self._read(), name="simulation")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()
        self._folder.cleanup()

    @property
    def ended(self) -> bool:
        """Whether everything has been played."""
        return self._reading is not None and self._reading.done()

    async def wait_connected(self) -> None:
        """Wait until all devices are connected.

        Raises:
            SimulationFailedError: They ended before.
        """
        waiting = asyncio.create_task(self._connected.wait())
        await asyncio.wait({waiting, self._running()}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.ended:
            self._running().result()

    async def wait_ended(self) -> None:
        """Wait until everything has been played.

        Raises:
            SimulationFailedError: It ended with an error.
        """
        await asyncio.shield(self._running())

    async def finish(self) -> Report:
        """End it in order and return what came of it.

        Raises:
            SimulationFailedError: It left no report.
        """
        await self._stop()
        await self._running()
        if self.report is None:
            raise SimulationFailedError("The simulated devices ended without a report.")
        return self.report

    def published(self) -> dict[Key, bool]:
        """Every fix that was published, and whether it was acknowledged."""
        lines = self._published.read_text().splitlines()[1:]
        found = {}
        for line in lines:
            device, time_us, seq, acknowledged = line.rsplit(",", 3)
            found[Key(device, int(time_us), int(seq))] = acknowledged == "1"
        return found

    async def show(self, stream: TextIO) -> None:
        """Keep one line on a terminal that says how it goes; nothing elsewhere."""
        while stream.isatty():
            await asyncio.sleep(1)
            if self.progress:
                stream.write(
                    f"\r  {self.progress.connected} devices, {self.progress.published} fixes "
                    f"published, {self.progress.acknowledged} acknowledged, "
                    f"{self.progress.alerts_seen} alerts on handsets "
                )
                stream.flush()

    def _running(self) -> asyncio.Task[None]:
        assert self._reading is not None, "the simulation has not been started"
        return self._reading

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(msgspec.json.decode(line))
        await self._process.wait()
        if self.report is None:
            raise SimulationFailedError(
                f"The simulated devices ended with code {self._process.returncode}."
            )

    def _take(self, line: dict[str, Any]) -> None:
        if "error" in line:
            raise SimulationFailedError(str(line["error"]))
        if "report" in line:
            self.report = msgspec.convert(line["report"], Report)
        elif "progress" in line:
            self.progress = msgspec.convert(line["progress"], Progress)
            if self.progress.connected == self.progress.devices:
                self._connected.set()

    async def _stop(self) -> None:
        process, self_reading = self._process, self._reading
        if process is None or self_reading is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        _, late = await asyncio.wait({self_reading}, timeout=END_LIMIT_S)
        if late:
            process.kill()
            await asyncio.wait({self_reading})
