"""Escalation: who else must be asked of an alert by now. No I/O; time is given.

What was asked stands in the alert itself (`Alert.escalated`), and every clock starts at an instant
that stands there, too. So the answer is a function of the alert, the profile and the time: a
restart at any moment neither repeats a step nor forgets one, and an alert that waited while the
service was away is caught up at once.

When a rule finds nobody (no such contact, or no channel to them), the next rule of the same clock
does not wait for its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from alerts.contacts import Contacts
from alerts.deliveries import BearerOf, ask_id, delivery_id
from alerts.escalation_rules import Point, When
from alerts.model import Alert, Ask
from alerts.profile import Profiles
from devices.instants import from_iso, to_iso

Arrived = Callable[[str], bool]
"""Whether the delivery of this id has a receipt."""

CONTACTS_ASKED_LIMIT = 100
"""Contacts that an alert remembers to have asked; later ones are asked and not remembered."""

WHENS: tuple[When, ...] = ("unacknowledged", "undelivered", "unresolved")


class Escalation:
    """The plans of all profiles.

    Args:
        profiles: Hold the rules.
        contacts: Who can be asked.
        arrived: What receipts say.
        bearer_of: Whose a handset is now. Where it is not known, the alert's own person is meant.
    """

    def __init__(
        self,
        profiles: Profiles,
        contacts: Contacts,
        arrived: Arrived,
        bearer_of: BearerOf = lambda _device: None,
    ) -> None:
        self._profiles = profiles
        self._bearer_of = bearer_of
        self._contacts = contacts
        self._arrived = arrived

    def next_us(self, alert: Alert, after_us: int | None = None) -> int | None:
        """The first instant after one at which something may be due; None when there is none.

        Whether somebody has a receipt by then is not asked here: a look in vain is cheap.
        """
        instants = (since_us + point.offset_us for point, since_us in self._open(alert))
        later = (at_us for at_us in instants if after_us is None or at_us > after_us)
        return min(later, default=None)

    def asks(self, alert: Alert, now_us: int) -> tuple[Ask, ...]:
        """What is due now and was not asked yet, in order; those that reach nobody, too."""
        opened = list(self._open(alert))
        found: list[Ask] = []
        for when in WHENS:
            found += self._of_clock(alert, when, opened, now_us)
        return tuple(found)

    def _of_clock(
        self, alert: Alert, when: When, opened: list[tuple[Point, int]], now_us: int
    ) -> Iterator[Ask]:
        forward = False
        for point, since_us in opened:
            if point.rule.when != when:
                continue
            due = since_us + point.offset_us <= now_us
            if not due and not (forward and point.choice == 0):
                if point.choice == 0:
                    return
                continue
            if self._is_moot(alert, point):
                continue
            asks = self._ask(alert, point)
            if asks:
                yield from asks
                forward = not any(ask.channel for ask in asks)

    def _open(self, alert: Alert) -> Iterator[tuple[Point, int]]:
        """Points that were not reached yet, of the clocks that run, and since when each does."""
        if alert.shelved_until is not None or alert.synthetic:
            return
        clocks: dict[When, tuple[str, int]] = {}
        for when in WHENS:
            if started := clock_of(alert, when):
                clocks[when] = started, from_iso(started)
        for point in self._profiles.of_alert(alert).points(alert.tier):
            clock = clocks.get(point.rule.when)
            if clock is not None and f"{point.name} {clock[0]}" not in alert.escalated:
                yield point, clock[1]

    def _is_moot(self, alert: Alert, point: Point) -> bool:
        if point.rule.when == "undelivered" and not self._unreached(alert):
            return True
        if point.unheard is None:
            return False
        before = self._ask(alert, point.unheard)
        return all(self._arrived(ask_id(alert.alert_id, ask)) for ask in before)

    def _unreached(self, alert: Alert) -> list[str]:
        """The protected people none of whose handsets has the newest notice."""
        change_id = f"{alert.alert_id}/{alert.told_version}"
        reached: dict[str, bool] = {}
        for device in alert.notify:
            bearer = self._bearer_of(device)
            person = alert.protected if bearer is None else bearer.person
            if person is not None:
                has_it = self._arrived(delivery_id(change_id, device))
                reached[person] = reached.get(person, False) or has_it
        return [person for person, has_it in reached.items() if not has_it]

    def _ask(self, alert: Alert, point: Point) -> list[Ask]:
        """What a point asks; nothing for a further channel that no contact has."""
        rule = point.rule
        since = clock_of(alert, rule.when)
        if rule.via == ("console",):
            to = (alert.assigned_to or "") if rule.ask == "assigned" else ""
            return [Ask(point.name, since, rule.ask, to or "operators", "console")]
        found: list[Ask] = []
        people = self._unreached(alert) if rule.ask == "protected" else [None]
        for person in people:
            contact = self._contacts.of_role(
                rule.ask, rule.rank, agency=alert.agency, person=person
            )
            channels = [] if contact is None else self._contacts.channels(contact, rule.via)
            if contact is not None and point.choice < len(channels):
                channel = channels[point.choice]
                found.append(Ask(point.name, since, rule.ask, contact.name, channel))
        if found or point.choice:
            return found
        return [Ask(point.name, since, rule.ask, "", "")]


def taken(alert: Alert, asks: tuple[Ask, ...], now_us: int) -> dict[str, Any]:
    """The fields of an alert that change with the asks. Those of clocks that stopped are let go."""
    running = {clock_of(alert, when) for when in WHENS} - {""}
    kept = tuple(key for key in alert.escalated if key.rpartition(" ")[2] in running)
    return {
        "escalated": kept + tuple(ask.key for ask in asks),
        "escalated_at": to_iso(now_us),
        "escalated_to": "; ".join(_words(ask) for ask in asks),
        "contacts_asked": _contacts_asked(alert, asks),
    }


def _contacts_asked(alert: Alert, asks: tuple[Ask, ...]) -> tuple[str, ...]:
    names = [ask.recipient for ask in asks if ask.channel not in {"", "console"}]
    return tuple(dict.fromkeys((*alert.contacts_asked, *names)))[:CONTACTS_ASKED_LIMIT]


def _words(ask: Ask) -> str:
    if not ask.channel:
        return f"{ask.role} (nobody can be reached)"
    if ask.channel == "console":
        return f"{ask.recipient} (console)"
    return f"{ask.recipient}, {ask.role} ({ask.channel})"


def clock_of(alert: Alert, when: When) -> str:
    """Since when a clock runs for an alert; empty when it does not."""
    if when == "unacknowledged":
        return "" if alert.acknowledged_by is not None else alert.asks_since
    if when == "undelivered":
        return (alert.told_at or "") if alert.state == "active" else ""
    return alert.acknowledged_at or ""
