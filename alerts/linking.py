"""To which open alert an alarm of her handset belongs, and that none of them is turned down by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from alerts.alarms import ALARMS_LIMIT, LINK_US, OWN_ALARM, alarm_of
from alerts.book import Book, Entry, device_held
from alerts.making import Making
from alerts.model import Alert, AlertChange
from alerts.profile import DEFAULT, Profiles
from alerts.steps import asks_anew
from devices.instants import from_iso
from devices.reports import Event
from devices.watches import Bearer, Watch


def alert_of_pair(book: Book, watches: Iterable[str]) -> Entry | None:
    """The active alert of these watches that matters most."""
    found = [entry for key in watches if (entry := book.of_subject(key)) is not None]
    return min(found, key=lambda entry: (entry.alert.tier, entry.alert.raised_at), default=None)


def own_alarm_before(book: Book, watch: Watch, now_us: int) -> Entry | None:
    """The alert of the handset's own alarm that a new alert of the pair goes on with.

    None where there is none of late, or somebody was sent to it: that has to be told how it ended.
    """
    if watch.handset is None:
        return None
    entry = book.of_event(device_held(watch.handset, watch.protected), OWN_ALARM)
    if entry is None or entry.alert.dispatched_by is not None:
        return None
    return entry if now_us - from_iso(entry.alert.raised_at) <= LINK_US else None


def goes_on(making: Making, watch: Watch, fields: dict[str, Any], now_us: int) -> list[AlertChange]:
    """Raise an alert of a pair; it goes on with that of the handset's own alarm, where there is one.

    It matters as much, and those who were asked of the one hear of the other.
    """
    own = own_alarm_before(making.book, watch, now_us)
    if own is None:
        return making.begin(fields, now_us)
    old = own.alert
    kept = {
        "alarms": old.alarms,
        "tier": min(fields["tier"], old.tier),
        "contacts_asked": old.contacts_asked,
    }
    raised = making.begin(fields | kept, now_us)
    return [*raised, making.merge(own, fields["alert_id"], now_us)] if raised else []


def alarm_tier(profiles: Profiles, profile: str, event_type: str) -> int | None:
    """What an alarm told of by such an event matters; None where the event alone raises no alert."""
    events = profiles.find(profile).events
    if event_type == OWN_ALARM and event_type not in events:
        events = profiles.find(DEFAULT).events
    rule = events.get(event_type)
    return None if rule is None else rule.tier


def least_tier(tier: int, alert: Alert, profiles: Profiles, profile: str) -> int:
    """The tier of a pair's alert: while nobody has seen her handset's own alarm in it, that of the alarm."""
    is_own = any(alarm.cause == "engine" for alarm in alert.alarms)
    own = alarm_tier(profiles, profile, OWN_ALARM)
    if alert.acknowledged_by is not None or not is_own or own is None:
        return tier
    return min(tier, own)


def link(
    making: Making, entry: Entry, event: Event, tier: int | None, now_us: int
) -> list[AlertChange]:
    """Have an alert keep the alarm that an event names. Nothing where it does already.

    An alarm that matters more than the alert, or that finds it put aside, asks for a person again.

    Args:
        making: Of the desk.
        entry: Of the alert.
        event: Names the alarm.
        tier: See `alarm_tier`.
        now_us: The present instant.
    """
    alarm = alarm_of(event)
    known = {(one.id, one.device) for one in entry.alert.alarms}
    if alarm is None or (alarm.id, alarm.device) in known:
        return []
    if not entry.alert.watch and event.type == OWN_ALARM:
        entry = making.book.take_in(entry, event, now_us, repeats=0)
    alarms = (*entry.alert.alarms, alarm)[-ALARMS_LIMIT:]
    linked = msgspec.structs.replace(entry.current(), alarms=alarms)
    graver = min(linked.tier, linked.tier if tier is None else tier)
    if graver == linked.tier and linked.shelved_until is None:
        return [making.change(linked, "alarm", now_us)]
    asking = msgspec.structs.replace(linked, tier=graver, **asks_anew(now_us))
    return [making.change(making.by_profile(asking, now_us), "tier", now_us)]


def answered(bearer: Bearer, profiles: Profiles) -> Bearer:
    """The bearer, under the default where the profile does not know of such alarms: none is lost."""
    if OWN_ALARM in profiles.find(bearer.profile).events:
        return bearer
    return msgspec.structs.replace(bearer, profile=DEFAULT)
