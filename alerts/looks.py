"""Who looked at where somebody is or was: an entry of the alerts stream for each reading.

A map that is open is one reading an hour, not one a second. Nothing waits for the entry: whoever has to
send a patrol sees the map even while the broker takes nothing. It is kept in memory until it can be kept
for good.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict

import msgspec

from devices.instants import MICROSECONDS, to_iso

LOOK_TYPE = "cordon.access.read"
EVERYBODY = "*"
"""Subject of a reading that shows everybody in force, as the map does."""

REMEMBERED_S = 3_600
"""The same person reading the same of the same subject again within this time is one reading."""

REMEMBERED_LIMIT = 10_000
"""Readings remembered for that. Beyond it the oldest is forgotten, and recorded once more."""

PURPOSE_LIMIT_CHARS = 200

LOOKS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:look")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One reading.

    Attributes:
        time: When.
        who: Name of whoever read.
        role: In which role.
        purpose: What for, as they say; empty: the duty of the role.
        subject: Id of the person concerned, or `EVERYBODY`.
        case: Order or alert it was for; empty where none was named.
        what: `map`, `alerts`, `protection`, `track`, `export`, ...
        from_us, to_us: The time that what was read is about; None: the present.
    """

    id: str
    type: str = LOOK_TYPE
    time: str
    who: str
    role: str
    purpose: str = ""
    subject: str
    case: str = ""
    what: str
    from_us: int | None = None
    to_us: int | None = None


class Looks:
    """Says which readings are new."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def note(
        self, who: str, what: str, subject: str, now_us: int, *, role: str, purpose: str = ""
    ) -> Look | None:
        """Somebody reads what is so now. None when it belongs to a reading that is known."""
        key = (who, role, what, subject, purpose)
        last_us = self._known.get(key)
        if last_us is not None and 0 <= now_us - last_us < REMEMBERED_S * MICROSECONDS:
            return None
        self._known[key] = now_us
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED_LIMIT:
            self._known.popitem(last=False)
        return Look(
            id=str(uuid.uuid5(LOOKS, f"{key}{now_us}")),
            time=to_iso(now_us),
            who=who,
            role=role,
            purpose=purpose[:PURPOSE_LIMIT_CHARS],
            subject=subject,
            what=what,
        )
