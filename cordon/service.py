"""The service: all parts in one process, wired together and kept running.

The parts talk over the broker as if they were apart (gateway to journal, journal to evidence), so
that they can be. Where they are not, the journal's writer tells the worker of each batch by a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient

from console.hub import Hub
from cordon import __version__
from cordon.alerting import make_alerting
from cordon.backend import ServiceBackend
from cordon.backroom import BackroomProcess
from cordon.broker_refusals import BrokerRefusals
from cordon.caseload_feed import CaseloadFeed
from cordon.connections import Endpoints, connect_nats, while_open
from cordon.console_part import ConsolePart
from cordon.errors import CordonError
from cordon.forwarding import forwarder_of
from cordon.heartbeat import Heartbeat
from cordon.identity.assembly import assemble_identity
from cordon.identity.registry_feed import RegistryCopy
from cordon.identity.signing_keys import RegisteredKeys
from cordon.identity.tokens import TokenError
from cordon.keep import Keep
from cordon.lease import Lease, instance_name, open_bucket
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
from cordon.state_keeper import StateKeeper
from cordon.strangers import Strangers
from cordon.stream_ends import Ends, HistoryEnds, forget_when_looked_at, stream_ends
from cordon.streams_source import source_factory
from cordon.supervision import Supervisor
from cordon.worker import Worker
from devices.ending import end_if_told
from devices.instants import Clock
from devices.store import CaseloadStore
from evidence.reader import Reader
from evidence.sealer import Sealer, SealerFigures
from evidence.store import Store
from evidence.writer import Writer
from geofence.engine import Rules, warm_up
from ingest.decoder import Decoder
from ingest.gateway import Gateway, new_name
from ingest.journal import JournalUnavailableError, JournalWriter
from ingest.slow_lane import SlowLane
from ingest.streams import StreamsError, ensure_streams

log = structlog.get_logger("service")

BUILD = f"cordon {__version__}"
STREAMS_SHARE = 0.7
KEEP_SHARE = 0.1
"""Parts of the broker's disk limit; the rest is for its own MQTT sessions and messages."""


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
        backroom: Store and seal the history, and take in the slow lane, in a process of its own.
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
        self._console = None if headless else ConsolePart(settings.console, self._home, clock)
        self._started = asyncio.Event()
        self._replanned = asyncio.Event()
        self._parts: Parts | None = None

    @property
    def console_address(self) -> str:
        """Where the console is, for a browser on this machine."""
        assert self._console is not None, "this service has no console"
        return self._console.address

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
        async with (
            self._connected("service") as nc,
            self._connected("gateway", echo=False) as gateway_nc,
        ):
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
        ends = await stream_ends(js, keep)
        heard = Heard()
        self._parts = parts = self._assemble(nc, gateway_nc, keep, heard, ends)
        runs = self._runs(parts, heard)
        end_if_told()
        async with asyncio.TaskGroup() as group:
            # The gateway first: what devices send before its session exists, the broker
            # acknowledges and forgets. The kernels can be compiled meanwhile.
            for name, run in runs.items():
                group.create_task(parts.supervisor.keep(name, run), name=name)
            group.create_task(while_open(nc, gateway_nc), name="connections")
            group.create_task(lease.hold(), name="lease")
            looked = forget_when_looked_at(keep, lambda: parts.worker.counts.checkpoints)
            group.create_task(looked, name="stream-ends")
            self._started.set()
            await parts.identity.registry.looked.wait()
            if not self._standby:
                await recent.read_held()
            await self._take_in(recent, parts)
            end_if_told()

    async def _take_in(self, recent: Recent, parts: Parts) -> None:
        """Have in the journal what was on its way to whoever was in charge before."""
        try:
            for batch in recent.batches(parts.gateway.name, parts.decoder):
                await parts.journal.append(batch)
        except JournalUnavailableError as error:
            # Nobody has acknowledged them: the broker hands them over again, and alerts go on.
            log.warning("held_messages_left_to_the_session", reason=str(error))

    @contextlib.asynccontextmanager
    async def _connected(self, name: str, *, echo: bool = True) -> AsyncIterator[NatsClient]:
        nc = await connect_nats(self._endpoints.nats_url, name, echo=echo)
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
        ends_of_streams: Ends,
    ) -> Parts:
        """Make all parts; nothing runs yet."""
        ends, settings, clock = self._endpoints, self._settings, self._clock
        js, broker = nc.jetstream(), ends.mqtt_broker()
        hub = Hub(secrets.token_hex(8), clock, build=BUILD)
        rules = Rules()
        strangers = Strangers(lambda device: partition.wearing.bearer(device).person is not None)
        alerting = make_alerting(
            settings.alerts, js, broker, hub, clock, rules=rules.version, build=BUILD
        )
        name, outgoing = new_name(), alerting.outgoing
        partition = Partition(
            alerting.new_desk,
            outgoing,
            Telling(heard, strangers, hub, self._replanned, outgoing.came_online),
            clock(),
            tick_s=settings.engine.sweep_interval_s,
            build=BUILD,
            rules=rules,
            secret=secrets.token_bytes(32),
            sensitivities=alerting.policy.profiles.sensitivities,
            synthetic=settings.alerts.probe,
        )
        alerting.places.partition = alerting.carried.partition = partition
        registry = RegistryCopy(keep, nc)
        decoder = Decoder(RegisteredKeys(registry))
        worker = self._worker(nc, gateway_nc, keep, partition, outgoing, ends_of_streams, decoder)
        journal = JournalWriter(gateway_nc, worker)
        slow_lane = SlowLane(gateway_nc, journal, clock, gateway=name, decoder=decoder)
        gateway = Gateway(broker, journal, clock, defer=slow_lane.keep, name=name, decoder=decoder)
        refusals = BrokerRefusals(journal, clock, name=f"{name}.watch")
        sealer = sealer_in_service(settings, ends.dsn, clock, backroom=self._backroom)
        record = RecordWatch(ends.dsn, settings, clock)
        return Parts(
            gateway=gateway,
            journal=journal,
            decoder=decoder,
            slow_lane=slow_lane,
            worker=worker,
            outgoing=outgoing,
            publisher=alerting.publisher,
            writer=self._writer(nc, keep, slow_lane, record, sealer, name),
            history=Reader(ends.dsn),
            record=record,
            feed=CaseloadFeed(CaseloadStore(ends.dsn), keep, nc),
            states=StateKeeper(ends.dsn, keep, nc, build=BUILD),
            hub=hub,
            supervisor=Supervisor(),
            heartbeat=Heartbeat(nc, gateway_nc),
            nearness=Nearness(nc, partition, gateway),
            policy=alerting.policy,
            channels=alerting.channels,
            probe=alerting.probe,
            strangers=strangers,
            forwarder=forwarder_of(settings.forwarding, broker),
            identity=assemble_identity(
                ends, self._home, keep, nc, registry, refusals, clock, nameless=self._nameless
            ),
            sealer=sealer,
        )

    def _writer(
        self,
        nc: NatsClient,
        keep: Keep,
        slow_lane: SlowLane,
        record: RecordWatch,
        sealer: SealerFigures | None,
        gateway: str,
    ) -> Writer | BackroomProcess:
        ends = self._endpoints
        if self._backroom:
            return BackroomProcess(ends, self._settings, slow_lane, record, sealer, gateway)
        open_source = source_factory(nc.jetstream(), HistoryEnds(keep))
        return Writer(Store(ends.dsn), open_source, self._clock)

    def _worker(
        self,
        nc: NatsClient,
        gateway_nc: NatsClient,
        keep: Keep,
        partition: Partition,
        outgoing: Outgoing,
        ends_of_streams: Ends,
        decoder: Decoder,
    ) -> Worker:
        return Worker(
            nc,
            keep,
            partition,
            outgoing,
            self._clock,
            tick_s=self._settings.engine.sweep_interval_s,
            checkpoint_s=self._settings.engine.checkpoint_interval_s,
            journal_end=ends_of_streams.journal or 0,
            alerts_end=ends_of_streams.alerts,
            others=gateway_nc,
            decoder=decoder,
        )

    def _runs(self, parts: Parts, heard: Heard) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is kept running, by name."""
        self._backend = ServiceBackend(
            parts, heard, self._clock, build=BUILD, basemap=self._basemap
        )
        runs: dict[str, Callable[[], Awaitable[None]]] = {
            "gateway": parts.identity.knowing_keys(parts.gateway.run),
            "worker": lambda: self._work(parts.worker),
            "outgoing": parts.outgoing.run,
            "publisher": parts.publisher.run,
            "assurance": self._backend.assurer.run,
            "heartbeat": parts.heartbeat.run,
            "nearness": parts.nearness.run,
            "evidence": parts.writer.run,
            "caseload": parts.feed.run,
            "policy": lambda: parts.policy.run(lambda: self._adopt(parts)),
            "troubles": self._backend.watch().run,
            **parts.identity.runs(),
        }
        if parts.forwarder is not None:
            runs["forwarding"] = parts.forwarder.run
        if not self._backroom:
            runs["record"] = parts.record.run
            runs["states"] = parts.states.run
            runs["slow-lane"] = parts.identity.knowing_keys(parts.slow_lane.run)
            if isinstance(parts.sealer, Sealer):
                runs["sealer"] = parts.sealer.run
        if parts.probe is not None:
            runs["self-test"] = parts.probe.run
        console = self._console
        if console is not None:
            runs["console"] = lambda: console.serve(parts, self._backend)
            runs["positions"] = lambda: console.show_positions(parts, self._backend)
        return runs

    def _adopt(self, parts: Parts) -> None:
        """Another policy is in force: watches go by its parameters, alerts by its plans."""
        parts.worker.partition.go_by(parts.policy.profiles.sensitivities, self._clock())

    async def _work(self, worker: Worker) -> None:
        """Have the kernels compiled, which the first start takes seconds for, then work."""
        log.info("engine_compiled", took_s=await asyncio.to_thread(warm_up))
        await worker.run()
