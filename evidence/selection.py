"""What of the record concerns a case: which chains, of which time, and for which side.

A case is an order. Who is bound and who is protected, and which devices they carried when, is read
from the sealed entries of the caseload, so that what decides is itself evidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from devices.instants import from_iso, to_datetime
from evidence import sides
from evidence.case_records import Custody
from evidence.covered_tables import FIX, LAYOUT, RECORDS
from evidence.outlived import outlived
from evidence.records import Record
from evidence.repeats import repeating
from evidence.seal_store import Connection
from evidence.sides import MessageKey, Role, Showing, Side
from evidence.sources import Stream
from evidence.text import clean

FOREVER_US = 253_402_300_799_000_000
"""The end of the year 9999: as late as PostgreSQL and Python agree on."""

TABLES = {table.name: table for table in (FIX, *RECORDS[LAYOUT])}

Window = tuple[int, int]
"""From an instant to before another, in microseconds."""


class ExportError(RuntimeError):
    """Nothing can be exported as asked. The text is for people."""


@dataclass(frozen=True, slots=True)
class Approval:
    """By which request a pack is made: what a second person approved (`evidence.approvals`)."""

    request_id: str
    requested_us: int
    decided_us: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown, and who asks.

    Attributes:
        custody: Case, window, side, and who takes it out for whom and what for.
        device: Not a case but the records of this device alone; empty for a case.
        withheld_us: Parts of the window whose records show their places only.
        charged: Alerts that the wearer is charged with.
        approval: None: no second person approved it, and the pack says so.
    """

    custody: Custody
    device: str = ""
    withheld_us: tuple[Window, ...] = ()
    charged: frozenset[str] = frozenset()
    approval: Approval | None = None

    @property
    def side(self) -> Side:
        """For whom the pack is made."""
        return self.custody.side  # type: ignore[return-value] # checked by whoever asks

    @property
    def strict(self) -> bool:
        """Whether bytes are shown only where it is known that nothing in them is withheld."""
        return self.side != "court" or bool(self.withheld_us)

    @property
    def window(self) -> Window:
        """Which records are wanted, by their own time."""
        return self.custody.from_us, self.custody.to_us

    def hides(self, time_us: int) -> bool:
        """Whether a record of this time is withheld by request."""
        return any(start <= time_us < end for start, end in self.withheld_us)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A chain, and what is wanted of it.

    Attributes:
        window: Of the records' own time.
        periods: When they are of the person of the case; outside they are withheld.
        careful: Its records are looked at one by one: it is of the wearer's own device, for him.
        cases: Of records that name a case, only those of one of these are shown; empty: all.
        waits: What is not proven yet is left to a later pack, and nothing waits for it.
    """

    kind: str
    subject: str
    window: Window
    showing: Showing = "shown"
    periods: tuple[Window, ...] = ((0, FOREVER_US),)
    careful: bool = False
    cases: frozenset[str] = frozenset()
    waits: bool = False

    def holds(self, time_us: int) -> bool:
        """Whether a record of this time is wanted."""
        return self.window[0] <= time_us < self.window[1]

    def shows(self, time_us: int) -> bool:
        """Whether such a record may be shown."""
        worn = any(start <= time_us < end for start, end in self.periods)
        return self.showing == "shown" and self.holds(time_us) and worn

    def is_of_case(self, record: Record) -> bool:
        """Whether it is of a case that may be shown."""
        return not self.cases or record.values["case"] in self.cases


@dataclass(slots=True)
class Selection:
    """All chains of a case.

    Attributes:
        devices: Of the case that the side may know of, with who carries them: `wearer`,
            `protected`, or `device` where no case was named.
        absent: What is not in the pack at all, and why.
        partly_outside: Messages that came in the window, with something made of them from outside;
            strictly also those that repeat what came before, or may hold what was erased.
        people: Of the case.
        worn: When which person who is bound carried which device: keys are both.
    """

    chosen: list[Chosen] = field(default_factory=list)
    devices: dict[str, Role] = field(default_factory=dict)
    people: dict[str, Role] = field(default_factory=dict)
    worn: dict[tuple[str, str], list[Window]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    partly_outside: set[MessageKey] = field(default_factory=set)

    def add(self, chosen: Chosen, why: str = "") -> None:
        """Take a chain in, or say why it is left out."""
        if chosen.showing == "absent":
            self.absent[chosen.kind] = why
        else:
            self.chosen.append(chosen)


async def select(connection: Connection, asked: Asked, opened_us: int) -> Selection:
    """What concerns the case, or the device.

    Args:
        connection: In a transaction: one state of the database.
        asked: Case or device, window and side.
        opened_us: When this export was opened: what is in the custody log before is shown.

    Raises:
        ExportError: The record holds no such case.
    """
    found = Selection()
    if asked.device:
        _add_device(found, asked, asked.device, "device", ())
        found.partly_outside = await _partly_outside(connection, asked, [asked.device])
        return found
    until_us = await _taken_in(connection, asked)
    entries = await _entries(connection, asked, until_us)
    case = Case.of(asked, entries)
    for entry, versions in case.entries.items():
        kind = versions[-1]["kind"]
        role = case.roles.get(entry.removeprefix("device/"))
        showing = sides.of_entry(asked.side, kind, role)
        chosen = Chosen("caseload_entry", entry, (0, until_us), showing)
        found.add(chosen, sides.WHY_ABSENT["device"])
    found.people, found.worn = case.people, case.worn
    for device, role in case.roles.items():
        _add_device(found, asked, device, role, case.periods[device])
    found.partly_outside = await _partly_outside(connection, asked, list(found.devices))
    await _add_decisions(connection, found, asked)
    await _add_alerts(connection, found, asked, sorted(case.roles))
    showing = "shown" if asked.side == "court" else "absent"
    disclosures = Chosen("disclosure", asked.custody.case, (0, opened_us), showing, waits=True)
    found.add(disclosures, sides.WHY_ABSENT["disclosure"])
    for stream in Stream:
        found.add(Chosen("gap", stream.value, asked.window))
    return found


def _add_device(
    found: Selection, asked: Asked, device: str, role: Role, periods: Sequence[Window]
) -> None:
    for kind in sides.OF_DEVICE:
        showing = sides.of_device(asked.side, role, kind)
        worn = tuple(periods) or ((0, FOREVER_US),)
        careful = asked.side == "wearer"
        chosen = Chosen(kind, clean(device), asked.window, showing, worn, careful)
        found.add(chosen, sides.WHY_ABSENT["device"])
    if sides.of_device(asked.side, role, "fix") != "absent":
        found.devices[device] = role


@dataclass(slots=True)
class Case:
    """Who is concerned, by the sealed entries of the caseload.

    Attributes:
        entries: Versions of each entry of the case, the newest last.
        roles: By device.
        people: Who is bound, and who is protected.
        periods: By device: when it was carried by that person.
        worn: See `Selection`.
    """

    entries: dict[str, list[dict[str, Any]]]
    people: dict[str, Role]
    roles: dict[str, Role] = field(default_factory=dict)
    periods: dict[str, list[Window]] = field(default_factory=dict)
    worn: dict[tuple[str, str], list[Window]] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: Asked, entries: dict[str, list[dict[str, Any]]]) -> Case:
        """Find the people of an order and the devices that they carried in the window.

        Raises:
            ExportError: There is no such order.
        """
        orders = entries.get(f"order/{asked.custody.case}")
        if not orders:
            raise ExportError(
                f"The record holds no order {asked.custody.case}. Orders are taken in when they are "
                "sealed: `cordon caseload` lists those in force."
            )
        wearers = {version["document"]["wearer"] for version in orders if version["document"]}
        people: dict[str, Role] = {}
        kept = {f"order/{asked.custody.case}": orders}
        for entry, versions in entries.items():
            if versions[-1]["kind"] == "condition":
                kept[entry] = versions
                named = (v["document"].get("protected") for v in versions if v["document"])
                people |= dict.fromkeys(filter(None, named), "protected")
        people |= dict.fromkeys(wearers, "wearer")
        case = cls(kept, people)
        for entry, versions in entries.items():
            if versions[-1]["kind"] == "device":
                case._add(entry, versions, asked)
        return case

    def _add(
        self,
        entry: str,
        versions: list[dict[str, Any]],
        asked: Asked,
    ) -> None:
        window, side, people = asked.window, asked.side, self.people
        newest = next((v["document"] for v in reversed(versions) if v["document"]), None)
        for one in newest["assignments"] if newest else ():
            end = from_iso(one["to"]) if one.get("to") else FOREVER_US
            period = (from_iso(one["from"]), end)
            if one["person"] in people and period[0] < window[1] and period[1] > window[0]:
                device = entry.removeprefix("device/")
                self.entries[entry] = versions
                role = people[one["person"]]
                if self.roles.setdefault(device, role) != role:  # carried by both: for neither side
                    self.roles[device] = "wearer" if side == "protected" else "protected"
                self.periods.setdefault(device, []).append(period)
                if role == "wearer":
                    self.worn.setdefault((one["person"], device), []).append(period)


async def _taken_in(connection: Connection, asked: Asked) -> int:
    """Until when the caseload is looked at: what changed after the window is no part of it.

    An order that was taken in only later is shown as it was then.
    """
    cursor = await connection.execute(
        "SELECT evidence.us(min(loaded_at)) + 1 FROM evidence.caseload_entry WHERE entry = %s",
        (f"order/{asked.custody.case}",),
    )
    row = await cursor.fetchone()
    return max(asked.window[1], row[0] if row and row[0] else 0)


async def _entries(
    connection: Connection, asked: Asked, until_us: int
) -> dict[str, list[dict[str, Any]]]:
    """The order, its conditions, and every device, each in its versions up to an instant."""
    cursor = await connection.execute(
        "SELECT entry, kind, document::text FROM evidence.caseload_entry c WHERE loaded_at < %s AND "
        "(entry = %s OR kind = 'device' OR (kind = 'condition' AND EXISTS ("
        "SELECT FROM evidence.caseload_entry o WHERE o.entry = c.entry "
        "AND o.document ->> 'order' = %s))) ORDER BY entry, version",
        (to_datetime(until_us), f"order/{asked.custody.case}", asked.custody.case),
    )
    found: dict[str, list[dict[str, Any]]] = {}
    async for entry, kind, document in cursor:
        found.setdefault(entry, []).append({"kind": kind, "document": json.loads(document)})
    return found


async def _add_decisions(connection: Connection, found: Selection, asked: Asked) -> None:
    showing = sides.of_decisions(asked.side)
    if showing == "absent":
        found.absent["decision"] = sides.WHY_ABSENT["decision"]
        return
    watches = await _subjects(
        connection,
        "SELECT DISTINCT watch FROM evidence.decision "
        "WHERE decided_at >= %s AND decided_at < %s AND order_id = %s",
        asked,
        asked.custody.case,
    )
    for watch in watches:
        found.add(Chosen("decision", watch, asked.window, showing))


async def _add_alerts(
    connection: Connection, found: Selection, asked: Asked, devices: list[str]
) -> None:
    """Alerts of the order or of its devices that had a change in the window: each as a whole."""
    alerts = await _subjects(
        connection,
        "SELECT DISTINCT alert_id FROM evidence.alert_change WHERE time >= %s AND time < %s "
        "AND (document -> 'data' ->> 'order_id' = %s OR document -> 'data' ->> 'device' = ANY(%s))",
        asked,
        asked.custody.case,
        devices,
    )
    if asked.side == "wearer":
        found.absent |= dict.fromkeys(sides.OF_ALERT, sides.WHY_ABSENT["alert"])
    for alert in alerts:
        showing = sides.of_alert(asked.side, charged=alert in asked.charged)
        for kind in sides.OF_ALERT:
            found.add(Chosen(kind, alert, (0, FOREVER_US), showing), sides.WHY_ABSENT["alert"])


async def _partly_outside(
    connection: Connection, asked: Asked, devices: list[str]
) -> set[MessageKey]:
    """Messages that hold more than the window: a flushed buffer, say."""
    start, end = (to_datetime(instant) for instant in asked.window)
    found: set[MessageKey] = set()
    for table in (b"fix", b"event"):
        cursor = await connection.execute(
            b"SELECT DISTINCT device, journal_position, message FROM evidence." + table + b" "
            b"WHERE device = ANY(%s) AND received_at >= %s AND received_at < %s "
            b"AND (time < %s OR time >= %s)",
            ([clean(device) for device in devices], start, end, start, end),
        )
        found.update([(row[0], row[1], row[2]) async for row in cursor])
    if asked.strict:
        found |= await repeating(connection, asked.window, devices)
        found |= await outlived(connection, asked.window, devices)
    return found


async def _subjects(connection: Connection, query: str, asked: Asked, *more: object) -> list[str]:
    window = [to_datetime(instant) for instant in asked.window]
    cursor = await connection.execute(query.encode(), (*window, *more))
    return sorted([row[0] async for row in cursor])


def by_kind(chosen: Iterable[Chosen]) -> dict[tuple[str, Window, bool], list[Chosen]]:
    """The chains by kind, by the window that is wanted of them, and by whether they wait."""
    found: dict[tuple[str, Window, bool], list[Chosen]] = {}
    for one in chosen:
        found.setdefault((one.kind, one.window, one.waits), []).append(one)
    return found
