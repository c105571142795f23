"""What is known of the health of one device, and the rules that need nobody else.

Levels of the battery, events and fixes are taken in the order of the device's own time: what was
kept back and sent later changes nothing that newer reports have settled. Silence goes by the time
of arrival, since a device that is silent has no time of its own.
"""

from __future__ import annotations

import math

import msgspec

from devices.health_changes import REPORTED_KINDS, HealthCause, HealthChange, HealthKind
from devices.instants import MICROSECONDS
from devices.reports import MISSING

NEVER_US = -(2**62)
"""Stands for an instant before all others."""

SILENT_AFTER_INTERVALS = 3
SILENT_GRACE_S = 60.0
"""A device is silent when it has missed three reports in a row and a minute has passed on top: one
lost message, or one handover between two cells of the network, is not silence. The console draws a
position as stale after three intervals, too."""

NO_FIX_INTERVALS = 5
NO_FIX_GRACE_S = 120.0
"""A device that is heard but reports no position has lost its satellites after so long: a receiver
that starts cold needs up to a minute or two."""

BATTERY_LOW_PCT = 20
BATTERY_CRITICAL_PCT = 10
BATTERY_FINE_PCT = 30
"""At or below the first two a battery is low or critical; both are over from the third on, or while
charging above the first, so that one percent up and down does not raise one alert after the
other."""


class Spell(msgspec.Struct, array_like=True):
    """Something that is wrong now."""

    kind: HealthKind
    onset_us: int
    number: int
    quantity: float


class DeviceHealth(msgspec.Struct, array_like=True):
    """What is known of one device.

    Attributes:
        person: Who carries it; with another bearer everything begins anew.
        agencies: Of the orders that concern the person.
        interval_s: How often it is expected to report.
        has_place: It reports positions; a home unit does not.
        worn_us: From when on this person carries it: what it reports of before is another's.
        since_us: From when on it can be blamed for silence: it was assigned, or came back.
        heard_us: Arrival of its last word; `NEVER_US` before the first.
        placed_us: Arrival of its newest position.
        fix_us: Its own time of its newest position.
        battery_pct: Its last level, `MISSING` before the first.
        charging: As it last said.
        battery_us, permission_us, lost_us: Its own time of the newest report of each.
        online: What the broker last said; None before the first time.
        status_us: The device's own time of that.
        spells: What is wrong now.
        numbers: Spells there were, by kind.
        overdue_us: When it missed a report (see `devices.fleet`); `NEVER_US` when it has not.
        held: It fell silent together with many; no alert of its own is raised.
        release_us: Before this instant its silence is not told: many came back just now.
    """

    person: str
    agencies: tuple[str, ...]
    interval_s: float
    has_place: bool
    worn_us: int
    since_us: int
    heard_us: int = NEVER_US
    placed_us: int = NEVER_US
    fix_us: int = NEVER_US
    battery_pct: int = MISSING
    charging: bool = False
    battery_us: int = NEVER_US
    permission_us: int = NEVER_US
    lost_us: int = NEVER_US
    online: bool | None = None
    status_us: int = NEVER_US
    spells: dict[str, Spell] = {}
    numbers: dict[str, int] = {}
    overdue_us: int = NEVER_US
    held: bool = False
    release_us: int = NEVER_US

    @property
    def overdue(self) -> bool:
        """It has missed a report."""
        return self.overdue_us != NEVER_US


def silent_after_us(interval_s: float) -> int:
    """After so long without a word a device of this interval is silent."""
    return round((SILENT_AFTER_INTERVALS * interval_s + SILENT_GRACE_S) * MICROSECONDS)


def no_fix_after_us(interval_s: float) -> int:
    """After so long without a position a device that is heard has lost its satellites."""
    return round((NO_FIX_INTERVALS * interval_s + NO_FIX_GRACE_S) * MICROSECONDS)


def begin(
    name: str,
    device: DeviceHealth,
    kind: HealthKind,
    onset_us: int,
    now_us: int,
    cause: HealthCause,
    quantity: float = math.nan,
) -> list[HealthChange]:
    """Something is wrong from now on. Nothing happens if it is already."""
    if kind in device.spells:
        return []
    number = device.numbers.get(kind, 0) + 1
    device.numbers[kind] = number
    device.spells[kind] = Spell(kind, onset_us, number, quantity)
    return [_change(name, device.spells[kind], now_us, cause, began=True)]


def end(
    name: str, device: DeviceHealth, kind: HealthKind, now_us: int, cause: HealthCause
) -> list[HealthChange]:
    """It is wrong no longer. Nothing happens if it was not."""
    spell = device.spells.pop(kind, None)
    return [] if spell is None else [_change(name, spell, now_us, cause, began=False)]


def end_all(name: str, device: DeviceHealth, now_us: int) -> list[HealthChange]:
    """The device has left its bearer: nothing is wrong with it any more."""
    kinds = [spell.kind for spell in device.spells.values()]
    return [change for kind in kinds for change in end(name, device, kind, now_us, "plan")]


def going_on(name: str, device: DeviceHealth, now_us: int) -> list[HealthChange]:
    """What is wrong now, as changes that began."""
    return [_change(name, spell, now_us, "plan", began=True) for spell in device.spells.values()]


def _change(
    name: str, spell: Spell, now_us: int, cause: HealthCause, *, began: bool
) -> HealthChange:
    return HealthChange(
        device=name,
        kind=spell.kind,
        began=began,
        onset_us=spell.onset_us,
        decided_at_us=now_us,
        cause=cause,
        quantity=spell.quantity,
        number=spell.number,
    )


def take_battery(
    name: str, device: DeviceHealth, pct: int, charging: int, time_us: int, now_us: int
) -> list[HealthChange]:
    """A fix says how full the battery is; as in `FIX_DTYPE`, `MISSING` where it does not say."""
    if time_us < device.battery_us:
        return []
    device.battery_us = time_us
    if charging != MISSING:
        device.charging = charging != 0
    elif MISSING < pct < device.battery_pct:
        device.charging = False  # it said so once in an event, and never says the contrary
    if pct == MISSING:
        return _charged_unseen(name, device, now_us)
    device.battery_pct = pct
    if pct >= BATTERY_FINE_PCT and not device.spells:
        return []  # most are
    over_from = BATTERY_LOW_PCT + 1 if device.charging else BATTERY_FINE_PCT
    if pct >= over_from:
        return end(name, device, "battery_critical", now_us, "level") + end(
            name, device, "battery_low", now_us, "level"
        )
    changes = []
    if pct <= BATTERY_LOW_PCT and not device.charging:
        changes += begin(name, device, "battery_low", time_us, now_us, "level", pct)
    if pct <= BATTERY_CRITICAL_PCT and not device.charging:
        changes += begin(name, device, "battery_critical", time_us, now_us, "level", pct)
    return changes


def _charged_unseen(name: str, device: DeviceHealth, now_us: int) -> list[HealthChange]:
    """A device that charges and never says how full it is: that it charges has to do."""
    if not device.charging or device.battery_pct != MISSING:
        return []
    return end(name, device, "battery_critical", now_us, "event") + end(
        name, device, "battery_low", now_us, "event"
    )


def take_event(
    name: str, device: DeviceHealth, kind: str, time_us: int, now_us: int
) -> list[HealthChange]:
    """One of `HEALTH_EVENTS`."""
    if kind == "charging":
        return take_battery(name, device, MISSING, 1, time_us, now_us)
    if kind in {"permission_off", "permission_on"}:
        return _take_permission(name, device, kind, time_us, now_us)
    known_us = max(device.fix_us, device.lost_us) if kind == "gnss_lost" else device.battery_us
    if time_us <= known_us:
        return []
    pct = math.nan
    if kind == "gnss_lost":
        device.lost_us = time_us
    else:
        device.battery_us, device.charging = time_us, False
        pct = math.nan if device.battery_pct == MISSING else float(device.battery_pct)
    return begin(name, device, REPORTED_KINDS[kind], time_us, now_us, "event", pct)


def _take_permission(
    name: str, device: DeviceHealth, kind: str, time_us: int, now_us: int
) -> list[HealthChange]:
    if time_us < device.permission_us:
        return []
    device.permission_us = time_us
    if kind == "permission_off":
        return begin(name, device, "permission_off", time_us, now_us, "event")
    return end(name, device, "permission_off", now_us, "event")


def take_position(name: str, device: DeviceHealth, time_us: int, now_us: int) -> list[HealthChange]:
    """A position with this time of the device's own. Older ones say nothing of now."""
    if time_us <= device.fix_us:
        return []
    device.fix_us = time_us
    device.placed_us = now_us
    # What is reported lost is found by a position from after that only.
    if time_us <= device.lost_us or not device.spells:
        return []
    return end(name, device, "gnss_lost", now_us, "event")


def take_status(device: DeviceHealth, time_us: int, *, online: bool) -> bool:
    """The device came, or the broker spoke its last will. Whether it is the device's own word.

    Both statements of a connection carry the time it began. A retained one that is read again is
    neither newer nor another, and says nothing.
    """
    if time_us < device.status_us or (time_us == device.status_us and online):
        return False
    device.status_us = time_us
    device.online = online
    return online
