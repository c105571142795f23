"""``cordon bench alerts``: what many open alerts cost a new one, each tick, and each checkpoint.

The alert desk with its plans, outbox and streams' records, without servers: so many alerts are open,
nobody has acknowledged any, and all that could have been asked in the last hour is due at once, as after
an outage. Then seconds pass as in the service, and in each of them an alert of tier 1 is raised.

Times are of the processor, not of the clock: other programs on the machine disturb them less.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import numpy as np

from alerts.contacts import Contacts
from alerts.desk import Desk
from alerts.escalation import Escalation
from alerts.profile import Profiles, load_profiles
from alerts.protection import statuses
from alerts.stories import CONTACTS
from benchmarks.printed import Result, shown
from cordon.appender import Appender
from cordon.outgoing import Outgoing
from devices.instants import MICROSECONDS, from_iso
from devices.watches import Bearer, Compiled, Watch
from geofence.levels import Level, Transition
from geofence.plan import Plan

START_US = from_iso("2026-11-24T08:00:00Z")
SPREAD_S = 3_600
"""The alerts were raised over so long."""

LEVELS = (Level.CONTACT, Level.ALERT, Level.ALERT, Level.ALERT) + 16 * (Level.PRE_ALERT,)
"""In this mix: 5 % tier 1, 15 % tier 2, the rest tier 3."""

SECONDS = 200
LISTED = 500
WARM_UP = 20
AGENCY = "centre"

_Result = TypeVar("_Result")


class AlertsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Figures with so many alerts open.

    Attributes:
        tier1_us, tier1_worst_us: From the engine's transition to the change handed to stream and
            lanes, of an alert of tier 1: median and worst.
        look_ms, look_worst_ms: What one look at what is due holds the loop for.
        behind_s: Seconds until everything that was due at the beginning had been asked.
        asked: How many asks were made in all.
        second_ms: What a second costs after that.
        piece_worst_ms: The longest that writing the desk's checkpoint holds the loop for at once.
        checkpoint_mb: Size of the desk's part.
        list_ms: The list that a console is given.
        memory_mb: Of the process, more than before.
        assurance_ms: What the open alerts cost each round of protection statuses.
        collect_ms: A full run of the garbage collector.
    """

    open: int
    tier1_us: float
    tier1_worst_us: float
    look_ms: float
    look_worst_ms: float
    behind_s: int
    asked: int
    second_ms: float
    piece_worst_ms: float
    checkpoint_mb: float
    list_ms: float
    assurance_ms: float
    memory_mb: float
    collect_ms: float


class AlertsReport(msgspec.Struct, frozen=True):
    """What ``cordon bench alerts`` prints.

    Attributes:
        ratio: Of the median time of a new tier 1, most alerts open to fewest.
    """

    rows: list[AlertsRow]
    ratio: float


class _Nowhere:
    """Stands in for the connections of `Outgoing`, which is never run: nothing leaves."""

    connected = True

    async def publish(self, *_arguments: Any, **_more: Any) -> None:
        """Nothing."""


class Room:
    """A desk with so many open alerts, and what it hands over."""

    def __init__(self, open_alerts: int, profiles: Profiles) -> None:
        self.now_us = START_US
        self.asked = 0
        self._number = open_alerts
        nowhere = cast("Any", _Nowhere())
        self.outgoing = Outgoing(
            nowhere,
            nowhere,
            profiles,
            _bearer_of,
            lambda _change: None,
            lambda: self.now_us,
            contacts=(people := Contacts(CONTACTS, ("push", "sms", "webhook"))),
        )
        plans = Escalation(profiles, people, self.outgoing.outbox.arrived, _bearer_of)
        self.desk = Desk(profiles, rules="bench", build="bench", escalation=plans)
        for number in range(open_alerts):
            level = LEVELS[number % len(LEVELS)]
            at_us = START_US - (open_alerts - number) * SPREAD_S * MICROSECONDS // open_alerts
            self.desk.on_transition(_transition(number, level, at_us), _watch(number), now_us=at_us)

    @property
    def is_behind(self) -> bool:
        """Whether something that is due has not been asked yet."""
        return self.desk.is_behind(self.now_us)

    def look(self) -> None:
        """One look at what is due, as in the service."""
        changes = self.desk.advance(self.now_us)
        self.outgoing.changed(changes)
        self.asked += sum(len(change.asked) for change in changes)

    def raise_tier_1(self) -> None:
        """Somebody is very near."""
        self._number += 1
        transition = _transition(self._number, Level.CONTACT, self.now_us)
        changes = self.desk.on_transition(transition, _watch(self._number), now_us=self.now_us)
        self.outgoing.changed(changes)
        assert changes[-1].data.tier == 1, "very near is tier 1"

    def settle(self) -> None:
        """Everything handed over is sent and written: it is not what is measured."""
        outbox = self.outgoing.outbox
        for delivery in outbox.pending():
            outbox.finish(delivery, "sent", self.now_us)
        self.outgoing.alerts = Appender(cast("Any", _Nowhere()), "nowhere")


def run_alerts(sizes: Sequence[int], tell: Callable[[str], None]) -> Result:
    """Measure, with each number of open alerts."""
    profiles = load_profiles()
    rows = []
    _measured(min(sizes), profiles)  # the first is measured by a cold processor
    for size in sizes:
        tell(f"With {size} open alerts")
        rows.append(_measured(size, profiles))
    report = AlertsReport(rows, rows[-1].tier1_us / rows[0].tier1_us)
    line = (
        f"a new tier 1 takes {report.ratio:.2f} times as long with {rows[-1].open} alerts open as "
        f"with {rows[0].open}"
    )
    fields = AlertsRow.__struct_fields__[1:]
    table = [[field, *(shown(getattr(row, field)) for row in rows)] for field in fields]
    return Result(report, line, [(["open", *(str(row.open) for row in rows)], table)])


def _measured(size: int, profiles: Profiles) -> AlertsRow:
    gc.collect()
    before = _memory_mb()
    room = Room(size, profiles)
    memory = _memory_mb() - before
    looks: list[float] = []
    seconds: list[float] = []
    alerts: list[float] = []
    behind = 0
    for second in range(SECONDS):
        room.now_us += MICROSECONDS
        looks += (found := _looks_of_a_second(room))
        seconds.append(sum(found))
        if behind == second and room.is_behind:
            behind = second + 1
        took_s, _ = _timed(room.raise_tier_1)
        if second >= WARM_UP:
            alerts.append(took_s)
        room.settle()
    pieces = list(_pieces(room.desk))
    return AlertsRow(
        open=size,
        tier1_us=1e6 * float(np.median(alerts)),
        tier1_worst_us=1e6 * max(alerts),
        look_ms=1e3 * float(np.median(looks)),
        look_worst_ms=1e3 * max(looks),
        behind_s=behind,
        asked=room.asked,
        second_ms=1e3 * float(np.median(seconds[behind:] or seconds)),
        piece_worst_ms=1e3 * max(took_s for took_s, _ in pieces),
        checkpoint_mb=sum(length for _, length in pieces) / 1e6,
        list_ms=1e3 * _timed(lambda: room.desk.most_urgent(LISTED))[0],
        assurance_ms=1e3 * _timed(lambda: _statuses_of_nobody(room))[0],
        memory_mb=memory,
        collect_ms=1e3 * _timed(gc.collect)[0],
    )


def _statuses_of_nobody(room: Room) -> int:
    """A round of protection statuses, but for the people: how many it made."""
    nobody = Compiled(Plan("bench", ()), {}, {}, {}, None, {}, {})
    return len(list(statuses(nobody, {}, room.desk.weakening, room.now_us)))


def _looks_of_a_second(room: Room) -> list[float]:
    """How long each took, until nothing is due or the second is over."""
    found: list[float] = []
    while not found or (room.is_behind and sum(found) < 1.0):
        took_s, _ = _timed(room.look)
        found.append(took_s)
        room.settle()
    return found


def _pieces(desk: Desk) -> Iterator[tuple[float, int]]:
    """What the worker does between two turns of the loop while it writes a checkpoint."""
    took_s, pieces = _timed(desk.pieces)
    yield took_s, 0
    while True:
        took_s, piece = _timed(lambda: next(pieces, b""))
        if not piece:
            return
        yield took_s, len(piece)


def _timed(do: Callable[[], _Result]) -> tuple[float, _Result]:
    start_s = time.thread_time()
    result = do()
    return time.thread_time() - start_s, result


def _memory_mb() -> float:
    """What the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _watch(number: int) -> Watch:
    return Watch(
        key=f"near-{number}/tag-{number}/phone-{number}",
        condition_id=f"near-{number}",
        condition="proximity",
        order_id=f"order-{number}",
        agency=AGENCY,
        profile="default",
        wearer=f"he-{number}",
        protected=f"she-{number}",
        tag=f"tag-{number}",
        handset=f"phone-{number}",
        notify=(f"phone-{number}",),
    )


def _bearer_of(device: str) -> Bearer:
    number = device.rpartition("-")[2]
    return Bearer(
        device=device,
        kind="handset",
        person=f"she-{number}",
        role="protected",
        fix_interval_s=60.0,
        agencies=(AGENCY,),
        notify=(device,),
    )


def _transition(number: int, level: Level, at_us: int) -> Transition:
    return Transition(
        watch=f"near-{number}/tag-{number}/phone-{number}",
        number=1,
        level=level,
        previous=Level.CLEAR,
        onset_us=at_us,
        decided_at_us=at_us,
        distance_m=120.0,
        distance_low_m=100.0,
        distance_high_m=140.0,
        probability=0.98,
        time_to_contact_s=float("inf"),
        fix_time_a_us=at_us,
        fix_time_b_us=at_us,
        swept=False,
    )
