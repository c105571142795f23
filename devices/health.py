"""The health of all devices: silence, batteries, permissions, lost satellites. No I/O, no clock.

Time is brought by `advance`, words of devices by the other methods. Everything that happens by
time happens at an instant that follows from what was heard (the last word and the device's own
interval), and is decided in the order of these instants, however far apart the calls of `advance`
are: a replay, which makes few and long steps, decides what was decided live.

The handset of a protected person and the tag of a wearer go by the same rules.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import msgspec

from devices.fleet import RELEASE_US, Fleet, Incident, overdue_after_us
from devices.health_changes import HealthCause, HealthChange
from devices.health_state import (
    NEVER_US,
    DeviceHealth,
    begin,
    end,
    end_all,
    going_on,
    no_fix_after_us,
    silent_after_us,
    take_battery,
    take_event,
    take_position,
    take_status,
)
from devices.instants import LATEST_US, MICROSECONDS
from devices.latest import Latest
from devices.layouts import unpacked
from devices.watches import Bearer

_OVERDUE, _SILENT, _NO_FIX = range(3)


def _has_happened(device: DeviceHealth, what: int) -> bool:
    """Whether a deadline has passed already, with whatever came of it."""
    if what == _OVERDUE:
        return device.overdue
    if what == _SILENT:
        return device.held or "silent" in device.spells
    return device.overdue or not device.has_place or "gnss_lost" in device.spells


class HealthStateError(ValueError):
    """Bytes that are not a state of a layout this version reads."""


class _State(msgspec.Struct):
    devices: dict[str, DeviceHealth]
    advanced_us: int
    listening_us: int
    incident: Incident | None
    incidents: dict[str, int]
    incident_ended_us: int = 0


_FORMAT = b"CV1"  # Cordon vitals, layout 1: `_State` as MessagePack.
_decoder = msgspec.msgpack.Decoder(_State)


class Health:
    """Every device that somebody in the caseload carries.

    Args:
        now_us: The instant from which devices can be heard.
    """

    def __init__(self, now_us: int) -> None:
        self.devices: dict[str, DeviceHealth] = {}
        self._fleet = Fleet({})
        self._listening_us = now_us
        self._advanced_us = now_us
        self._due: list[tuple[int, str, int]] = []
        self._awaited: set[tuple[str, int]] = set()

    # -- whom to watch ----------------------------------------------------------------------

    def plan(self, bearers: Mapping[str, Bearer], now_us: int) -> list[HealthChange]:
        """Watch these devices, as they are assigned now.

        A device that has another bearer begins anew; whatever was wrong with it has ended for the
        one who carried it.
        """
        changes = self.advance(now_us)
        wanted = {name: one for name, one in sorted(bearers.items()) if one.person and one.agencies}
        for name, device in list(self.devices.items()):
            bearer = wanted.get(name)
            if bearer is None or bearer.person != device.person:
                changes += self._leave(name, device, now_us)
        for name, bearer in wanted.items():
            if name not in self.devices:
                has_place = bearer.kind != "home_unit"
                self.devices[name] = DeviceHealth(
                    bearer.person or "", (), 0.0, has_place, bearer.since_us, now_us
                )
            self.devices[name].worn_us = bearer.since_us
            self.devices[name].agencies = bearer.agencies
            self.devices[name].interval_s = bearer.fix_interval_s
        self._lay_out_time()
        return changes

    def _leave(self, name: str, device: DeviceHealth, now_us: int) -> list[HealthChange]:
        changes = end_all(name, device, now_us)
        del self.devices[name]
        self._fleet.leave(name)
        return changes + (self._back(now_us) if device.held else [])

    def listen_from(self, now_us: int) -> None:
        """Nobody could be heard until now: silence is counted anew for every device."""
        self._listening_us = max(self._listening_us, now_us)
        for device in self.devices.values():
            if not device.held and "silent" not in device.spells:
                device.overdue_us = NEVER_US
        self._recall_fleet()
        self._lay_out_time()

    # -- what devices say -------------------------------------------------------------------

    def hear_all(self, names: Iterable[str], now_us: int) -> list[HealthChange]:
        """Something of each of these devices has arrived."""
        changes = self.advance(now_us)
        known, fleet = self.devices, self._fleet
        for name in names:
            device = known.get(name)
            if device is None:
                continue
            if device.spells or device.held or device.overdue_us != NEVER_US:
                changes += self.hear(name, now_us)
            else:  # as `hear`, where nothing was wrong
                device.heard_us = now_us
                fleet.hear(name, now_us)
        return changes

    def hear(self, name: str, now_us: int) -> list[HealthChange]:
        """Something of a device has arrived."""
        changes = self.advance(now_us)
        device = self.devices.get(name)
        if device is None:
            return changes
        if device.overdue:
            device.since_us = max(device.since_us, now_us)  # positions are awaited from now on
        changes += end(name, device, "silent", now_us, "event")
        was_held, was_overdue = device.held, device.overdue
        device.heard_us, device.overdue_us, device.held = now_us, NEVER_US, False
        self._fleet.hear(name, now_us)
        if was_overdue:
            for what in (_OVERDUE, _SILENT, _NO_FIX):
                self._await(name, device, what)
        return changes + (self._back(now_us) if was_held else [])

    def tell_all(self, latest: Mapping[str, Latest], now_us: int) -> list[HealthChange]:
        """What devices say of their batteries and places with their fixes."""
        changes: list[HealthChange] = []
        for name, one in latest.items():
            device, told_us, place_us = self.devices.get(name), one.told_us, one.place_us
            if device is None:
                continue
            if told_us != NEVER_US and told_us >= device.worn_us:
                told = (one.battery_pct, one.charging, told_us)
                changes += take_battery(name, device, *told, now_us)
            if place_us != NEVER_US and place_us >= device.worn_us:
                changes += self._place(name, device, place_us, now_us)
        return changes

    def battery(
        self, name: str, pct: int, charging: int, time_us: int, now_us: int
    ) -> list[HealthChange]:
        """A fix says how full the battery is; as in `FIX_DTYPE`, `MISSING` where it does not."""
        device = self._worn(name, time_us)
        return [] if device is None else take_battery(name, device, pct, charging, time_us, now_us)

    def position(self, name: str, time_us: int, now_us: int) -> list[HealthChange]:
        """The device knows where it is, or was at this time of its own."""
        device = self._worn(name, time_us)
        return [] if device is None else self._place(name, device, time_us, now_us)

    def _place(
        self, name: str, device: DeviceHealth, time_us: int, now_us: int
    ) -> list[HealthChange]:
        changes = take_position(name, device, time_us, now_us)
        if changes:
            self._await(name, device, _NO_FIX)
        return changes

    def event(self, name: str, kind: str, time_us: int, now_us: int) -> list[HealthChange]:
        """The device reports one of `devices.health_changes.HEALTH_EVENTS`."""
        device = self._worn(name, time_us)
        return [] if device is None else take_event(name, device, kind, time_us, now_us)

    def _worn(self, name: str, time_us: int) -> DeviceHealth | None:
        """The device, if the one who carries it now carried it then."""
        device = self.devices.get(name)
        return None if device is None or time_us < device.worn_us else device

    def status(self, name: str, time_us: int, now_us: int, *, online: bool) -> list[HealthChange]:
        """The device says that it is there, or the broker that it has lost it."""
        device = self.devices.get(name)
        if device is None or not take_status(device, time_us, online=online):
            return []
        return self.hear(name, now_us)

    # -- time -------------------------------------------------------------------------------

    def advance(self, now_us: int) -> list[HealthChange]:
        """Let time pass; what happens on the way carries the instant at which it happened."""
        changes: list[HealthChange] = []
        while self._due and self._due[0][0] <= now_us:
            at_us, name, what = heapq.heappop(self._due)
            self._awaited.discard((name, what))
            device = self.devices.get(name)
            if device is None:
                continue
            if self._deadline_us(device, what) > at_us:  # it was heard meanwhile
                self._await(name, device, what)
            elif what == _OVERDUE:
                changes += self._fall_overdue(name, device, at_us)
            elif what == _SILENT:
                changes += self._fall_silent(name, device, at_us)
            else:
                changes += self._lose_position(name, device, at_us)
        self._advanced_us = max(self._advanced_us, now_us)
        return changes

    @property
    def due_us(self) -> int:
        """Before this instant `advance` finds nothing, if nothing happens meanwhile."""
        return self._due[0][0] if self._due else LATEST_US

    def _deadline_us(self, device: DeviceHealth, what: int) -> int:
        since_us = max(device.since_us, self._listening_us)
        if what == _NO_FIX:
            return max(device.placed_us, since_us) + no_fix_after_us(device.interval_s)
        heard_us = max(device.heard_us, since_us)
        if what == _OVERDUE:
            return heard_us + overdue_after_us(device.interval_s)
        return max(heard_us + silent_after_us(device.interval_s), device.release_us)

    def _await(self, name: str, device: DeviceHealth, what: int) -> None:
        """Look at it at the deadline. One look at a time: an early one awaits the next."""
        if (name, what) not in self._awaited:
            self._awaited.add((name, what))
            heapq.heappush(self._due, (self._deadline_us(device, what), name, what))

    def _lay_out_time(self) -> None:
        """All deadlines anew, after a change of many; what has happened is not awaited again."""
        self._due = [
            (max(self._deadline_us(device, what), self._advanced_us), name, what)
            for name, device in self.devices.items()
            for what in (_OVERDUE, _SILENT, _NO_FIX)
            if not _has_happened(device, what)
        ]
        self._awaited = {(name, what) for _, name, what in self._due}
        heapq.heapify(self._due)

    def _fall_overdue(self, name: str, device: DeviceHealth, at_us: int) -> list[HealthChange]:
        if device.overdue:
            return []
        device.overdue_us = at_us
        # One that was never heard has not fallen silent: it is told of by itself.
        if device.heard_us == NEVER_US or not self._fleet.miss(name, at_us):
            return []
        joining = (name,) if self._fleet.incident else self._fleet.missing_now()
        for one in joining:
            self.devices[one].held = True
        return self._fleet.join([self.devices[one].agencies for one in joining], at_us)

    def _fall_silent(self, name: str, device: DeviceHealth, at_us: int) -> list[HealthChange]:
        if device.held:
            return []
        known_us = device.heard_us if device.heard_us != NEVER_US else device.since_us
        cause: HealthCause = "offline" if device.online is False else "no_word"
        quantity = (at_us - known_us) / MICROSECONDS
        return begin(name, device, "silent", known_us, at_us, cause, quantity)

    def _lose_position(self, name: str, device: DeviceHealth, at_us: int) -> list[HealthChange]:
        if device.overdue or not device.has_place:
            return []  # what is not heard at all need not be without satellites
        known_us = max(device.placed_us, device.since_us)
        quantity = (at_us - known_us) / MICROSECONDS
        return begin(name, device, "gnss_lost", known_us, at_us, "no_fix", quantity)

    def _back(self, now_us: int) -> list[HealthChange]:
        changes = self._fleet.come_back(now_us)
        if changes:
            for name, device in self.devices.items():
                if device.held:
                    device.held = False
                    device.release_us = now_us + RELEASE_US
                    self._await(name, device, _SILENT)
        return changes

    # -- what is kept -----------------------------------------------------------------------

    @property
    def incident(self) -> Incident | None:
        """Many devices are missing together, if they are."""
        return self._fleet.incident

    def flushes(self, now_us: int) -> bool:
        """See `Fleet.flushes`."""
        return self._fleet.flushes(now_us)

    def going_on(self, now_us: int) -> list[HealthChange]:
        """Everything that is wrong now, as changes that began."""
        found = [one for name, held in self.devices.items() for one in going_on(name, held, now_us)]
        return found + self._fleet.going_on(now_us)

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`."""
        state = _State(
            self.devices,
            self._advanced_us,
            self._listening_us,
            self._fleet.incident,
            self._fleet.numbers,
            self._fleet.ended_us,
        )
        return _FORMAT + msgspec.msgpack.encode(state)

    @classmethod
    def restore(cls, data: bytes) -> Health:
        """The state that `snapshot` wrote.

        Raises:
            HealthStateError: Another layout, or damaged bytes.
        """
        state = unpacked(data, _FORMAT, _decoder, HealthStateError, "the devices' health")
        health = cls(state.listening_us)
        health.devices = state.devices
        health._advanced_us = state.advanced_us
        health._fleet = Fleet(state.incidents, state.incident, state.incident_ended_us)
        health._recall_fleet()
        health._lay_out_time()
        return health

    def _recall_fleet(self) -> None:
        """Who was heard and who fell overdue lately, from what is known of each."""
        fleet = self._fleet
        self._fleet = Fleet(fleet.numbers, fleet.incident, fleet.ended_us)
        known = [(name, one) for name, one in self.devices.items() if one.heard_us != NEVER_US]
        heard = [(one.heard_us, name) for name, one in known if not one.overdue]
        overdue = [(one.overdue_us, name) for name, one in known if one.overdue]
        for at_us, name in sorted(heard):
            self._fleet.hear(name, at_us)
        for at_us, name in sorted(overdue):
            self._fleet.recall(name, at_us)
