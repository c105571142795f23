"""What is tried in a device's name and must not be: floods, other people's topics, false words.

What the gateway, the broker and those at the door refuse is in the journal, each with its code. Here
it becomes one trouble for each device and kind, that begins when it is more than a slip and ends when
it has been quiet for a while: not a message for each attempt, and the same again when the journal is
read again. Whoever uses names that are in no caseload is one trouble for all of them together: names
can be made up by the thousand.

No I/O, no clock. What ends by time ends at an instant that follows from the last attempt alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import msgspec

from devices.health_changes import DoorCause, DoorKind, HealthCause, HealthChange
from devices.instants import LATEST_US, MICROSECONDS
from devices.layouts import unpacked
from devices.reports import Batch
from devices.watches import Bearer

KINDS: dict[DoorCause, DoorKind] = {
    "flood": "flood",
    "not_its_topic": "beyond_rights",
    "not_its_commands": "beyond_rights",
    "bad_signature": "badly_signed",
    "not_signed": "badly_signed",
    "wrong_password": "turned_away",
    "no_name": "turned_away",
    "unknown_device": "turned_away",
    "unknown_certificate": "turned_away",
    "credential_revoked": "turned_away",
    "credential_expired": "turned_away",
    "other_identity": "turned_away",
    "other_client_id": "turned_away",
    "tls_failed": "turned_away",
}
"""Codes of refusals, and what they are a sign of."""

_AS_CAUSE: dict[str, DoorCause] = {code: code for code in KINDS}

OF_SOMEBODY_ELSE = frozenset(KINDS) - {"flood"}
"""Codes by which nobody has proved that it was the device: no word of it, however often it comes."""

TIMES: dict[DoorKind, int] = {"turned_away": 3, "flood": 2}
"""So many refusals within `WITHIN_US` are told, where one is not enough. One wrong password is a
slip; `cordon.broker_refusals` journals the first, the third and the tenth of the same in a minute.
A flood that is over within a minute (`ingest.allowance.TOLD_EVERY_US`) is a buffer that was sent
message by message."""

_NEEDED = math.lcm(*TIMES.values())
"""Weights that begin a trouble: strangers are one, whatever of all this they try."""

WITHIN_US = 600 * MICROSECONDS
QUIET_US = 900 * MICROSECONDS
"""It is over after so long without another. What goes on is journaled once a minute at least."""

NUMBERS_KEPT = 1_000
"""Devices and kinds of trouble whose last spell is over and is remembered by its number. Of more, the
one that is over for longest is let go, and its next counts from 1 again (see `alerts.marks.Passed`)."""

NAMES_COUNTED = 1_000
"""Different names of strangers that are told apart; with more the count stays."""

MAX_NAME_CHARS = 64


class Attempts(msgspec.Struct, array_like=True):
    """What was tried under one name, of one kind.

    Attributes:
        person: Who carries the device; with another one it is over.
        seen_us: Of the last ones, as many as are needed to tell of it; oldest first.
        last_us: Of the newest.
        cause: Code of the one with which it began.
        onset_us: Of the first that counted; None: it has not begun.
        number: Of the spell.
        names: Of strangers.
    """

    person: str | None
    seen_us: list[int] = []
    last_us: int = 0
    cause: HealthCause = "plan"
    onset_us: int | None = None
    number: int = 0
    names: list[str] = []


class DoorStateError(ValueError):
    """Bytes that are not a state of a layout this version reads."""


class _State(msgspec.Struct):
    known: dict[str, str | None]
    open: list[tuple[DoorKind, str, Attempts]]
    numbers: list[tuple[DoorKind, str, int]]
    now_us: int


_Key = tuple[DoorKind, str]

_FORMAT = b"CW1"  # Cordon's ward at the door, layout 1: `_State` as MessagePack.
_decoder = msgspec.msgpack.Decoder(_State)


class Door:
    """What is tried under the names of devices."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}
        self._open: OrderedDict[_Key, Attempts] = OrderedDict()  # quiet for longest first
        self._numbers: dict[_Key, int] = {}  # of spells that are over: for longest first
        self._now_us = 0

    def plan(self, bearers: Mapping[str, Bearer], now_us: int) -> list[HealthChange]:
        """These are the devices of the caseload, as they are assigned now."""
        changes = self.advance(now_us)
        self._known = {name: one.person for name, one in bearers.items()}
        for key, attempts in list(self._open.items()):
            name = key[1]
            if name and self._known.get(name, "") != attempts.person:
                changes += self._end(key, self._now_us, "plan")
        self._numbers = {
            key: number
            for key, number in self._numbers.items()
            if not key[1] or key[1] in self._known
        }
        return changes

    def take(self, batch: Batch, *, flushes: bool = False) -> list[HealthChange]:
        """Take in what was refused, or told of a flood, in a batch.

        Args:
            batch: What has arrived.
            flushes: Very many devices send what they could not send before: no flood begins.
        """
        changes = self.advance(batch.received_us)
        for refusal in batch.refusals:
            code = _AS_CAUSE.get(refusal.code)
            if code is not None:
                weight = _NEEDED // TIMES.get(KINDS[code], 1)
                of_all = flushes and code == "flood"
                changes += self._attempt(code, refusal.device, 0 if of_all else weight)
        return changes

    def advance(self, now_us: int) -> list[HealthChange]:
        """Let time pass; what ends on the way carries the instant at which it ended."""
        changes: list[HealthChange] = []
        while self._open:
            key, attempts = next(iter(self._open.items()))
            ends_us = attempts.last_us + QUIET_US
            if ends_us > now_us:
                break
            changes += self._end(key, ends_us, "quiet")
        self._now_us = max(self._now_us, now_us)
        return changes

    @property
    def due_us(self) -> int:
        """Before this instant `advance` finds nothing, if nothing happens meanwhile."""
        return next((one.last_us + QUIET_US for one in self._open.values()), LATEST_US)

    def _attempt(self, code: DoorCause, name: str, weight: int) -> list[HealthChange]:
        now_us, kind = self._now_us, KINDS[code]
        is_known = name in self._known
        key: _Key = (kind, name) if is_known else ("strangers", "")
        attempts = self._open.pop(key, None) or Attempts(self._known.get(name))
        self._open[key] = attempts
        attempts.last_us = now_us
        if not is_known:
            _count(attempts.names, name)
        if attempts.onset_us is not None:
            return []
        attempts.cause = code
        seen = [at_us for at_us in attempts.seen_us if at_us > now_us - WITHIN_US]
        attempts.seen_us = (seen + [now_us] * weight)[-_NEEDED:]
        if len(attempts.seen_us) < _NEEDED:
            return []
        attempts.onset_us = attempts.seen_us[0]
        attempts.number = self._numbers.pop(key, 0) + 1
        return [_change(key, attempts, now_us, code, began=True)]

    def _end(self, key: _Key, at_us: int, cause: HealthCause) -> list[HealthChange]:
        attempts = self._open.pop(key)
        if attempts.onset_us is None:
            return []
        self._numbers[key] = attempts.number
        if len(self._numbers) > NUMBERS_KEPT:
            del self._numbers[next(iter(self._numbers))]
        return [_change(key, attempts, at_us, cause, began=False)]

    # -- what is kept -----------------------------------------------------------------------

    def going_on(self, now_us: int) -> list[HealthChange]:
        """Everything that goes on now, as changes that began."""
        return [
            _change(key, one, now_us, one.cause, began=True)
            for key, one in self._open.items()
            if one.onset_us is not None
        ]

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`."""
        state = _State(
            self._known,
            [(*key, one) for key, one in self._open.items()],
            [(*key, number) for key, number in self._numbers.items()],
            self._now_us,
        )
        return _FORMAT + msgspec.msgpack.encode(state)

    @classmethod
    def restore(cls, data: bytes) -> Door:
        """The state that `snapshot` wrote; a new one where an older version wrote none.

        Raises:
            DoorStateError: Another layout, or damaged bytes.
        """
        door = cls()
        if not data:
            return door
        state = unpacked(data, _FORMAT, _decoder, DoorStateError, "the door")
        door._known = state.known
        door._open = OrderedDict(((kind, name), one) for kind, name, one in state.open)
        door._numbers = {(kind, name): number for kind, name, number in state.numbers}
        door._now_us = state.now_us
        return door


def speakers(batch: Batch) -> Iterable[str]:
    """Devices of which something was refused that they themselves have sent."""
    return (one.device for one in batch.refusals if one.code not in OF_SOMEBODY_ELSE)


def _count(names: list[str], name: str) -> None:
    short = name[:MAX_NAME_CHARS]
    if len(names) < NAMES_COUNTED and short not in names:
        names.append(short)


def _change(
    key: _Key, attempts: Attempts, at_us: int, cause: HealthCause, *, began: bool
) -> HealthChange:
    kind, name = key
    assert attempts.onset_us is not None, "what is told has begun"
    return HealthChange(
        device=name,
        kind=kind,
        began=began,
        onset_us=attempts.onset_us,
        decided_at_us=at_us,
        cause=cause,
        quantity=float(len(attempts.names)) if attempts.names else math.nan,
        number=attempts.number,
    )
