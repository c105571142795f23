"""The command desk: how often devices are to report, and that they are told so. No I/O, no clock.

While two people may be near each other, both their devices report every 15 seconds. A tag's rate is
also raised at random times and places (`devices.command_timing`), and what is sent to it, when, and
for how long does not tell one from the other.

A command is repeated until the device answers or it expires; a device that comes back online is
told again what holds. The same command has the same id whenever it is sent.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from devices.command_changes import CommandChange, CommandState, Reason
from devices.command_timing import Timing, cell_of
from devices.commands import FixInterval
from devices.health_state import NEVER_US
from devices.instants import LATEST_US, MICROSECONDS, to_iso
from devices.layouts import unpacked
from devices.reports import Receipt
from devices.watches import Bearer

RAISED_S = 15.0
"""Interval while two people may be near each other. At walking pace that is 20 m."""

EXPIRY_US = 600 * MICROSECONDS
"""A device that gets a command later ignores it."""

REPEAT_US = 30 * MICROSECONDS
"""Without an answer a command is sent again after so long, and again."""

MAX_ISSUES = 3
"""So often a command that expires unanswered is issued anew; then the device is told when it comes
back online."""

COMMANDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:command")


class CommandStateError(ValueError):
    """Bytes that are not a state of a layout this version reads."""


class Issued(msgspec.Struct, array_like=True):
    """The newest command to a device.

    Attributes:
        sent_us: When it was handed out last; `NEVER_US` before the first time.
        issues: How often it was issued, each time with another id.
        settled: It is answered, or given up: it is not sent again by itself.
    """

    command_id: str
    interval_s: float
    reason: Reason
    issued_us: int
    issues: int
    sent_us: int = NEVER_US
    answered: bool = False
    settled: bool = False


class Commanded(msgspec.Struct, array_like=True):
    """What is known of one device.

    Attributes:
        base_s: Its ordinary interval.
        by_chance: Its rate is raised for no reason as well.
        near: Watches by which somebody may be near.
        place: The cell it was in last.
        at_decoy: It has entered a place that raises its rate, since its last turn.
        came_online: It has come back, since its last turn.
        until_turn: The raise lasts to this turn; -1 while there is none.
        issued: The newest command.
        next_us: When it is looked at next.
    """

    person: str
    base_s: float
    by_chance: bool
    near: list[str] = []
    place: tuple[int, int] | None = None
    at_decoy: bool = False
    came_online: bool = False
    until_turn: int = -1
    issued: Issued | None = None
    next_us: int = NEVER_US


@dataclass(slots=True)
class CommandCounts:
    """Counted since the start of the process.

    Attributes:
        raises: Of which so many for each reason: `near`, `random`, `place`.
        sent: Commands handed out, repetitions among them.
        received: Answered.
        unanswered: Expired without an answer.
    """

    raises: int = 0
    near: int = 0
    random: int = 0
    place: int = 0
    sent: int = 0
    received: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """A command that is to be sent now."""

    device: str
    command: FixInterval
    expires_us: int


class _State(msgspec.Struct):
    secret: bytes
    devices: dict[str, Commanded]
    advanced_us: int


_FORMAT = b"CC1"  # Cordon commands, layout 1: `_State` as MessagePack.
_decoder = msgspec.msgpack.Decoder(_State)


class CommandDesk:
    """The rates of all devices that orders concern.

    Args:
        secret: See `devices.command_timing.Timing`.
        now_us: The instant from which commands are issued.
    """

    def __init__(self, secret: bytes, now_us: int) -> None:
        self.devices: dict[str, Commanded] = {}
        self.counts = CommandCounts()
        self._timing = Timing(secret)
        self._advanced_us = now_us
        self._due: list[tuple[int, str]] = []

    def plan(self, bearers: Mapping[str, Bearer], now_us: int) -> None:
        """Command these devices, as they are assigned now.

        A device with another bearer begins anew, and is told its ordinary interval if it was
        raised. One that reports every 15 s anyway is told nothing.
        """
        wanted = {
            name: one
            for name, one in sorted(bearers.items())
            if one.person and one.agencies and one.kind != "home_unit"
        }
        before, self.devices = self.devices, {}
        for name, bearer in wanted.items():
            device = before.get(name)
            if device is None or device.person != bearer.person:
                fresh = Commanded(bearer.person or "", 0.0, bearer.kind == "tag")
                if device is not None and device.until_turn >= 0:
                    fresh.until_turn = 0  # ends at its next turn
                device = fresh
            device.base_s = bearer.fix_interval_s
            self.devices[name] = device
            self._look(name, device, now_us)

    # -- what happens -----------------------------------------------------------------------

    def near(self, watch: str, devices: Collection[str], now_us: int, *, holds: bool) -> None:
        """By this watch those who carry the devices may be near each other, or are no longer."""
        for name in devices:
            device = self.devices.get(name)
            if device is None or (watch in device.near) == holds:
                continue
            device.near = [*device.near, watch] if holds else [w for w in device.near if w != watch]
            self._look(name, device, now_us)

    def keep_near(self, watches: Collection[str]) -> None:
        """Of all watches only by these anybody may be near: others ended while nobody looked."""
        for device in self.devices.values():
            device.near = [watch for watch in device.near if watch in watches]

    def displace(self, names: Collection[str]) -> None:
        """It is known no more in which cells these devices were."""
        for name in names:
            if device := self.devices.get(name):
                device.place = None

    def at(self, name: str, lat_e7: int, lon_e7: int, now_us: int) -> None:
        """A device is at this place now."""
        device = self.devices.get(name)
        place = cell_of(lat_e7, lon_e7)
        if device is None or not device.by_chance or place == device.place:
            return
        device.place = place
        if self._timing.is_decoy(name, place, now_us):
            device.at_decoy = True
            self._look(name, device, now_us)

    def online(self, name: str, now_us: int) -> None:
        """A device has come back: what it missed, or forgot, it is told again."""
        device = self.devices.get(name)
        if device is not None and device.issued is not None:
            device.came_online = True
            self._look(name, device, now_us)

    def answered(self, receipt: Receipt, now_us: int) -> list[CommandChange]:
        """A device has answered a command, in whatever words."""
        device = self.devices.get(receipt.device)
        issued = None if device is None else device.issued
        if issued is None or issued.command_id != receipt.command_id or issued.answered:
            return []
        issued.answered = issued.settled = True
        self.counts.received += 1
        return [_change(receipt.device, issued, "received", now_us)]

    # -- time -------------------------------------------------------------------------------

    def advance(self, now_us: int) -> tuple[list[Sending], list[CommandChange]]:
        """Let time pass; what is to be sent, and what has become of commands."""
        sendings: list[Sending] = []
        changes: list[CommandChange] = []
        while self._due and self._due[0][0] <= now_us:
            at_us, name = heapq.heappop(self._due)
            device = self.devices.get(name)
            if device is not None and device.next_us == at_us:
                self._take_turn(name, device, at_us, sendings, changes)
        self._advanced_us = max(self._advanced_us, now_us)
        return sendings, changes

    @property
    def due_us(self) -> int:
        """Before this instant `advance` finds nothing, if nothing happens meanwhile."""
        return self._due[0][0] if self._due else LATEST_US

    def _look(self, name: str, device: Commanded, now_us: int) -> None:
        """Look at a device at its next turn."""
        after_us = max(now_us, self._advanced_us)
        self._await(
            name, device, self._timing.turn_us(name, self._timing.next_turn(name, after_us))
        )

    def _await(self, name: str, device: Commanded, at_us: int) -> None:
        device.next_us = at_us
        heapq.heappush(self._due, (at_us, name))

    def _take_turn(
        self,
        name: str,
        device: Commanded,
        at_us: int,
        sendings: list[Sending],
        changes: list[CommandChange],
    ) -> None:
        device.next_us = NEVER_US
        turn = self._timing.next_turn(name, at_us - 1)
        reason = self._reason(name, device, turn)
        if reason is not None:
            interval_s = device.base_s if reason == "over" else RAISED_S
            changes += self._issue(name, device, interval_s, reason, at_us)
        elif device.issued is not None:
            changes += self._mind(name, device, device.issued, at_us)
        issued = device.issued
        if issued is not None and issued.sent_us == NEVER_US:
            self.counts.sent += 1
            issued.sent_us = at_us
            sendings.append(_sending(name, issued))
        device.at_decoy = device.came_online = False
        self._await_next(name, device, turn)

    def _await_next(self, name: str, device: Commanded, turn: int) -> None:
        """Look again when the raise may end or one begins by chance, or when to repeat."""
        timing, turns = self._timing, []
        if device.until_turn >= 0:
            turns.append(max(device.until_turn, turn + 1))
        elif device.by_chance and device.base_s > RAISED_S:
            turns.append(timing.next_random(name, turn))
        if device.issued is not None and not device.issued.settled:
            turns.append(timing.next_turn(name, device.issued.sent_us + REPEAT_US))
        if turns:
            self._await(name, device, timing.turn_us(name, min(turns)))

    def _reason(self, name: str, device: Commanded, turn: int) -> Reason | None:
        """Why the interval changes at this turn; None when it stays."""
        timing = self._timing
        if device.base_s <= RAISED_S and device.until_turn < 0:
            return None
        if device.until_turn < 0:
            by_chance = device.by_chance and timing.next_random(name, turn - 1) == turn
            reason: Reason = "near" if device.near else "place" if device.at_decoy else "random"
            if not (device.near or device.at_decoy or by_chance):
                return None
            device.until_turn = turn + timing.raised_turns(name, turn)
            self._count_raise(reason)
            return reason
        if turn < device.until_turn:
            return None
        goes_on = device.until_turn > 0 and device.by_chance and timing.goes_on(name, turn)
        if device.near or goes_on:
            device.until_turn = turn + timing.raised_turns(name, turn)
            return None
        device.until_turn = -1
        return "over"

    def _count_raise(self, reason: str) -> None:
        self.counts.raises += 1
        setattr(self.counts, reason, getattr(self.counts, reason) + 1)

    def _issue(
        self,
        name: str,
        device: Commanded,
        interval_s: float,
        reason: Reason,
        at_us: int,
        issues: int = 1,
    ) -> list[CommandChange]:
        command_id = str(uuid.uuid5(COMMANDS, f"{name}@{at_us}"))
        device.issued = Issued(command_id, interval_s, reason, at_us, issues)
        return [_change(name, device.issued, "issued", at_us)]

    def _mind(
        self, name: str, device: Commanded, issued: Issued, at_us: int
    ) -> list[CommandChange]:
        """Repeat what is not answered, issue anew what has expired, give up in the end."""
        expired = at_us >= issued.issued_us + EXPIRY_US
        changes: list[CommandChange] = []
        if expired and not issued.settled:
            self.counts.unanswered += 1
            issued.settled = True
            changes.append(_change(name, issued, "unanswered", at_us))
            if issued.issues < MAX_ISSUES:
                again, interval_s = issued.issues + 1, issued.interval_s
                return changes + self._issue(name, device, interval_s, "repeated", at_us, again)
        # One that has come back may have forgotten what it was told, if it has heard it at all.
        is_told_again = device.came_online and (not issued.answered or device.until_turn >= 0)
        if is_told_again and expired:
            return changes + self._issue(name, device, issued.interval_s, "repeated", at_us)
        if is_told_again or (not issued.settled and at_us >= issued.sent_us + REPEAT_US):
            issued.sent_us = NEVER_US  # to be sent now
        return changes

    # -- what is kept -----------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`. It holds the secret."""
        state = _State(self._timing.secret, self.devices, self._advanced_us)
        return _FORMAT + msgspec.msgpack.encode(state)

    @classmethod
    def restore(cls, data: bytes) -> CommandDesk:
        """The state that `snapshot` wrote.

        Raises:
            CommandStateError: Another layout, or damaged bytes.
        """
        state = unpacked(data, _FORMAT, _decoder, CommandStateError, "the commands")
        desk = cls(state.secret, state.advanced_us)
        desk.devices = state.devices
        waiting = [(one.next_us, name) for name, one in state.devices.items()]
        desk._due = [one for one in waiting if one[0] != NEVER_US]
        heapq.heapify(desk._due)
        return desk


def _sending(name: str, issued: Issued) -> Sending:
    expires_us = issued.issued_us + EXPIRY_US
    command = FixInterval(
        id=issued.command_id,
        time=to_iso(issued.issued_us),
        expires=to_iso(expires_us),
        interval_s=issued.interval_s,
    )
    return Sending(name, command, expires_us)


def _change(name: str, issued: Issued, state: CommandState, now_us: int) -> CommandChange:
    return CommandChange(
        device=name,
        command_id=issued.command_id,
        state=state,
        reason=issued.reason,
        interval_s=issued.interval_s,
        issued_us=issued.issued_us,
        decided_at_us=now_us,
    )
