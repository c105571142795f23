"""The servers and processes of a run: broker, database, service, generator, relay.

Broker and database belong to this process and not to the service's, so that a run can end one of
them and leave the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.pipeline.spec import SENT_DTYPE, FlushResult, LoadResult, LoadSpec
from cordon.connections import Endpoints
from cordon.embedded.broker import BrokerLimits, EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError
from devices.caseload import Caseload
from devices.store import CaseloadStore

START_LIMIT_S = 120.0
"""The first start of the service compiles the engine."""

END_LIMIT_S = 20.0
_READY = b"  Stop "
_STANDS_BY = b"  Standing by"
"""What lines of ``cordon serve`` begin with when it is ready, and when it stands by."""


class Stage:
    """Broker and database, and what the service needs to find them."""

    def __init__(
        self,
        home: Path,
        broker: EmbeddedBroker,
        postgres: EmbeddedPostgres,
        limits: BrokerLimits,
    ) -> None:
        self.home = home
        self._limits = limits
        self.broker = broker
        self.postgres = postgres
        self.endpoints = Endpoints.embedded(broker, postgres)

    async def load_caseload(self, caseload: Caseload) -> None:
        """Bring a caseload into the database; the service finds it there."""
        store = CaseloadStore(self.endpoints.dsn)
        try:
            await store.migrate()
            await store.save(caseload)
        finally:
            await store.close()

    def settings_file(self, name: str) -> Path:
        """Settings with which a service uses these servers; `name` is that of its own folder."""
        ends = self.endpoints
        lines = [
            f"state_directory = {_toml(str(self.home / name))}",
            "[broker]",
            f"nats_url = {_toml(ends.nats_url)}",
            f"system_url = {_toml(ends.system_url)}",
            f"mqtt_host = {_toml(ends.mqtt_host)}",
            f"mqtt_port = {ends.mqtt_port}",
            f"mqtt_user = {_toml(ends.mqtt_user)}",
            f"mqtt_password = {_toml(ends.mqtt_password)}",
            # What is measured is the way of a report, not the door.
            "mqtt_tls = false",
            'devices = "open"',
            f"store_bytes = {self._limits.store_bytes}",
            "[database]",
            f"url = {_toml(ends.dsn)}",
            "[logs]",
            'level = "warning"',
        ]
        file = self.home / f"{name}.toml"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines))
        return file


def _toml(text: str) -> str:
    return msgspec.json.encode(text).decode()


@contextmanager
def servers(home: Path, limits: BrokerLimits) -> Iterator[Stage]:
    """Broker and database inside the block, in a folder of their own."""
    broker = EmbeddedBroker(home / "broker", limits)
    postgres = EmbeddedPostgres(home / "postgres")
    try:
        broker.start()
        postgres.start()
        yield Stage(home, broker, postgres, limits)
    finally:
        postgres.stop()
        broker.stop()


class Process:
    """A Python process of the run, whose standard output is read line by line."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._child = child
        self._log = log
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], log: Path) -> Process:
        """Run ``python -m`` with these arguments; its errors go into a file."""
        with log.open("ab") as errors:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        return cls(name, child, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    async def say(self, line: str) -> None:
        """Give it a line."""
        assert self._child.stdin is not None, "started with a pipe"
        self._child.stdin.write(line.encode() + b"\n")
        await self._child.stdin.drain()

    async def wait_for(self, words: bytes, *, limit_s: float) -> None:
        """Wait until it prints a line that begins so.

        Raises:
            CordonError: It ended, or did not within the limit.
        """
        assert self._child.stdout is not None, "started with a pipe"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                async for line in self._child.stdout:
                    if line.startswith(words):
                        return
        tail = self._log.read_text(errors="replace")[-2_000:]
        raise CordonError(
            f"the {self.name} did not say {words.decode()!r} within {limit_s:.0f} s. "
            f"Its last words:\n{tail}"
        )

    def ignore(self) -> None:
        """Read and forget what it prints from now on, so that it never waits for us."""
        self._reading = asyncio.create_task(self._read_on(), name=f"{self.name} output")

    async def _read_on(self) -> None:
        assert self._child.stdout is not None, "started with a pipe"
        while await self._child.stdout.read(65_536):
            pass

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Not by way of subprocess: it would collect the ended child, whose end asyncio waits for.
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self) -> None:
        """End it in order, or at once when it does not within `END_LIMIT_S`."""
        if self._child.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_LIMIT_S):
                await (self._reading or self._read_on())
                await self._child.wait()
        except TimeoutError:
            self.kill()
            await self._child.wait()


async def start_service(stage: Stage, name: str = "service", *, standby: bool = False) -> Process:
    """Start ``cordon serve`` over these servers and wait until it is ready, or stands by."""
    arguments = ["cordon.cli", "--settings", str(stage.settings_file(name)), "serve"]
    if standby:
        arguments.append("--standby")
    process = await Process.start(name, arguments, stage.home / f"{name}.log")
    await process.wait_for(_STANDS_BY if standby else _READY, limit_s=START_LIMIT_S)
    process.ignore()
    return process


@asynccontextmanager
async def service(stage: Stage) -> AsyncIterator[Process]:
    """The service inside the block."""
    process = await start_service(stage)
    try:
        yield process
    finally:
        await process.end()


async def start_load(stage: Stage, spec: LoadSpec) -> Process:
    """Start the generator and wait until its devices are connected."""
    return await _start_devices(stage, spec, "load")


async def start_flush(stage: Stage, spec: LoadSpec) -> Process:
    """Start the devices that were away, and wait until they have something to send."""
    return await _start_devices(stage, spec, "flush")


async def _start_devices(stage: Stage, spec: LoadSpec, name: str) -> Process:
    orders = stage.home / f"{name}.orders"
    orders.write_bytes(msgspec.json.encode(spec))
    arguments = (f"benchmarks.pipeline.{name}", str(orders))
    process = await Process.start(name, arguments, stage.home / f"{name}.log")
    await process.wait_for(b"ready", limit_s=START_LIMIT_S)
    return process


def read_result(spec: LoadSpec) -> LoadResult:
    """What the generators wrote at their end, as of one."""
    result = msgspec.msgpack.decode(Path(spec.result).read_bytes(), type=LoadResult)
    if not spec.flushed:
        return result
    other = msgspec.msgpack.decode(Path(spec.flushed).read_bytes(), type=FlushResult)
    rows = np.frombuffer(other.sent, SENT_DTYPE).copy()
    rows["device"] += len(result.devices)
    result.devices += other.devices
    result.sent += rows.tobytes()
    return result


@asynccontextmanager
async def relay(stage: Stage, kind: str) -> AsyncIterator[Process]:
    """A bare relay inside the block: `aiomqtt` or `lean`."""
    ends = stage.endpoints
    process = await Process.start(
        "relay",
        (
            "benchmarks.pipeline.relay",
            kind,
            ends.mqtt_host,
            str(ends.mqtt_port),
            ends.mqtt_user,
            ends.mqtt_password,
        ),
        stage.home / "relay.log",
    )
    try:
        await process.wait_for(b"ready", limit_s=START_LIMIT_S)
        yield process
    finally:
        process.kill()
        await process.end()


_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time a process and its present children have used, seconds."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(folder.name) == pid or int(words[1]) == pid:
                    total += (int(words[11]) + int(words[12])) / _TICKS_PER_S
    return total


def wall_s() -> float:
    """A clock that only goes forward."""
    return time.monotonic()
