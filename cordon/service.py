"""The service: all parts in one process, wired together and kept running.

The parts talk over the broker as if they were apart (gateway to journal, journal to worker and to
evidence), so that they can be: nothing here but the console reads another part's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.js import JetStreamContext

from console.access import Access, Operator
from console.app import create_app
from console.hub import Hub
from console.server import bind, serve_console
from cordon import __version__
from cordon.alerting import make_alerting
from cordon.backend import ServiceBackend
from cordon.backroom import BackroomProcess
from cordon.broker_refusals import BrokerRefusals
from cordon.caseload_feed import CaseloadFeed
from cordon.connections import Endpoints, connect_nats, while_open
from cordon.console_memory import SessionFile, bind_console
from cordon.errors import CordonError
from cordon.forwarding import forwarder_of
from cordon.heartbeat import Heartbeat
from cordon.identity.assembly import assemble_identity
from cordon.identity.tokens import TokenError
from cordon.keep import Keep
from cordon.lease import Lease, instance_name, open_bucket
from cordon.metrics import Metrics
from cordon.nearness import Nearness
from cordon.observing import Telling
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from cordon.parts import Parts
from cordon.picture import Heard, read_basemap
from cordon.recent import Recent
from cordon.record_watch import RecordWatch
from cordon.seal import sealer_in_service
from cordon.settings import Settings
from cordon.strangers import Strangers
from cordon.streams_source import source_factory
from cordon.supervision import Supervisor
from cordon.worker import Worker
from devices.instants import Clock
from devices.store import CaseloadStore
from devices.watches import Bearer
from evidence.reader import Reader
from evidence.sources import Stream
from evidence.store import Store
from evidence.writer import Writer
from geofence.engine import Rules, warm_up
from ingest.gateway import Gateway, new_name
from ingest.journal import JournalWriter
from ingest.slow_lane import SlowLane
from ingest.streams import StreamsError, ensure_streams

log = structlog.get_logger("service")

BUILD = f"cordon {__version__}"
STREAMS_SHARE = 0.7
KEEP_SHARE = 0.1
"""Parts of the broker's disk limit; the rest is for its own MQTT sessions and messages."""

POSITIONS_EVERY_S = 1.0


class Service:
    """Gateway, worker, alert channels, evidence and console in one process.

    Args:
        endpoints: Broker and database.
        settings: See `cordon.settings`.
        clock: The time.
        basemap: GeoJSON beneath the map; None takes the settings' file.
        headless: No console.
        nameless: Device that a connection without a name may speak for, in a demonstration.
        standby: Take charge only when the service that is in charge is gone.
        backroom: Store the history and take in the slow lane in a process of its own.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        settings: Settings,
        clock: Clock,
        *,
        basemap: bytes | None = None,
        headless: bool = False,
        nameless: str = "",
        standby: bool = False,
        backroom: bool = False,
    ) -> None:
        self._nameless = nameless
        self._endpoints = endpoints
        self._settings = settings
        self._clock = clock
        self._basemap = basemap or read_basemap(settings.console.basemap)
        self._home = Path(settings.state_directory)
        self._standby = standby
        self._backroom = backroom
        self._bound = None if headless else self._bind()
        self._started = asyncio.Event()
        self._replanned = asyncio.Event()
        self._parts: Parts | None = None

    def _bind(self) -> socket.socket:
        console = self._settings.console
        self._home.mkdir(parents=True, exist_ok=True)
        try:
            return bind_console(console.host, console.port, self._home / "console.port")
        except OSError as error:
            raise CordonError(
                f"The console cannot listen on {console.host}:{console.port}: {error.strerror}. "
                "Choose another port with console.port, or 0 for any free one."
            ) from error

    @property
    def console_address(self) -> str:
        """Where the console is, for a browser on this machine."""
        assert self._bound is not None, "this service has no console"
        host, port = self._bound.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def parts(self) -> Parts:
        """The running parts; only after `wait_ready`."""
        assert self._parts is not None, "the service has not been started"
        return self._parts

    async def wait_ready(self) -> None:
        """Wait until a fix that arrives is kept, decided on and told."""
        await self._started.wait()
        await self.parts.gateway.ready.wait()
        await self.parts.worker.caught_up.wait()
        await self.parts.publisher.ready.wait()
        if self.parts.identity.doorkeeper is not None:
            await self.parts.identity.doorkeeper.wait_ready()

    async def wait_for_caseload(self, version: str) -> None:
        """Wait until a version of the caseload is in force."""
        while self.parts.worker.partition.kept.version != version:
            self._replanned.clear()
            await self._replanned.wait()

    async def wait_for_credentials(self, version: int) -> None:
        """Wait until this version of the credentials opens the door."""
        if self.parts.identity.doorkeeper is not None:
            await self.parts.identity.doorkeeper.copy.wait_for(version)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            CordonError: The broker cannot be used; the text says why and what to do.
        """
        try:
            await self._run()
        except StreamsError as error:
            raise CordonError(str(error)) from error
        except TokenError as error:
            raise CordonError(f"broker.issuer_seed in the settings: {error}.") from error
        except nats.errors.Error as error:
            raise CordonError(
                f"The broker does not let the service in: {error}. Check broker.nats_url in the "
                "settings: host, port, user and password."
            ) from error
        except ExceptionGroup as group:
            for reason in group.exceptions:
                if isinstance(reason, CordonError):
                    raise reason from None
            raise

    async def _run(self) -> None:
        async with self._connected("service") as nc, self._connected("gateway") as gateway_nc:
            js = nc.jetstream()
            room_bytes = self._settings.broker.store_bytes
            await ensure_streams(js, max_bytes=int(room_bytes * STREAMS_SHARE))
            lease = Lease(await open_bucket(nc), instance_name(self._home))
            recent = Recent(nc, self._clock)
            await self._take_charge(lease, recent)
            try:
                await self._serve(nc, gateway_nc, lease, recent)
            finally:
                await lease.give_back()

    async def _take_charge(self, lease: Lease, recent: Recent) -> None:
        if not self._standby:
            await lease.take(patient=False)
            return
        await asyncio.to_thread(warm_up)  # before, not when every second counts
        async with recent.listening():
            await lease.take(patient=True)

    async def _serve(
        self, nc: NatsClient, gateway_nc: NatsClient, lease: Lease, recent: Recent
    ) -> None:
        js = nc.jetstream()
        room_bytes = self._settings.broker.store_bytes
        keep = await Keep.open(js, max_bytes=int(room_bytes * KEEP_SHARE))
        stream_ends = {s: (await js.stream_info(s.value)).state.last_seq for s in Stream}
        heard = Heard()
        parts = self._assemble(nc, gateway_nc, keep, heard, stream_ends)
        self._parts = parts
        runs = self._runs(parts, heard)
        async with asyncio.TaskGroup() as group:
            # The gateway first: what devices send before its session exists, the broker
            # acknowledges and forgets. The kernels can be compiled meanwhile.
            for name, run in runs.items():
                group.create_task(parts.supervisor.keep(name, run), name=name)
            group.create_task(while_open(nc, gateway_nc), name="connections")
            group.create_task(lease.hold(), name="lease")
            self._started.set()
            for batch in recent.batches(parts.gateway.name):
                await parts.journal.append(batch)

    @contextlib.asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[NatsClient]:
        nc = await connect_nats(self._endpoints.nats_url, name)
        try:
            yield nc
        finally:
            await nc.close()

    def _assemble(
        self,
        nc: NatsClient,
        gateway_nc: NatsClient,
        keep: Keep,
        heard: Heard,
        stream_ends: Mapping[Stream, int],
    ) -> Parts:
        """Make all parts; nothing runs yet."""
        ends, settings, clock = self._endpoints, self._settings, self._clock
        js = nc.jetstream()
        broker = ends.mqtt_broker()
        hub = Hub(secrets.token_hex(8), clock, build=BUILD)
        rules = Rules()

        def bearer_of(device: str) -> Bearer | None:
            return partition.compiled.bearers.get(device)

        strangers = Strangers(lambda device: partition.wearing.bearer(device).person is not None)

        alerting = make_alerting(
            settings.alerts, js, broker, hub, bearer_of, clock, rules=rules.version, build=BUILD
        )
        outgoing = alerting.outgoing
        partition = Partition(
            alerting.new_desk,
            outgoing,
            Telling(heard, strangers, hub, self._replanned),
            clock(),
            tick_s=settings.engine.sweep_interval_s,
            build=BUILD,
            rules=rules,
            secret=secrets.token_bytes(32),
            sensitivities=alerting.policy.profiles.sensitivities,
            synthetic=settings.alerts.probe,
        )
        worker = self._worker(nc, keep, partition, outgoing, stream_ends)
        journal = JournalWriter(gateway_nc)
        name = new_name()
        slow_lane = SlowLane(gateway_nc, journal, clock, gateway=name)
        gateway = Gateway(broker, journal, clock, defer=slow_lane.keep, name=name)
        refusals = BrokerRefusals(journal, clock, name=f"{name}.watch")
        return Parts(
            gateway=gateway,
            journal=journal,
            slow_lane=slow_lane,
            worker=worker,
            outgoing=outgoing,
            publisher=alerting.publisher,
            writer=self._writer(js, stream_ends, slow_lane, name),
            history=Reader(ends.dsn),
            record=RecordWatch(ends.dsn, settings, clock),
            feed=CaseloadFeed(CaseloadStore(ends.dsn), keep, nc),
            hub=hub,
            supervisor=Supervisor(),
            heartbeat=Heartbeat(nc, gateway_nc),
            nearness=Nearness(nc, partition, gateway),
            policy=alerting.policy,
            probe=alerting.probe,
            strangers=strangers,
            forwarder=forwarder_of(settings.forwarding, broker),
            identity=assemble_identity(
                ends, self._home, keep, nc, refusals, clock, nameless=self._nameless
            ),
            sealer=sealer_in_service(settings, ends.dsn, clock),
        )

    def _worker(
        self,
        nc: NatsClient,
        keep: Keep,
        partition: Partition,
        outgoing: Outgoing,
        stream_ends: Mapping[Stream, int],
    ) -> Worker:
        return Worker(
            nc,
            keep,
            partition,
            outgoing,
            self._clock,
            tick_s=self._settings.engine.sweep_interval_s,
            checkpoint_s=self._settings.engine.checkpoint_interval_s,
            journal_end=stream_ends[Stream.JOURNAL],
        )

    def _writer(
        self,
        js: JetStreamContext,
        stream_ends: Mapping[Stream, int],
        slow_lane: SlowLane,
        gateway: str,
    ) -> Writer | BackroomProcess:
        ends, logs = self._endpoints, self._settings.logs
        if self._backroom:
            return BackroomProcess(ends, stream_ends, slow_lane, gateway=gateway, logs=logs)
        return Writer(Store(ends.dsn), source_factory(js, stream_ends), self._clock)

    def _runs(self, parts: Parts, heard: Heard) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is kept running, by name."""
        self._backend = ServiceBackend(
            parts, heard, self._clock, build=BUILD, basemap=self._basemap
        )
        runs: dict[str, Callable[[], Awaitable[None]]] = {
            "gateway": parts.gateway.run,
            "worker": lambda: self._work(parts.worker),
            "outgoing": parts.outgoing.run,
            "publisher": parts.publisher.run,
            "heartbeat": parts.heartbeat.run,
            "nearness": parts.nearness.run,
            "evidence": parts.writer.run,
            "record": parts.record.run,
            "caseload": parts.feed.run,
            "policy": lambda: parts.policy.run(lambda: self._adopt(parts)),
            **parts.identity.runs(),
        }
        if parts.forwarder is not None:
            runs["forwarding"] = parts.forwarder.run
        if not self._backroom:
            runs["slow-lane"] = parts.slow_lane.run
        if parts.sealer is not None:
            runs["sealer"] = parts.sealer.run
        if parts.probe is not None:
            runs["self-test"] = parts.probe.run
        if self._bound is not None:
            runs["console"] = self._console(parts, self._bound)
            runs["positions"] = lambda: self._show_positions(parts)
        return runs

    def _adopt(self, parts: Parts) -> None:
        """Another policy is in force: watches go by its parameters, alerts by its plans."""
        parts.worker.partition.go_by(parts.policy.profiles.sensitivities, self._clock())

    async def _work(self, worker: Worker) -> None:
        """Have the kernels compiled, which the first start takes seconds for, then work."""
        log.info("engine_compiled", took_s=await asyncio.to_thread(warm_up))
        await worker.run()

    def _console(self, parts: Parts, bound: socket.socket) -> Callable[[], Awaitable[None]]:
        console = self._settings.console
        operators = [Operator(name=o.name, token_sha256=o.token_sha256) for o in console.operators]
        access = Access(
            operators,
            self._clock,
            allowed_hosts=console.allowed_hosts,
            store=SessionFile(self._home / "sessions.json"),
        )
        metrics = Metrics(parts)
        app = create_app(self._backend, parts.hub, access, metrics.text, version=__version__)
        host, port = bound.getsockname()[:2]

        async def run() -> None:
            # Serving closes its socket: after a failure there has to be a new one.
            parts.hub.open()
            await serve_console(app, bound if bound.fileno() >= 0 else bind(host, port))

        return run

    async def _show_positions(self, parts: Parts) -> None:
        """Once a second, to whoever looks: where everybody is, and how the service is."""
        while True:
            await asyncio.sleep(POSITIONS_EVERY_S)
            if len(parts.hub):
                picture = self._backend.picture()
                parts.hub.publish_positions(picture.devices, picture.watches)
                parts.hub.publish_service(picture.service)
