"""For whom a pack is made, and what of each kind of record that side is shown.

Redaction is a safety function here: what goes to the wearer's side may end in his hands. It follows
from these rules alone, and a test looks for every position of hers in the bytes of his pack.

=========== ==================================== ========================================
side        shown                                not shown
=========== ==================================== ========================================
court       everything
protected   her devices, order and conditions,   absent: his devices
            decisions, alerts, deliveries
wearer      his devices while he carried them,   withheld: conditions, reasons of commands, what
            his order                            his devices heard of hers; absent: her devices,
                                                 decisions, alerts, deliveries
=========== ==================================== ========================================

Who looked at records, and files of others: `of_access`, `of_pack`. Files are for the court alone.

Withheld: the sealed place is there, its content is not. Absent: not even the place. Decisions and
alerts are absent because *when* there was one is a measurement of how near she was: with his own
track, four of them place her within some ten metres. The alerts he is charged with are known to
his side anyway: named with `charged`, they are withheld in place instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from devices.reports import BEACONS
from evidence.records import Record

Side = Literal["court", "protected", "wearer"]
Role = Literal["wearer", "protected", "device"]
Showing = Literal["shown", "withheld", "absent"]

OF_DEVICE = (
    "fix",
    "message",
    "event",
    "receipt",
    "status",
    "refusal",
    "anomaly",
    "device_health",
    "sequence_step",
    "command",
)
"""Kinds whose chains are named by a device."""

OF_ALERT = ("alert_change", "delivery")
"""Kinds whose chains are named by an alert."""

OF_STREAMS = ("gap",)
"""What the streams themselves lost: whoever doubts that everything is here is told."""

OF_PACKS = ("pack_request", "pack_decision", "pack_use")
"""Kinds that say who asked for a pack of the case, who approved it, and by which request one was made."""

OF_CONTROL = ("access", "disclosure", *OF_PACKS)
"""Kinds about dealing with the record: they hold no positions, so no part of a window hides them."""

WHY_ABSENT = {
    "device": "records of the other person's devices",
    "access": "who looked at records of the case, unless they were of this side: staff look when something happens",
    "pack_use": "which other packs were made of this record",
    "overlay": "files of others, which may say where either person was",
    "decision": "decisions about distance: their times and numbers would tell where she was",
    "alert": "alerts and deliveries: their times would tell where she was",
    "disclosure": "who else was given parts of this record",
}


def of_device(side: Side, role: Role, kind: str) -> Showing:
    """What a side is shown of a device that somebody of this role carries."""
    if side == "court" or role in {"device", side}:
        return "withheld" if side == "wearer" and kind == "command" else "shown"
    return "absent"


def of_entry(side: Side, kind: str, role: Role | None = None) -> Showing:
    """What a side is shown of the caseload: `order`, `condition`, or `device` of a role."""
    if kind == "device" and role is not None:
        return of_device(side, role, "device")
    return "withheld" if side == "wearer" and kind == "condition" else "shown"


def of_alert(side: Side, *, charged: bool) -> Showing:
    """What a side is shown of an alert."""
    if side == "wearer":
        return "withheld" if charged else "absent"
    return "shown"


def of_decisions(side: Side) -> Showing:
    """What a side is shown of the engine's decisions."""
    return "absent" if side == "wearer" else "shown"


def of_access(side: Side, whose: Role | Literal["case", "everybody"]) -> Showing:
    """What a side is shown of records of access to a person, a device, the case itself, or everybody.

    To the wearer's side they would tell when staff looked, and so when something happened. Of the case itself
    he is shown places: there it says that files of others were taken in, and a court can have them opened.
    """
    if side == "court":
        return "shown"
    if side == "wearer":
        return "withheld" if whose == "case" else "absent"
    return "shown" if whose in {"protected", "everybody"} else "absent"


def of_pack(side: Side, kind: str) -> Showing:
    """What a side is shown of requests for packs: of its own pack, the decision alone.

    The request says what is withheld: to the wearer's side that may be when she was in a refuge.
    """
    if side == "court":
        return "shown"
    return {"pack_decision": "shown", "pack_request": "withheld"}.get(kind, "absent")  # type: ignore[return-value]


def hears_the_other(record: Record) -> bool:
    """Whether a device reports here that it heard the other person's device."""
    return record.kind == "event" and (
        record.values["peer"] is not None or record.values["type"] in BEACONS
    )


MessageKey = tuple[str, int, int]
"""Device, journal position and index of a message."""

_MADE_OF_MESSAGES = ("fix", "event", "status", "receipt", "refusal")


def message_of(record: Record) -> MessageKey | None:
    """The message that a record is, or was made of; None for what no message made."""
    if record.kind == "message":
        return record.subject, record.values["journal_position"], record.values["item"]
    if record.kind in _MADE_OF_MESSAGES:
        return record.subject, record.values["journal_position"], record.values["message"]
    return None


class Messages:
    """Which raw messages may be shown: bytes say all that was made of them, and more.

    One is not shown if anything made of it is not. Strictly, it is shown only if something was made
    of it that is shown: what came twice or was refused as a whole has no row to judge it by.

    Args:
        partly_outside: Messages of which something was made that lies outside the window; strictly also
            those that repeat something, whatever it is (`evidence.repeats`), or may hold something of
            which the row is erased (`evidence.outlived`).
        strict: As above.
    """

    def __init__(self, partly_outside: Iterable[MessageKey], *, strict: bool) -> None:
        self._hidden = set(partly_outside)
        self._seen: set[MessageKey] = set()
        self._strict = strict

    def note(self, record: Record, *, shown: bool) -> None:
        """Take note of a record made of a message."""
        key = message_of(record)
        if key is not None and record.kind != "message":
            if not shown:
                self._hidden.add(key)
            elif record.kind != "refusal":
                self._seen.add(key)

    def shows(self, record: Record) -> bool:
        """Whether the bytes may be shown, when all records are noted."""
        key = message_of(record)
        return key not in self._hidden and (key in self._seen or not self._strict)
