"""What the console asks of the service behind it. `cordon` implements it."""

from __future__ import annotations

from typing import Protocol

from alerts.conduct import Pattern
from alerts.deliveries import DeliveryRecord
from alerts.load import LoadFigures
from alerts.model import Alert
from alerts.protection import Protection
from alerts.steps import Step
from console.her_backend import HerBackend
from console.views import Health, Picture, RefusalView, ServiceView, UnassignedView


class NotAvailableError(Exception):
    """Something behind the console is away, so that it cannot answer. The text is for operators."""


class Backend(Protocol):
    """The service as the console sees it.

    `picture`, `basemap` and `health` answer from memory and must not block.
    """

    @property
    def her(self) -> HerBackend:
        """What concerns one person's own rights."""
        ...

    def picture(self) -> Picture:
        """Everything as it is now: all devices, watches, zones, and the most urgent alerts."""
        ...

    def open_alerts(self, limit: int, offset: int) -> list[Alert]:
        """Some of the alerts not resolved, in the order in which people should look at them."""
        ...

    def open_alert(self, alert_id: str) -> Alert | None:
        """One that is not resolved; None when there is none with this id."""
        ...

    async def act(self, alert_id: str, step: Step, version: int, operator: str) -> Alert:
        """Take a step on an alert as it was at `version`, and return it as it stands then.

        Raises:
            alerts.errors.NoSuchAlert: There is none with this id.
            alerts.errors.VersionConflict: It has changed since `version`.
            alerts.errors.IllegalStep: Its state does not allow it.
            NotAvailableError: It cannot be taken, or not be kept, now.
        """
        ...

    async def confirm(self, delivery_id: str, operator: str) -> bool:
        """Staff have what they were sent. False when no such delivery is known.

        Raises:
            NotAvailableError: It cannot be kept now.
        """
        ...

    def protections(self) -> list[Protection]:
        """How well each protected person is protected now."""
        ...

    def service(self) -> ServiceView:
        """How the service itself is."""
        ...

    def load(self) -> LoadFigures:
        """How heavy the alerts are on those who work with them."""
        ...

    def dead_letters(self) -> list[DeliveryRecord]:
        """Deliveries given up of late, newest first, each with its reason."""
        ...

    async def refusals(self, limit: int) -> list[RefusalView]:
        """What was refused, newest first, at most `limit` rows.

        Raises:
            NotAvailableError: It cannot be looked up now.
        """
        ...

    async def unassigned(self, limit: int) -> list[UnassignedView]:
        """Devices heard of late that nobody carries, the one heard last first.

        Raises:
            NotAvailableError: It cannot be looked up now.
        """
        ...

    async def patterns(self, limit: int) -> list[Pattern]:
        """Courses of conduct, those that go on first, each without its acts.

        Raises:
            NotAvailableError: They cannot be looked up now.
        """
        ...

    async def pattern(self, pattern_id: str) -> Pattern | None:
        """A course of conduct with all that it rests on; None when there is none of this id.

        Raises:
            NotAvailableError: It cannot be looked up now.
        """
        ...

    def basemap(self) -> bytes | None:
        """A GeoJSON FeatureCollection to draw beneath everything, or None for a plain ground.

        Features carry a property `kind`: `water`, `park`, `building` (polygons), `street` (lines),
        and optionally `name` and `major` (true for a main street).
        """
        ...

    def health(self) -> Health:
        """Whether the service lives and is ready."""
        ...
