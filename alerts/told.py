"""What each of those concerned is told, in one line, read from what was really sent to them."""

from __future__ import annotations

import msgspec

from alerts.deliveries import Summons
from alerts.model import AlertChange
from devices.commands import Notify

CENTRE = "centre"
HERSELF = "she"

NO_RECEIPT = " (no receipt)"
"""Behind what was sent, where nobody says that it arrived."""


class Told(msgspec.Struct, frozen=True, order=True):
    """One line: who was told what, when, by which channel.

    Attributes:
        at_us: Of the change that is told of.
        who: `CENTRE`, `HERSELF`, or the name of a contact.
        by: The channel.
    """

    at_us: int
    who: str
    by: str
    what: str


def words_of_change(change: AlertChange) -> str:
    """What a centre sees of a change."""
    alert = change.data
    if change.kind in {"raised", "level", "tier"}:
        began = "raised" if change.kind == "raised" else "now"
        todo = ", ".join(action.replace("_", " ") for action in alert.procedure)
        said = f"{began}, tier {alert.tier}: {alert.condition} {alert.level}"
        return said + (f"; staff: {todo}" if todo else "")
    if change.kind == "escalated":
        return f"asked: {alert.escalated_to}"
    if change.kind == "returned":
        return f"over: {alert.condition}"
    if change.kind == "resolved":
        return (
            f"closed: {alert.outcome}, by {change.actor}" if alert.outcome else "closed by itself"
        )
    return _words_of_step(change)


def _words_of_step(change: AlertChange) -> str:
    alert = change.data
    details = {
        "dispatched": alert.dispatched_to,
        "told": alert.way,
        "checked": alert.check or "",
    }
    detail = details.get(change.kind, "")
    return f"{change.kind} by {change.actor}" + (f": {detail}" if detail else "")


def words_of_notice(notice: Notify) -> str:
    """What her handset shows first; of what a person told her, where to go as well."""
    if notice.kind != "told":
        return notice.title
    return f"{notice.text.partition('. ')[0]}. {notice.title}"


def words_of_summons(summons: Summons, channel: str) -> str:
    """What a contact is sent. A push holds an id and no word."""
    return "an id, no word" if channel == "push" else summons.title
