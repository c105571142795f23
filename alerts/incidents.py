"""What a dispatch system is told of an alert: as much as it may know, and no position yet.

A contact with ``format = "eido"`` is told when it is asked, and from then on of every change that
matters to whoever is on the way, under the same incident. A position is looked up when it is sent, so
that it is as fresh as it can be: of the wearer, whose conduct the alert is about, or of her who asks
for help. Hers is never sent for an alert about him: who goes to him need not know where she is.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from alerts.contacts import Contact
from alerts.deliveries import ASK_EXPIRY_S, Delivery, delivery_id
from alerts.model import NOTHING_HAPPENED, Alert, AlertChange
from alerts.profile import Words
from devices.instants import MICROSECONDS, from_iso

UPDATES = frozenset(
    {"raised", "level", "tier", "acknowledged", "dispatched", "returned", "resolved"}
)
"""Changes of which a dispatch system that was asked hears. Nobody was asked of one that is raised, unless
it goes on with another."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The incident, but for the position.

    Attributes:
        time: Of the change.
        level: As in `Alert`; of an event its type.
        status: As it stands for whoever is sent.
        onset: When it began.
        whose: Whose position is to be sent: that of `device`; empty for nobody's.
        wearer, protected: Person ids, no names. Empty where the alert has none.
        words: The profile's for staff; empty in an update.
    """

    alert_id: str
    time: str
    condition: str
    level: str
    tier: int
    agency: str
    state: Literal["active", "returned"]
    status: Literal["new", "acknowledged", "dispatched", "closed", "cancelled"]
    onset: str
    whose: Literal["wearer", "protected", ""]
    device: str
    wearer: str
    protected: str
    words: str


def is_update(change: AlertChange) -> bool:
    """Whether a dispatch system that was asked hears of a change.

    What closes with the next change, at the same instant, is told as closed only: two objects of one
    instant cannot be told apart when they arrive in another order.
    """
    closes_next = change.kind != "resolved" and change.data.is_done
    return change.kind in UPDATES and not closes_next


def takes_incidents(contact: Contact, alert: Alert) -> bool:
    """Whether a contact is a dispatch system that may be told of this alert."""
    may_know = contact.role != "protected" and contact.agency in {"", alert.agency}
    return contact.format == "eido" and bool(contact.webhook) and may_know


def incident_of(
    change: AlertChange, contact: Contact, words: Words | None = None, name: str = ""
) -> Delivery:
    """The delivery that tells a dispatch system.

    Args:
        change: What is told of.
        contact: Whom; see `takes_incidents`.
        words: The profile's for staff when it is asked; None for an update.
        name: Id of the delivery; empty to derive one of the change and the contact.
    """
    alert = change.data
    whose, device = _position(alert)
    draft = Draft(
        alert_id=alert.alert_id,
        time=change.time,
        condition=alert.condition,
        level=alert.level,
        tier=alert.tier,
        agency=alert.agency,
        state=alert.state,
        status=_status(alert),
        onset=alert.onset,
        whose=whose,
        device=device,
        wearer=alert.wearer or "",
        protected=alert.protected or "",
        words="" if words is None else f"{words.title}. {words.text}",
    )
    return Delivery(
        id=name or delivery_id(change.id, f"eido:{contact.name}"),
        channel="eido",
        recipient=contact.name,
        alert_id=alert.alert_id,
        change_id=change.id,
        tier=alert.tier,
        expires_us=from_iso(change.time) + ASK_EXPIRY_S * MICROSECONDS,
        payload=msgspec.json.encode(draft),
    )


def _status(alert: Alert) -> Literal["new", "acknowledged", "dispatched", "closed", "cancelled"]:
    if alert.resolved_at is not None:
        return "cancelled" if alert.outcome in NOTHING_HAPPENED else "closed"
    if alert.dispatched_at is not None:
        return "dispatched"
    return "new" if alert.acknowledged_at is None else "acknowledged"


def _position(alert: Alert) -> tuple[Literal["wearer", "protected", ""], str]:
    """Whose position is sent, and of which device."""
    if alert.watch:  # ``condition/tag/handset`` of two people, ``condition/tag`` of a zone
        parts = alert.watch.split("/")
        return "wearer", parts[-2] if alert.condition == "proximity" else parts[-1]
    if alert.wearer is not None:
        return "wearer", alert.device
    return ("protected", alert.device) if alert.condition == "panic" else ("", "")
