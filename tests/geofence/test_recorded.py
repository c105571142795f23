"""The engine on buses and phones as they were recorded: order, delay, chatter, restart."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from geofence.engine import Engine, Mark
from geofence.evidential import Fixes, find, retrospective
from geofence.levels import Level, Transition
from geofence.plan import IntArray, Plan
from geofence.snapshot import decode_snapshot
from tests.geofence.plans import S, comparable, make_pairs
from tests.geofence.recordings import (
    UNKNOWN_RADIUS_M,
    Recording,
    austin_buses,
    liverpool_buses,
    phones,
)

ALARMS = frozenset({Level.ALERT, Level.CONTACT})
MINUTE_US = 60 * S
HOUR_US = 60 * MINUTE_US
TICK_S = 5
PAIRS = 300


@dataclass(frozen=True)
class Scene:
    """Devices on one clock, some pairs of them, and their fixes in order of arrival."""

    plan: Plan
    fixes: Fixes
    received_us: IntArray
    from_us: int
    to_us: int


def make_scene(recording: Recording, *, from_us: int, hours: float) -> Scene:
    """Every two devices of a recording are a pair, of very many `PAIRS`."""
    names = tuple(recording)
    ends = list(itertools.combinations(range(len(names)), 2))
    if len(ends) > PAIRS:
        ends = [ends[i] for i in np.random.default_rng(6).permutation(len(ends))[:PAIRS].tolist()]
    pairs = make_pairs(*((f"{names[a]}/{names[b]}", a, b) for a, b in ends))
    to_us = from_us + round(hours * HOUR_US)
    rows = [
        (
            track,
            row.time_us,
            round(row.lat * 1e7),
            round(row.lon * 1e7),
            -1 if row.radius_m == UNKNOWN_RADIUS_M else round(row.radius_m * 100),
            row.received_us,
        )
        for track, name in enumerate(names)
        for row in recording[name]
        if from_us <= row.time_us <= to_us
    ]
    columns = np.array(sorted(rows, key=lambda row: row[5]), np.int64).T
    return Scene(Plan("recorded", names, pairs), Fixes(*columns[:5]), columns[5], from_us, to_us)


def beginning_us(recording: Recording) -> int:
    return min(row.time_us for rows in recording.values() for row in rows)


@pytest.fixture(scope="module")
def austin(data_dir: Path) -> Scene:
    """40 buses in the morning, one fix in two minutes."""
    recording = austin_buses(data_dir)
    # Those with the most fixes.
    busiest = sorted(recording, key=lambda name: (-len(recording[name]), name))[:40]
    chosen = {name: recording[name] for name in busiest}
    return make_scene(chosen, from_us=beginning_us(recording) + 6 * HOUR_US, hours=2)


@pytest.fixture(scope="module")
def liverpool(data_dir: Path) -> Scene:
    """Eight buses of one route, one fix in 24 s."""
    recording = liverpool_buses(data_dir)
    return make_scene(recording, from_us=beginning_us(recording), hours=2.5)


@pytest.fixture(scope="module")
def carried(data_dir: Path) -> Scene:
    """Phones carried together for hours, in a bag and in cars: rows out of order, and repeated."""
    recording = phones(data_dir, "car_scooter_brex_san_jose")
    day = {name: rows for name, rows in recording.items() if "1583349" in name}
    assert len(day) == 4
    return make_scene(day, from_us=beginning_us(day), hours=3)


@pytest.fixture(scope="module", params=["austin", "liverpool", "carried"])
def scene(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(request.param)
    return found


def evidential(scene: Scene, fixes: Fixes | None = None) -> list[Transition]:
    return find(
        scene.plan, fixes or scene.fixes, from_us=scene.from_us, to_us=scene.to_us, tick_s=TICK_S
    )


def chosen(scene: Scene, which: IntArray) -> Fixes:
    return Fixes(*(column[which] for column in scene.fixes))


def ticks(scene: Scene, received_us: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Instants, and the fixes received since the one before, in order of arrival."""
    order = np.argsort(received_us, kind="stable")
    start = 0
    for now_us in range(scene.from_us, scene.to_us + 10 * MINUTE_US, TICK_S * S):
        end = int(np.searchsorted(received_us[order], now_us, side="right"))
        yield now_us, order[start:end]
        start = end


def rises(transitions: Iterable[Transition]) -> dict[str, list[int]]:
    """When each watch rose to alert or contact."""
    found: dict[str, list[int]] = defaultdict(list)
    for one in transitions:
        if one.level in ALARMS and one.previous not in ALARMS:
            found[one.watch].append(one.decided_at_us)
    return found


def test_the_order_of_arrival_does_not_count(scene: Scene) -> None:
    rng = np.random.default_rng(7)
    expected = comparable(evidential(scene))
    count = scene.fixes.track.size
    for _ in range(3):
        # Each at least once, some twice or more.
        which = rng.permutation(np.r_[np.arange(count), rng.integers(0, count, count // 5)])
        assert comparable(evidential(scene, chosen(scene, which))) == expected


def run(scene: Scene, received_us: IntArray, engine: Engine | None = None) -> list[Transition]:
    """The live timeline, by when the fixes are received."""
    engine = engine or Engine(scene.plan, now_us=scene.from_us)
    transitions: list[Transition] = []
    for now_us, arrived in ticks(scene, received_us):
        transitions += engine.update(*chosen(scene, arrived), now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions


def held_back(scene: Scene) -> IntArray:
    """When fixes are received if every fifth device keeps its own for up to 20 minutes."""
    part_us = 20 * MINUTE_US
    flushed_us = -(-scene.received_us // part_us) * part_us
    return np.where(scene.fixes.track % 5 == 0, flushed_us, scene.received_us)


def test_late_and_repeated_fixes_change_nothing(scene: Scene) -> None:
    received_us = held_back(scene)
    engine = Engine(scene.plan, now_us=scene.from_us)
    newest_us = [-1] * len(scene.plan.tracks)
    for now_us, arrived in ticks(scene, received_us):
        engine.update(*chosen(scene, arrived), now_us=now_us)
        for i in arrived.tolist():
            track = int(scene.fixes.track[i])
            newest_us[track] = max(newest_us[track], int(scene.fixes.time_us[i]))
        assert engine.picture().tracks.time_us.tolist() == newest_us
        engine.sweep(now_us)
        if now_us % (5 * MINUTE_US):
            continue
        # Everything of the last hour once more.
        known = (received_us <= now_us) & (received_us > now_us - HOUR_US)
        before = decode_snapshot(engine.snapshot())
        again = engine.update(*chosen(scene, np.flatnonzero(known)), now_us=now_us)
        assert again.transitions == []
        assert {Mark.LATE, Mark.DUPLICATE}.issuperset(again.marks.tolist())
        # What is wrong with a device's fixes counts every fix; where it is and how near does not.
        after = decode_snapshot(engine.snapshot())
        assert (after.tracks, after.watches) == (before.tracks, before.watches)


def test_a_flushed_buffer_raises_nothing_for_what_is_over(austin: Scene) -> None:
    transitions = run(austin, held_back(austin))
    late = set(austin.plan.tracks[::5])
    raised = [
        one
        for one in transitions
        if one.level in ALARMS and late.intersection(one.watch.split("/"))
    ]
    assert raised
    for one in raised:
        # It rests on fixes of which the next of the same device was still to be expected.
        assert one.decided_at_us - min(one.fix_time_a_us, one.fix_time_b_us) <= 6 * MINUTE_US
    # What was over when it came is found in retrospect.
    missed = retrospective(transitions, evidential(austin))
    assert missed
    assert all(late.intersection(one.watch.split("/")) for one in missed)


def test_no_chatter(scene: Scene) -> None:
    """Never three alarms within a minute for one pair, whatever the delay."""
    for transitions in (evidential(scene), run(scene, held_back(scene))):
        found = rises(transitions)
        assert found
        for times_us in found.values():
            for first_us, third_us in zip(times_us, times_us[2:], strict=False):
                assert third_us - first_us > MINUTE_US


def test_however_batches_are_cut(scene: Scene) -> None:
    rng = np.random.default_rng(8)
    whole, cut = (Engine(scene.plan, now_us=scene.from_us) for _ in range(2))
    for now_us, arrived in ticks(scene, held_back(scene)):
        at_once = whole.update(*chosen(scene, arrived), now_us=now_us).transitions
        parts = np.split(arrived, np.sort(rng.integers(0, arrived.size + 1, 3)))
        bit_by_bit = [
            one
            for part in parts
            for one in cut.update(*chosen(scene, part), now_us=now_us).transitions
        ]
        assert comparable(bit_by_bit) == comparable(at_once)
        assert comparable(cut.sweep(now_us)) == comparable(whole.sweep(now_us))
    assert cut.snapshot() == whole.snapshot()


def test_a_restart_in_the_middle(scene: Scene) -> None:
    engine = Engine(scene.plan, now_us=scene.from_us)
    again = None
    middle_us = (scene.from_us + scene.to_us) // 2
    for now_us, arrived in ticks(scene, held_back(scene)):
        if again is None and now_us >= middle_us:
            again = Engine.restore(engine.snapshot(), scene.plan, now_us=now_us)
        batch = chosen(scene, arrived)
        expected = engine.update(*batch, now_us=now_us).transitions + engine.sweep(now_us)
        if again is not None:
            found = again.update(*batch, now_us=now_us).transitions + again.sweep(now_us)
            assert comparable(found) == comparable(expected)
    assert again is not None
    assert again.snapshot() == engine.snapshot()
