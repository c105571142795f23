"""What people did with one alert, kept a second time and plainly: the desk must agree with it."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.model import Alert
from alerts.steps import (
    Acknowledge,
    Assign,
    Check,
    Dispatch,
    Resolve,
    Shelve,
    Step,
    Unshelve,
)
from devices.instants import to_iso

MINUTE_US = 60_000_000


@dataclass
class StepTwin:
    """Only what people do is kept here; level, tier and state are read from the alert."""

    hand: str | None = None
    owner: str | None = None
    sent: str = ""
    checked: tuple[str, str, int] | None = None
    shelf_until_us: int | None = None
    repeats: int = 0

    def allows(self, alert: Alert, step: Step, operator: str) -> bool:
        """Whether the step is possible now."""
        free = alert.tier > 1 and self.shelf_until_us is None
        over = not (alert.watch and alert.state == "active")
        allowed = False
        match step:
            case Acknowledge():
                allowed = self.hand is None
            case Assign(to=to):
                allowed = (to or None) != self.owner
            case Dispatch(to=to):
                allowed = bool(to)
            case Check(note=note):
                allowed = alert.condition == "tamper" and self.hand is not None and bool(note)
            case Shelve(minutes=minutes, reason=reason):
                allowed = free and 1 <= minutes <= 480 and bool(reason)
            case Unshelve():
                allowed = self.shelf_until_us is not None
            case Resolve(note=note):
                allowed = self.hand is not None and over and bool(note)
                allowed = allowed and self.may_close(alert, operator)
        return allowed

    def may_close(self, alert: Alert, operator: str) -> bool:
        """A tamper needs a check that still holds, and a second person where nobody looked."""
        if alert.condition != "tamper":
            return True
        if self.checked is None:
            return False
        who, how, repeats = self.checked
        return repeats == self.repeats and (how != "second_person" or who != operator)

    def take(self, step: Step, operator: str, now_us: int) -> None:
        """The step was possible: this is what it does."""
        match step:
            case Acknowledge():
                self.take_in_hand(operator)
            case Assign(to=to):
                self.owner = to or None
            case Dispatch(to=to):
                self.take_in_hand(operator)
                self.sent = to
            case Check(by=how):
                self.checked = (operator, how, self.repeats)
            case Shelve(minutes=minutes):
                self.shelf_until_us = now_us + minutes * MINUTE_US
            case Unshelve():
                self.shelf_until_us = None

    def take_in_hand(self, operator: str) -> None:
        if self.hand is None:
            self.hand = operator
            self.owner = self.owner or operator

    def worse(self) -> None:
        """Its tier got worse: it asks for a person again."""
        self.hand = None
        self.shelf_until_us = None

    def agrees(self, alert: Alert) -> bool:
        """Whether the desk's alert says the same."""
        until = None if self.shelf_until_us is None else to_iso(self.shelf_until_us)
        return (
            alert.acknowledged_by == self.hand
            and alert.assigned_to == self.owner
            and alert.dispatched_to == self.sent
            and (alert.checked_by, alert.check) == (self.checked or (None, None))[:2]
            and alert.shelved_until == until
        )
