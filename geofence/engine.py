"""The engine: fixes and the passing of time in, changes of level out.

It holds the state of every track and watch in two arrays and runs the passes of
`geofence.passes` over them. The cost of `update` grows with the fixes and with the watches of the
devices they come from, never with the size of the plan; `sweep`, `swap`, `snapshot` and
`picture` go over everything.

What it decides depends on the sequence of calls and on nothing else: not on the clock, and not on
how fixes are split into batches with the same `now_us`. An engine is not to be used by two
threads at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_keeper import AnomalyKeeper, Columns
from geofence.away import Away, away
from geofence.carry import carry
from geofence.distance import geodesics_m, to_cartesians_m
from geofence.fingerprint import fingerprints
from geofence.layout import Layout, lay_out
from geofence.levels import Level, Transition
from geofence.memory import RowArray, as_row
from geofence.naming import closing_transition, named_transition, shown_level
from geofence.passes import (
    CHANGE_DTYPE,
    ChangeArray,
    measure_where,
    take_fixes,
    take_plan,
    take_sighting,
)
from geofence.picture import Picture, TrackPicture, take_picture, take_tracks
from geofence.plan import Companions, IntArray, Pairs, Plan, ZoneKind, Zones
from geofence.rules import DEFAULT_RULES, Rules
from geofence.snapshot import Retired, Snapshot, decode_snapshot, encode_snapshot
from geofence.sweeps import take_times
from geofence.track import Mark, MarkArray, TrackArray, new_scratch, new_tracks
from geofence.watch import WatchArray, new_watches

__all__ = ["Engine", "Mark", "Picture", "Rules", "Update", "warm_up"]

CHANGE_BUFFER = 4096
"""Changes of level a pass writes before they are fetched; more only costs another call."""

RETIRED_LIMIT = 100_000
"""Watches gone from the plan that are remembered; the longest gone are forgotten first."""


@dataclass(frozen=True, slots=True)
class Update:
    """What a batch of fixes led to.

    Attributes:
        transitions: In the order of the fixes; for one fix, pairs before zones.
        marks: (n,) values of `Mark`, one for each fix: what became of it.
        oddities: (n,) values of `Oddity`, one for each fix: what is odd about it.
        anomalies: What is wrong with devices and no longer is, in the order of the fixes.
    """

    transitions: list[Transition]
    marks: MarkArray
    oddities: MarkArray
    anomalies: list[AnomalyChange]


class Engine:
    """Watches over everything in one plan.

    Args:
        plan: What to watch.
        now_us: The instant from which devices can be heard.
        rules: Parameters; they hold for the life of the engine.

    Raises:
        ValueError: The plan contradicts itself (see `geofence.layout.lay_out`).
    """

    def __init__(self, plan: Plan, *, now_us: int, rules: Rules = DEFAULT_RULES) -> None:
        self.rules = rules
        self._limits = as_row(rules.limits())
        self._plan = plan
        self._keys = plan.watch_keys
        self._layout = lay_out(plan)
        self._asked = fingerprints(plan, self._layout)
        self._scratch = as_row(new_scratch())
        self._tracks = new_tracks(len(plan.tracks), listening_us=now_us)
        self._watches = new_watches(len(plan.watch_keys))
        self._keeper = AnomalyKeeper(plan, rules)
        self._changes = self._buffer()
        self._retired: dict[str, Retired] = {}

    @property
    def plan(self) -> Plan:
        """The plan in force; `swap` puts another in its place."""
        return self._plan

    def update(
        self,
        track: IntArray,
        time_us: IntArray,
        lat_e7: IntArray,
        lon_e7: IntArray,
        accuracy_cm: IntArray,
        *,
        now_us: int,
    ) -> Update:
        """Take fixes in the order of their arrival.

        Args:
            track: (n,) index in `plan.tracks`; below 0 for a device that is not watched.
            time_us: (n,) fix times.
            lat_e7: (n,) latitudes in 1e-7 degrees.
            lon_e7: (n,) longitudes in 1e-7 degrees.
            accuracy_cm: (n,) radius of 68 %; 0 or less: unknown.
            now_us: When this is decided.

        Raises:
            ValueError: The arrays differ in length, or `track` points past the plan.
        """
        # A copy each: a read-only or strided array would be another type, and compile anew.
        given = (track, time_us, lat_e7, lon_e7, accuracy_cm)
        fixes = Columns(*(np.array(column, np.int64) for column in given))
        size = fixes.track.size
        if any(column.shape != (size,) for column in fixes):
            raise ValueError("the columns of a batch must be flat and of one length")
        if fixes.track.max(initial=-1) >= len(self._plan.tracks):
            raise ValueError("a fix points past the tracks of the plan")
        marks, places = np.zeros(size, np.uint8), self._keeper.places(size)
        fix_m = np.empty((3, size))
        to_cartesians_m(fixes.lat_e7, fixes.lon_e7, fix_m)

        def step(start: int) -> tuple[int, int]:
            return take_fixes(
                *self._arrays(), *fixes, fix_m, now_us, start, marks, places, self._changes
            )

        transitions = self._run(step, size, now_us, swept=False)
        return Update(transitions, marks, *self._keeper.take(fixes, fix_m, marks, places, now_us))

    def sweep(self, now_us: int) -> list[Transition]:
        """Let time pass: what has grown too old to be sure of, and what has been calm for long."""
        return self.sweep_through(range(now_us, now_us + 1))[1]

    def sweep_through(self, instants: range) -> tuple[int, list[Transition]]:
        """Sweep at each instant until one changes something. Returns the last, and what changed."""
        size, found = self._watches.size, list[Transition]()
        at_us, start = instants[0 if size else -1], 0
        while start < size:
            at_us, start, count = take_times(
                *self._arrays(), at_us, start, instants[-1], instants.step, self._changes
            )
            found += self._named(count, at_us, swept=True)
        return at_us, found

    def due_count(self, now_us: int) -> int:
        """How many watches a sweep at that instant will look at; it passes the others by."""
        return int(np.count_nonzero(self._watches["due_us"] <= now_us))

    @property
    def due_us(self) -> int | None:
        """If no fix comes, a sweep before this instant finds nothing; None where nothing waits."""
        return int(self._watches["due_us"].min()) if self._watches.size else None

    def sight(
        self, watch: str, time_us: int, *, by: str = "", lost: bool = False, now_us: int
    ) -> list[Transition]:
        """One device of a pair hears the other's beacon: contact, whatever the satellites say.

        Args:
            watch: Key of the pair; one that is not in the plan is passed over.
            time_us: When it was heard or lost. What is older than the newest report of the same
                device changes nothing.
            by: The device that hears; by default the first of the pair. As long as one of the
                two hears the other, it counts.
            lost: It is heard no more.
            now_us: When this is decided.
        """
        keys = self._plan.pairs.keys
        if watch not in keys:
            return []
        index = keys.index(watch)
        hearer = int(by == self._plan.tracks[self._plan.pairs.b[index]])

        def step(_start: int) -> tuple[int, int]:
            count = take_sighting(
                *self._arrays(), index, hearer, time_us, lost, now_us, self._changes
            )
            return 1, count

        return self._run(step, 1, now_us, swept=False)

    def swap(self, plan: Plan, *, now_us: int) -> list[Transition]:
        """Put another plan in force.

        Devices keep their track and watches their level, by name. A watch that is gone and was
        not clear gives a transition to clear; then every watch that is new or asks something else
        is looked at, so that a zone which begins while somebody is in it is breached at once.

        Raises:
            ValueError: The plan contradicts itself; the old one stays in force.
        """
        layout, keeper = lay_out(plan), self._keeper.moved_to(plan)
        held = self._state()
        self._plan, self._layout, self._keeper = plan, layout, keeper
        self._keys = plan.watch_keys
        self._asked = fingerprints(plan, layout)
        gone, changed = self._adopt(held, now_us)
        ended = {key: one for key, one in gone.items() if one.level != Level.CLEAR}
        closing = [closing_transition(key, one, now_us) for key, one in ended.items()]
        gone |= {key: one.closed() for key, one in ended.items()}
        self._remember(gone)

        def step(start: int) -> tuple[int, int]:
            return take_plan(*self._arrays(), changed, now_us, start, self._changes)

        return closing + self._run(step, self._watches.size, now_us, swept=True)

    def forget(self, devices: Collection[str], *, now_us: int) -> None:
        """Others carry these devices from now on: where they were says nothing of them.

        Devices that are not in the plan are passed over. For the instant before a `swap`, which
        ends the watches of those who carried them.
        """
        index = [i for i, name in enumerate(self._plan.tracks) if name in devices]
        self._tracks[index] = new_tracks(len(index), listening_us=now_us)
        self._keeper.forget(index)

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`."""
        return encode_snapshot(self._state())

    @classmethod
    def restore(
        cls, data: bytes, plan: Plan, *, now_us: int, rules: Rules = DEFAULT_RULES
    ) -> Engine:
        """An engine that goes on exactly where `snapshot` was taken.

        It decides nothing by itself, so that feeding it what came after the snapshot, with the
        instants of then, repeats every decision; `now_us` counts only for devices that are new.
        When that is done, call `listen_from`, or those who could not be heard meanwhile are
        taken for silent.

        The plan may be another than the snapshot's. Watches that are gone from it give no
        transition, and what has changed is looked at with the next fix or sweep.

        Raises:
            SnapshotError: The bytes are damaged or of another version.
            ValueError: The plan contradicts itself.
        """
        held = decode_snapshot(data)
        engine = cls(plan, now_us=now_us, rules=rules)
        gone, _changed = engine._adopt(held, now_us)
        engine._remember(gone)
        kept = held.anomaly_array(), held.companion_keys, held.companion_array()
        engine._keeper.fed(held.track_ids, *kept)
        return engine

    def listen_from(self, now_us: int) -> None:
        """Nobody could be heard until now: silence is counted anew for every device."""
        self._tracks["listening_us"] = np.maximum(self._tracks["listening_us"], now_us)

    def picture(self) -> Picture:
        """How everything stands after the last call, as copies."""
        return take_picture(*self._arrays())

    def place(self, track: int) -> TrackPicture:
        """Where one device is: the row of `track` in the plan, of the tracks of `picture`."""
        return take_tracks(self._tracks[track : track + 1])

    def away(self, first: int, second: int, at_us: int) -> Away | None:
        """Which way leads from one track to another, as they stood at a decision on both just now."""
        return away(self._tracks[first], self._tracks[second], at_us)

    def anomalies(self, now_us: int) -> list[AnomalyChange]:
        """The anomalies of devices that go on, as changes that began."""
        return self._keeper.active(now_us)

    def _state(self) -> Snapshot:
        anomalies, companions = self._keeper.arrays()
        return Snapshot(
            track_ids=self._plan.tracks,
            tracks=self._tracks.tobytes(),
            watch_keys=self._plan.watch_keys,
            watches=self._watches.tobytes(),
            asked=self._asked.tobytes(),
            retired=self._retired,
            anomalies=anomalies.tobytes(),
            companion_keys=self._plan.companion_keys,
            companions=companions.tobytes(),
        )

    def _adopt(self, held: Snapshot, now_us: int) -> tuple[dict[str, Retired], NDArray[np.bool_]]:
        """Put the state of another plan under the present one.

        Returns:
            The watches that are gone; and (W,) whether each one now asks something else.
        """
        self._tracks = new_tracks(len(self._plan.tracks), listening_us=now_us)
        carry(held.track_array(), held.track_ids, self._tracks, self._plan.tracks)
        self._watches = new_watches(len(self._plan.watch_keys))
        gone = carry(held.watch_array(), held.watch_keys, self._watches, self._plan.watch_keys)
        before = dict(zip(held.watch_keys, held.fingerprints().tolist(), strict=True))
        changed = np.array(
            [
                before.get(key) != asked
                for key, asked in zip(self._plan.watch_keys, self._asked.tolist(), strict=True)
            ],
            np.bool_,
        )
        self._watches["due_us"][changed] = 0
        measure_where(*self._arrays(), changed)
        self._retired = dict(held.retired)
        for index, key in enumerate(self._plan.watch_keys):
            if (retired := self._retired.pop(key, None)) is not None:
                self._watches[index]["number"] = retired.number
                self._watches[index]["onset_us"] = retired.onset_us
        self._changes = self._buffer()
        retiring = {
            key: Retired(int(state["number"]), int(state["onset_us"]), shown_level(state))
            for key, state in gone.items()
        }
        return retiring, changed

    def _remember(self, gone: dict[str, Retired]) -> None:
        """Keep the count of watches that have one, in case they come back."""
        self._retired |= {key: retired for key, retired in gone.items() if retired.number}
        while len(self._retired) > RETIRED_LIMIT:
            del self._retired[next(iter(self._retired))]

    def _arrays(self) -> tuple[TrackArray, WatchArray, Layout, RowArray, RowArray]:
        return self._tracks, self._watches, self._layout, self._limits, self._scratch

    def _buffer(self) -> ChangeArray:
        """Room for the changes of one step of a pass at the least: every watch of one device."""
        widest = int(np.diff(self._layout.track_start).max(initial=0))
        return np.zeros(max(CHANGE_BUFFER, widest), CHANGE_DTYPE)

    def _run(
        self, step: Callable[[int], tuple[int, int]], size: int, now_us: int, *, swept: bool
    ) -> list[Transition]:
        """Repeat a pass until it has come to the end, fetching what it writes."""
        transitions: list[Transition] = []
        start = 0
        while start < size:
            start, count = step(start)
            transitions += self._named(count, now_us, swept=swept)
        return transitions

    def _named(self, count: int, now_us: int, *, swept: bool) -> list[Transition]:
        rows = self._changes[:count].tolist()
        return [named_transition(row, self._keys, now_us, swept=swept) for row in rows]


def warm_up() -> float:
    """Compile every kernel, or load it where compiled code is kept; the seconds it took."""
    began_s = time.perf_counter()
    engine = Engine(_small_plan(), now_us=0)
    column = np.zeros(2, np.int64)
    engine.update(np.array([0, 1]), column, column, column, column, now_us=0)
    engine.sweep(1)
    engine.swap(_small_plan(), now_us=2)
    engine.sight("pair", 3, now_us=3)
    Engine.restore(engine.snapshot(), _small_plan(), now_us=3).picture()
    degrees = np.zeros(1)
    geodesics_m(degrees, degrees, degrees, degrees, np.zeros(1))
    return time.perf_counter() - began_s


def _small_plan() -> Plan:
    """A pair and a circle: enough to reach every kernel."""
    first, second = np.array([0]), np.array([1])
    return Plan(
        "warm-up",
        ("a", "b"),
        Pairs(("pair",), first, second, np.array([10.0]), np.array([20.0]), np.array([30.0])),
        Zones(
            ("zone",),
            first,
            np.array([int(ZoneKind.EXCLUSION)]),
            np.array([0.0]),
            np.array([[0.0, 0.0, 10.0]]),
            np.zeros(2, np.int64),
            np.zeros(1, np.int64),
            np.zeros(0),
            np.zeros(0),
        ),
        companions=Companions(first, second),
    )
