"""What a person can do with an alert: what each step asks for, and what it makes of the alert.

Pure: an alert and a step in, changed fields out, or a refusal whose text is for the operator.
`alerts.desk` looks up the alert and makes the change.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Protocol

import msgspec

from alerts.book import Entry
from alerts.errors import IllegalStep, NoSuchAlert, VersionConflict
from alerts.model import OFF_THE_SHELF, SYSTEM, Alert, ChangeKind, CheckKind, Outcome
from devices.instants import MICROSECONDS, to_iso

OPERATOR_LIMIT_CHARS = 200
NOTE_LIMIT_CHARS = 2_000

SHELF_LONGEST_MIN = 480
"""No alert is put aside for longer than one shift: whoever comes next must decide anew."""

Name = Annotated[str, msgspec.Meta(max_length=OPERATOR_LIMIT_CHARS)]
Way = Literal["", "north", "east", "south", "west", "stay"]
Note = Annotated[str, msgspec.Meta(max_length=NOTE_LIMIT_CHARS)]


class Step(Protocol):
    """One step."""

    @property
    def kind(self) -> ChangeKind:
        """Of the change that it makes."""

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """The fields of the alert that this step changes.

        Raises:
            IllegalStep: The alert's state does not allow the step, or the step lacks something.
        """


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a step needs to be told. Unknown fields are refused."""

    kind: ClassVar[ChangeKind]


class Acknowledge(_Asked, frozen=True):
    """Take the alert in hand."""

    kind = "acknowledged"

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if alert.acknowledged_by is not None:
            raise IllegalStep(
                alert.alert_id,
                f"the alert was acknowledged by {alert.acknowledged_by} at"
                f" {alert.acknowledged_at} already; there is nothing left to acknowledge",
            )
        return _in_hand(alert, operator, now_us)


class Assign(_Asked, frozen=True):
    """Give the alert to somebody, or, with `to` empty, to nobody in particular."""

    kind = "assigned"
    to: Name

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        del operator, now_us
        to = self.to.strip() or None
        if to == alert.assigned_to:
            raise IllegalStep(alert.alert_id, f"the alert is {_whose(to)} already")
        return {"assigned_to": to}


class Dispatch(_Asked, frozen=True):
    """Send somebody, for example a patrol. It takes the alert in hand if nobody has."""

    kind = "dispatched"
    to: Name
    note: Note = ""

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if not self.to.strip():
            raise IllegalStep(alert.alert_id, "say who was sent: a unit, a patrol, a person")
        sent = {
            "dispatched_by": operator,
            "dispatched_at": to_iso(now_us),
            "dispatched_to": self.to.strip(),
        }
        return _in_hand(alert, operator, now_us) | sent | _noted(self.note)


class Check(_Asked, frozen=True):
    """Say what a tamper was checked by. Without it no tamper is closed."""

    kind = "checked"
    by: CheckKind
    note: Note

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if alert.condition != "tamper":
            raise IllegalStep(alert.alert_id, "only a tamper has a device to check; resolve it")
        if alert.acknowledged_by is None:
            raise IllegalStep(alert.alert_id, _ACKNOWLEDGE_FIRST)
        if not self.note.strip():
            raise IllegalStep(
                alert.alert_id, "say what was found: the strap, the case, who was there"
            )
        return {
            "checked_by": operator,
            "checked_at": to_iso(now_us),
            "check": self.by,
            "checked_repeats": alert.repeats,
        } | _noted(self.note)


class Shelve(_Asked, frozen=True):
    """Put the alert out of the way for some minutes; it comes back by itself.

    It hides nothing from the protected person: what she is told does not depend on it.
    """

    kind = "shelved"
    minutes: int
    reason: Note

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if alert.tier == 1:
            raise IllegalStep(alert.alert_id, "tier 1 is immediate danger and is never shelved")
        if alert.shelved_until is not None:
            raise IllegalStep(
                alert.alert_id,
                f"{alert.shelved_by} has shelved it until {alert.shelved_until} already; take it"
                " off the shelf before you shelve it anew",
            )
        if not 1 <= self.minutes <= SHELF_LONGEST_MIN:
            raise IllegalStep(
                alert.alert_id, f"say for how many minutes, from 1 to {SHELF_LONGEST_MIN}"
            )
        if not self.reason.strip():
            raise IllegalStep(alert.alert_id, "shelving needs a reason that others can judge")
        until_us = now_us + self.minutes * 60 * MICROSECONDS
        return {
            "shelved_by": operator,
            "shelved_at": to_iso(now_us),
            "shelved_until": to_iso(until_us),
            "shelf_reason": self.reason.strip(),
        }


class Unshelve(_Asked, frozen=True):
    """Take the alert off the shelf before its time."""

    kind = "unshelved"

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        del operator
        if alert.shelved_until is None:
            raise IllegalStep(alert.alert_id, "the alert is not on the shelf")
        return off_the_shelf(now_us)


class Tell(_Asked, frozen=True):
    """Tell the protected person, where the profile does not do it by itself.

    For example where she is told only of a wearer who does not comply.
    """

    kind = "told"
    way: Way = ""

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if alert.state != "active":
            raise IllegalStep(alert.alert_id, "it is over: there is nothing to tell her of")
        if "tell_protected" not in alert.procedure:
            raise IllegalStep(
                alert.alert_id, "the profile of this order leaves nothing to tell her by hand here"
            )
        if not alert.notify:
            raise IllegalStep(alert.alert_id, "she has no handset that could be told; call her")
        told = {"told": True, "told_at": to_iso(now_us), "told_version": alert.version + 1}
        return _in_hand(alert, operator, now_us) | told | {"way": self.way}


class Resolve(_Asked, frozen=True):
    """Close what no signal ends (panic, tamper, trouble with a device), or where somebody was sent.

    A danger that the engine still sees cannot be closed away.
    """

    kind = "resolved"
    outcome: Outcome
    note: Note

    def fields(self, alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
        """See `Step.fields`."""
        if alert.acknowledged_by is None:
            raise IllegalStep(alert.alert_id, _ACKNOWLEDGE_FIRST)
        if alert.watch and alert.state == "active":
            raise IllegalStep(
                alert.alert_id,
                "what the alert is about still lasts, so it cannot be closed; when it is over it"
                " closes by itself, or asks how it ended if somebody was sent",
            )
        if alert.condition == "tamper":
            _require_check(alert, operator)
        if not self.note.strip() or len(self.note) > NOTE_LIMIT_CHARS:
            raise IllegalStep(
                alert.alert_id,
                "closing needs a note that says what was found and done, of at most"
                f" {NOTE_LIMIT_CHARS} characters",
            )
        closed = {"resolved_by": operator, "resolved_at": to_iso(now_us)}
        return closed | {"outcome": self.outcome, "note": self.note}


_ACKNOWLEDGE_FIRST = "nobody has acknowledged the alert; acknowledge it first"


def seen_by(operator: str, entry: Entry | None, alert_id: str, version: int) -> Alert:
    """The alert as it stands, which the operator has before him.

    Raises:
        NoSuchAlert: There is no open alert with this id.
        VersionConflict: It has changed since `version`.
        IllegalStep: The operator has no name.
    """
    if entry is None:
        raise NoSuchAlert(alert_id)
    alert = entry.current()
    if not (entry.acts_on or alert.version) <= version <= alert.version:
        raise VersionConflict(
            alert_id, seen=version, version=alert.version, actor=entry.actor, kind=entry.kind
        )
    if not operator.strip() or operator == SYSTEM or len(operator) > OPERATOR_LIMIT_CHARS:
        raise IllegalStep(
            alert_id,
            "a step needs the name of the person who takes it, of at most"
            f" {OPERATOR_LIMIT_CHARS} characters; {SYSTEM!r} is nobody's name",
        )
    return alert


def off_the_shelf(now_us: int) -> dict[str, Any]:
    """The fields that change when an alert comes back: it asks for a person from now on."""
    return OFF_THE_SHELF | {"asks_since": to_iso(now_us)}


def asks_anew(now_us: int) -> dict[str, Any]:
    """The fields that change when an alert becomes graver than it was when somebody took it in hand."""
    return {"acknowledged_by": None, "acknowledged_at": None} | off_the_shelf(now_us)


def _in_hand(alert: Alert, operator: str, now_us: int) -> dict[str, Any]:
    if alert.acknowledged_by is not None:
        return {}
    taken = {"acknowledged_by": operator, "acknowledged_at": to_iso(now_us)}
    return taken | {"assigned_to": alert.assigned_to or operator}


def _noted(note: str) -> dict[str, Any]:
    return {"note": note.strip()} if note.strip() else {}


def _whose(name: str | None) -> str:
    return "nobody's" if name is None else f"{name}'s"


def _require_check(alert: Alert, operator: str) -> None:
    if alert.checked_by is None:
        raise IllegalStep(
            alert.alert_id,
            "a tamper is closed only after a check: have the device inspected or replaced, or let"
            " a second person decide; then say so with the step 'check'",
        )
    if alert.repeats != alert.checked_repeats:
        raise IllegalStep(
            alert.alert_id,
            f"the device has reported it again since {alert.checked_by} checked it at"
            f" {alert.checked_at}; check it again",
        )
    if alert.check == "second_person" and operator == alert.checked_by:
        raise IllegalStep(
            alert.alert_id,
            "you checked it without inspection, so another person must close it",
        )
