"""The service as the console sees it: the worker's state, the database's refusals, health."""

from __future__ import annotations

import asyncio

from alerts.conduct import Pattern
from alerts.degraded import Degraded
from alerts.deliveries import DeliveryRecord
from alerts.desk import Desk
from alerts.load import LoadFigures
from alerts.model import Alert, AlertChange
from alerts.protection import Protection
from alerts.steps import Step
from console.backend import NotAvailableError
from console.views import (
    ALERTS_SHOWN,
    DegradedView,
    Health,
    PartView,
    Picture,
    RefusalView,
    ServiceView,
    UnassignedView,
)
from cordon.assurance import Assurer
from cordon.footing import Signs
from cordon.her_backend import ServiceHerBackend
from cordon.parts import Parts
from cordon.picture import Heard, device_views, watch_views, zone_views
from cordon.trouble_watch import TroubleWatch, watch_of
from devices.instants import Clock, to_iso
from devices.synthetic import is_synthetic
from evidence.reader import HistoryUnavailableError

CONFIRM_LIMIT_S = 10.0
_NO_PATTERNS = (
    "Courses of conduct cannot be shown: the database does not answer. They are recognised in what "
    "it holds, and alerts do not depend on them."
)
_OPEN = "open: anybody may speak for any device"
"""How a broker is set up: known from the start, and no trouble that somebody has to be told of."""

LATE_MS = 2_000.0
"""A batch decided on later than this means that alerts are late, and staff are told."""


class ServiceBackend:
    """Answers the console from memory, except for what only the database has.

    Args:
        parts: The running parts of the service.
        heard: Batteries and presence.
        clock: The time.
        build: Version shown to staff.
        basemap: GeoJSON to draw beneath, or None.
    """

    def __init__(
        self, parts: Parts, heard: Heard, clock: Clock, *, build: str, basemap: bytes | None
    ) -> None:
        self._parts = parts
        self._heard = heard
        self._clock = clock
        self._build = build
        self.her = ServiceHerBackend(parts, self._kept, clock)
        self.assurer = Assurer(parts.worker, parts.outgoing, parts.publisher, self._signs, clock)
        self._basemap = basemap
        self._degraded = Degraded()

    def watch(self) -> TroubleWatch:
        """Keeps up what is degraded, and tells those who mend it."""
        contacts, channels = self._parts.policy.contacts, self._parts.channels
        return watch_of(self._degraded, self._troubles, contacts, channels, self._clock)

    def _troubles(self) -> dict[str, str]:
        """By name, what is wrong with the service now."""
        parts = {
            "broker": self._broker(),
            "database": self._database(),
            "engine": self._engine(),
            "fleet": self._fleet(),
        }
        troubled = {name: part.detail for name, part in parts.items() if part.state != "up"}
        return {name: detail for name, detail in troubled.items() if detail != _OPEN}

    def picture(self) -> Picture:
        """Everything as it is now."""
        partition = self._parts.worker.partition
        engine, compiled = partition.engine.picture(), partition.compiled
        keys, watches, conditions = compiled.plan.watch_keys, compiled.watches, partition.conditions
        people = {person.id: person for person in partition.kept.caseload.people}
        bearers = {d: one for d, one in compiled.bearers.items() if not is_synthetic(d)}
        tracks, health = compiled.plan.tracks, partition.care.health.devices
        return Picture(
            server_time=to_iso(self._clock()),
            devices=device_views(engine.tracks, tracks, bearers, people, self._heard, health),
            watches=watch_views(engine.watches, keys, watches, conditions),
            zones=zone_views(engine.watches, keys, watches, conditions),
            alerts=partition.desk.most_urgent(ALERTS_SHOWN),
            service=self.service(),
        )

    def open_alerts(self, limit: int, offset: int) -> list[Alert]:
        """Some of the alerts not resolved, in the order in which people should look at them."""
        return self._parts.worker.partition.desk.most_urgent(limit, offset)

    def open_alert(self, alert_id: str) -> Alert | None:
        """One that is not resolved."""
        return self._parts.worker.partition.desk.find(alert_id)

    async def act(self, alert_id: str, step: Step, version: int, operator: str) -> Alert:
        """Take a step on an alert; returns when that is on disk."""
        now_us = self._clock()
        return await self._done(
            self._desk().act(alert_id, step, version=version, operator=operator, now_us=now_us)
        )

    def _desk(self) -> Desk:
        """The alert desk, unless it is still being rebuilt.

        Raises:
            NotAvailableError: What is done to it now would be done to the past.
        """
        if not self._parts.worker.caught_up.is_set():
            raise NotAvailableError(
                "The service is still reading what happened while it was away. Try again in a "
                "moment."
            )
        return self._parts.worker.partition.desk

    async def _done(self, changes: list[AlertChange]) -> Alert:
        """Pass the changes on, and wait until they are on disk.

        Raises:
            NotAvailableError: The broker does not confirm it in time.
        """
        self._parts.outgoing.changed(changes)
        await self._kept()
        return changes[-1].data

    async def _kept(self) -> None:
        """Wait until what was handed over is on disk.

        Raises:
            NotAvailableError: The broker does not confirm it in time.
        """
        try:
            async with asyncio.timeout(CONFIRM_LIMIT_S):
                await self._parts.outgoing.drained()
        except TimeoutError as error:
            raise NotAvailableError(
                "Your step has been taken, but the broker has not confirmed that it is kept. "
                "Everybody sees it; if the service stops before the broker is back, take it again."
            ) from error

    async def confirm(self, delivery_id: str, operator: str) -> bool:
        """Staff have what they were sent; kept before this returns."""
        known = self._parts.outgoing.confirmed(delivery_id, operator)
        if known:
            await self._kept()
        return known

    def protections(self) -> list[Protection]:
        """How well each protected person is protected now."""
        return [one.in_words(self._parts.policy.profiles) for one in self.assurer.statuses()]

    def _signs(self) -> Signs:
        """How the service is, as far as her protection rests on it."""
        probe = self._probe()
        return Signs(
            broken=not self.health().ready,
            late=self._engine().state != "up" or (probe is not None and probe.state != "up"),
            unrecorded=self._database().state != "up",
        )

    def load(self) -> LoadFigures:
        """How heavy the alerts are on those who work with them."""
        ranking = self._parts.worker.partition.desk.ranking
        burden = self._parts.outgoing.burden
        return burden.figures(self._clock(), ranking, len(self._parts.hub))

    def dead_letters(self) -> list[DeliveryRecord]:
        """Deliveries given up of late, newest first."""
        return list(reversed(self._parts.outgoing.outbox.dead_letters))

    async def refusals(self, limit: int) -> list[RefusalView]:
        """What was refused, by device and reason, the newest first.

        Raises:
            NotAvailableError: The database is away.
        """
        try:
            rows = await self._parts.history.refusals_by_device(limit)
        except HistoryUnavailableError as error:
            raise NotAvailableError(
                "What was refused cannot be shown: the database does not answer. It is kept in "
                "the journal meanwhile."
            ) from error
        return [
            RefusalView(
                device=row.device,
                code=row.code,
                reason=row.reason,
                count=row.count,
                last_time=to_iso(row.last_us),
                item=row.item,
            )
            for row in rows
        ]

    async def unassigned(self, limit: int) -> list[UnassignedView]:
        """Devices heard of late that nobody carries.

        Raises:
            NotAvailableError: The database is away.
        """
        bearers = self._parts.worker.partition.compiled.bearers
        carried = [device for device, bearer in bearers.items() if bearer.person is not None]
        try:
            rows = await self._parts.history.unassigned(carried, self._clock(), limit)
        except HistoryUnavailableError as error:
            raise NotAvailableError(
                "Devices that nobody carries cannot be shown: the database does not answer. What "
                "they send is kept in the journal meanwhile."
            ) from error
        return [
            UnassignedView(
                device=row.device,
                reports=row.reports,
                first_time=to_iso(row.first_us),
                last_time=to_iso(row.last_us),
            )
            for row in rows
        ]

    async def patterns(self, limit: int) -> list[Pattern]:
        """Courses of conduct, those that go on first, each without its acts.

        Raises:
            NotAvailableError: The database is away.
        """
        try:
            found = await self._parts.history.patterns(limit)
        except HistoryUnavailableError as error:
            raise NotAvailableError(_NO_PATTERNS) from error
        return [one.pattern() for one in found]

    async def pattern(self, pattern_id: str) -> Pattern | None:
        """A course of conduct with all that it rests on.

        Raises:
            NotAvailableError: The database is away.
        """
        try:
            found = await self._parts.history.pattern(pattern_id)
        except HistoryUnavailableError as error:
            raise NotAvailableError(_NO_PATTERNS) from error
        return None if found is None else found.pattern()

    def basemap(self) -> bytes | None:
        """The ground to draw on."""
        return self._basemap

    def health(self) -> Health:
        """Ready means: a fix that arrives now is kept, decided on and told."""
        reasons = []
        if self._parts.heartbeat.silent:
            reasons.append("the broker does not answer: devices keep their fixes")
        if not self._parts.gateway.ready.is_set():
            reasons.append("the gateway has no connection to the broker: devices keep their fixes")
        if self._parts.journal.refusing:
            reasons.append(
                "the broker does not keep what it is given: alerts go on for a while, then devices "
                "keep their fixes; is its disk full?"
            )
        if not self._parts.worker.caught_up.is_set():
            reasons.append("the worker is still reading the journal: alerts may be late")
        if not self._parts.publisher.connected:
            reasons.append("alerts cannot be sent: no connection to the broker")
        door = self._parts.identity.doorkeeper
        if door is not None and door.closed:
            reasons.append(f"no device can connect anew: {door.closed}")
        return Health(live=True, ready=not reasons, reasons=tuple(reasons))

    def service(self) -> ServiceView:
        """How the parts are, in the words staff read."""
        parts, worker = self._parts, self._parts.worker
        return ServiceView(
            broker=self._broker(),
            database=self._database(),
            engine=self._engine(),
            lag_ms=worker.lag_ms,
            stored_lag=max(lane.lag for lane in parts.writer.counts.lanes.values()),
            last_message=to_iso(worker.last_applied_us) if worker.last_applied_us else None,
            counts={
                "devices": sum(not is_synthetic(d) for d in worker.partition.compiled.bearers),
                "fixes": worker.partition.counts.fixes,
                "refused": self._heard.refused,
            },
            build=self._build,
            flood_since=self._flood(),
            fleet=self._fleet(),
            degraded=tuple(
                DegradedView(name=one.name, detail=one.detail, since=to_iso(one.since_us))
                for one in self._degraded.going_on
            ),
            alerts_open=worker.partition.desk.ranking.by_tier(),
            probe=self._probe(),
        )

    def _probe(self) -> PartView | None:
        probe = self._parts.probe
        if probe is None:
            return None
        problem = probe.judge.problem(self._clock())
        return PartView(state="down" if problem else "up", detail=problem)

    def _flood(self) -> str | None:
        since_us = self._parts.outgoing.burden.flood_since_us(self._clock(), len(self._parts.hub))
        return None if since_us is None else to_iso(since_us)

    def _broker(self) -> PartView:
        parts = self._parts
        connected = parts.gateway.ready.is_set() and parts.publisher.connected
        if connected and parts.journal.refusing:
            return PartView(state="degraded", detail="it keeps nothing: is its disk full?")
        if connected and not parts.heartbeat.silent:
            if parts.identity.devices_open:
                return PartView(state="degraded", detail=_OPEN)
            if parts.identity.doorkeeper is not None and parts.identity.doorkeeper.closed:
                return PartView(state="degraded", detail=parts.identity.doorkeeper.closed)
            return PartView(state="up")
        return PartView(state="down", detail="no answer; devices keep their fixes")

    def _database(self) -> PartView:
        if self._parts.writer.counts.database_up:
            return PartView(state="up")
        return PartView(state="down", detail="alerts go on; history waits in the journal")

    def _engine(self) -> PartView:
        worker, now_us = self._parts.worker, self._clock()
        if not worker.caught_up.is_set():
            return PartView(state="degraded", detail="reading the journal; alerts may be late")
        if worker.lateness_ms(now_us) > LATE_MS:
            return PartView(state="degraded", detail="behind; alerts are late")
        return PartView(state="up")

    def _fleet(self) -> PartView:
        incident = self._parts.worker.partition.care.health.incident
        if incident is None:
            return PartView(state="up")
        detail = (
            f"{incident.missing} devices fell silent at once: a network or a server, not people"
        )
        return PartView(state="degraded", detail=detail)
