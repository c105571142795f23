"""The health of devices, told the plain way: every second looked at, everybody counted anew."""

from __future__ import annotations

from dataclasses import dataclass, field

WINDOW_S = 120
SHARE, SHARE_GOING_ON, LEAST = 0.3, 0.15, 10
RELEASE_S = 120
NEVER = -(10**9)


@dataclass
class TwinDevice:
    person: str
    agencies: tuple[str, ...]
    interval_s: int
    since: int
    heard: int = NEVER
    placed: int = NEVER
    overdue_at: int = NEVER
    silent: bool = False
    lost: bool = False
    held: bool = False
    release: int = NEVER


@dataclass
class Twin:
    """What is said: (second, kind, device or agency, began)."""

    now: int = 0
    listening: int = 0
    devices: dict[str, TwinDevice] = field(default_factory=dict)
    incident: list[str] | None = None
    members: int = 0
    said: list[tuple[int, str, str, bool]] = field(default_factory=list)

    def advance(self, now: int) -> None:
        """Look at everybody in every second up to and including this one."""
        for second in range(self.now + 1, now + 1):
            for name in sorted(self.devices):
                self._look(second, name, self.devices[name])
        self.now = max(self.now, now)

    def _look(self, second: int, name: str, one: TwinDevice) -> None:
        since = max(one.since, self.listening)
        quiet = second - max(one.heard, since)
        if one.overdue_at == NEVER and quiet >= 1.5 * one.interval_s + 15:
            one.overdue_at = second
            if one.heard != NEVER:
                self._count(second, name)
        if (
            not one.silent
            and not one.held
            and quiet >= 3 * one.interval_s + 60
            and second >= one.release
        ):
            one.silent = True
            self.said.append((second, "silent", name, True))
        placeless = second - max(one.placed, since)
        if not one.lost and one.overdue_at == NEVER and placeless >= 5 * one.interval_s + 120:
            one.lost = True
            self.said.append((second, "gnss_lost", name, True))

    def _count(self, second: int, name: str) -> None:
        known = [one for one in self.devices.values() if one.heard != NEVER]
        late = [one for one in known if one.overdue_at > second - WINDOW_S]
        heard = [o for o in known if o.overdue_at == NEVER and o.heard > second - WINDOW_S]
        due = len(late) + len(heard)
        if self.incident is None:
            if len(late) < LEAST or len(late) < SHARE * due:
                return
            joining = late
            self.incident, self.members = [], 0
        elif len(late) >= SHARE_GOING_ON * due:
            joining = [self.devices[name]]
        else:
            return
        for one in joining:
            one.held = True
        self.members += len(joining)
        # Agencies are told in the order in which their devices went missing.
        for one in sorted(joining, key=lambda one: one.overdue_at):
            for agency in one.agencies:
                if agency not in self.incident:
                    self.incident.append(agency)
                    self.said.append((second, "fleet_silent", agency, True))

    def hear(self, name: str) -> None:
        one = self.devices[name]
        if one.silent:
            self.said.append((self.now, "silent", name, False))
        if one.overdue_at != NEVER:
            one.since = self.now
        was_held = one.held
        one.heard, one.overdue_at, one.silent, one.held = self.now, NEVER, False, False
        if was_held:
            self.back()

    def back(self) -> None:
        missing = [one for one in self.devices.values() if one.held]
        if self.incident is None or 2 * len(missing) > self.members:
            return
        self.said += [(self.now, "fleet_silent", agency, False) for agency in self.incident]
        self.incident = None
        for one in missing:
            one.held = False
            one.release = self.now + RELEASE_S

    def place(self, name: str) -> None:
        one = self.devices[name]
        one.placed = self.now
        if one.lost:
            one.lost = False
            self.said.append((self.now, "gnss_lost", name, False))

    def listen(self) -> None:
        self.listening = self.now
        for one in self.devices.values():
            if not one.held and not one.silent:
                one.overdue_at = NEVER

    def leave(self, name: str) -> None:
        one = self.devices.pop(name)
        for kind, holds in (("silent", one.silent), ("gnss_lost", one.lost)):
            if holds:
                self.said.append((self.now, kind, name, False))
        if one.held:
            self.back()
