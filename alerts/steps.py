"""Whether a person's step can be taken. Refusals are texts for operators."""

from __future__ import annotations

from alerts.book import Entry
from alerts.errors import IllegalStep, NoSuchAlert, VersionConflict
from alerts.model import SYSTEM, Alert

OPERATOR_LIMIT_CHARS = 200
NOTE_LIMIT_CHARS = 4_000


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
    if alert.version != version:
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


def may_acknowledge(alert: Alert) -> None:
    """Refuse what has been taken in hand.

    Raises:
        IllegalStep: It is acknowledged already.
    """
    if alert.acknowledged_by is not None:
        raise IllegalStep(
            alert.alert_id,
            f"the alert was acknowledged by {alert.acknowledged_by} at {alert.acknowledged_at}"
            " already; there is nothing left to acknowledge",
        )


def may_resolve(alert: Alert, note: str) -> None:
    """Refuse to close what nobody has in hand, what lasts, and what is not explained.

    Raises:
        IllegalStep: One of these.
    """
    if alert.acknowledged_by is None:
        raise IllegalStep(alert.alert_id, "nobody has acknowledged the alert; acknowledge it first")
    if alert.watch:
        raise IllegalStep(
            alert.alert_id,
            "what the alert is about still lasts, so it cannot be closed; it closes by itself"
            " when it is over",
        )
    if not note.strip() or len(note) > NOTE_LIMIT_CHARS:
        raise IllegalStep(
            alert.alert_id,
            "closing needs a note that says what was found and done, of at most"
            f" {NOTE_LIMIT_CHARS} characters",
        )
