"""Stays in zones: how they are scored, on hand-made tracks along a street of wards."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.encounters import Spell
from benchmarks.zones import STAY_S, Outcome, judge, read_areas, run_zones, stays
from cordon.errors import CordonError
from simulators.recording import TrackError
from tests.benchmarks.test_bench_commands import run
from tests.benchmarks.walks import DEGREE_M, LON, row, write


def collection(*geometries: object) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": features}


def wards(path: Path, count: int = 3, high_m: float = 1_000.0) -> Path:
    """Wards from south to north across the street, the first from -500 m to 500 m."""
    squares = []
    for number in range(count):
        south, north = ((number + k) * high_m - 500 for k in (0, 1))
        ring = [(-0.01, south), (0.01, south), (0.01, north), (-0.01, north), (-0.01, south)]
        coordinates = [[[LON + lon, at_m / DEGREE_M] for lon, at_m in ring]]
        squares.append({"type": "Polygon", "coordinates": coordinates})
    path.write_text(json.dumps(collection(*squares)))
    return path


def outcome(reported: Sequence[tuple[int, int]], true: Sequence[tuple[int, int]]) -> Outcome:
    return judge([Spell(*one) for one in reported], [Spell(*one) for one in true])


def test_a_stay_reported_once_is_found_with_its_delay() -> None:
    assert outcome([(103, 210)], [(100, 200)]) == Outcome(1, 0, 0, 1, 0, (3,))


def test_thirty_seconds_are_long_and_twenty_nine_are_not() -> None:
    assert STAY_S == 30
    assert outcome([], [(10, 39)]).true == 1
    assert outcome([], [(10, 38)]) == Outcome(0, 1, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("report", "found", "false"),
    [
        ((0, 69), 0, 1),
        ((0, 70), 0, 0),  # 30 s before it: not false, but not found either
        ((0, 99), 0, 0),
        ((0, 100), 1, 0),
        ((200, 210), 1, 0),
        ((230, 240), 1, 0),
        ((231, 240), 0, 1),
    ],
)
def test_how_near_a_report_must_be(report: tuple[int, int], found: int, false: int) -> None:
    one = outcome([report], [(100, 200)])
    assert (len(one.delays_s), one.false) == (found, false)


def test_a_stay_reported_in_pieces_is_found_once_and_counts_every_piece() -> None:
    assert outcome([(90, 110), (115, 150), (160, 205)], [(100, 200)]) == Outcome(
        1, 0, 0, 3, 0, (-10,)
    )


def test_one_report_may_bridge_two_stays() -> None:
    assert outcome([(100, 400)], [(100, 200), (300, 400)]) == Outcome(2, 0, 0, 1, 0, (0, -200))


def test_a_short_stay_is_neither_required_nor_false_when_reported() -> None:
    assert outcome([], [(100, 110)]) == Outcome(0, 1, 0, 0, 0, ())
    assert outcome([(105, 120)], [(100, 110)]) == Outcome(0, 1, 0, 1, 1, ())


def test_a_short_stay_excuses_one_report_and_no_more() -> None:
    assert outcome([(95, 101), (104, 106), (109, 120)], [(100, 110)]).excused == 1
    # Two short ones within 30 s of each other excuse one each, also when both touch both.
    assert outcome([(95, 101), (124, 130)], [(100, 110), (120, 125)]).excused == 2


def test_a_report_that_touches_a_long_stay_needs_no_excuse() -> None:
    assert outcome([(195, 260)], [(100, 200), (250, 255)]) == Outcome(1, 1, 0, 1, 0, (95,))


SPELLS = st.lists(st.integers(0, 600), max_size=16, unique=True).map(
    lambda ends: [Spell(*pair) for pair in zip(*[iter(sorted(ends))] * 2, strict=False)]
)


@given(SPELLS)
def test_the_truth_itself_scores_full_marks(true: list[Spell]) -> None:
    one = judge(true, true)
    assert len(one.delays_s) == one.true
    assert one.false == 0
    assert one.true <= one.reported - one.excused
    assert all(delay_s <= 0 for delay_s in one.delays_s)


@given(SPELLS, SPELLS)
def test_as_the_rules_read_second_by_second(reported: list[Spell], true: list[Spell]) -> None:
    one = judge(reported, true)
    during = [set(range(stay.start_s, stay.end_s + 1)) for stay in true]
    long = [seconds for seconds in during if len(seconds) >= 30]
    around = [set(range(report.start_s - 30, report.end_s + 31)) for report in reported]
    found = sum(
        any(
            seconds & set(range(report.start_s, report.end_s + 1))
            or max(seconds) < report.start_s <= max(seconds) + 30
            for report in reported
        )
        for seconds in long
    )
    assert (one.true, len(one.delays_s)) == (len(long), found)
    assert one.short == len(during) - len(long)
    assert one.false == sum(not any(near & seconds for seconds in during) for near in around)
    short_only = [near for near in around if not any(near & seconds for seconds in long)]
    assert one.excused <= min(one.short, len(short_only) - one.false)


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5))
def test_stays_are_the_runs_of_true(inside: list[bool], more_s: int) -> None:
    found = stays(np.array(inside, bool), np.arange(len(inside)), len(inside) - 1)
    covered = [second for stay in found for second in range(stay.start_s, stay.end_s + 1)]
    assert covered == [second for second, one in enumerate(inside) if one]
    assert all(a.end_s + 1 < b.start_s for a, b in itertools.pairwise(found))
    # What holds at the last second known holds until the end.
    longer = stays(np.array(inside, bool), np.arange(len(inside)), len(inside) - 1 + more_s)
    if inside and inside[-1]:
        assert longer[-1].end_s == len(inside) - 1 + more_s
    else:
        assert longer == found


def test_a_walk_through_three_wards(tmp_path: Path) -> None:
    # 5 m/s north, from the middle of the first ward to beyond the middle of the third.
    track = write(tmp_path / "walk.csv", [row("a", at_s, 5.0 * at_s) for at_s in range(500)])
    report = run_zones(track, wards(tmp_path / "wards.json"))
    assert (report.recordings, report.zones) == (1, 3)
    assert (report.true_changes, report.raw_changes, report.short) == (2, 2, 0)
    for score in (report, report.raw, report.gated):
        assert (score.true, score.found, score.false, score.reported) == (3, 3, 0, 3)
        assert score.reported_per_true == 1
    assert report.raw.delay_p95_s == 0


def test_a_wild_fix_is_a_false_stay_unless_the_gate_leaves_it_out(tmp_path: Path) -> None:
    rows = [row("a", at_s, 0.0) for at_s in range(300)]
    for at_s, confidence in ((100, 5.0), (200, 150.0), (250, "NaN")):
        rows[at_s] = row("a", at_s, 0.0, fix_m=1_000.0, confidence_m=confidence)
    report = run_zones(write(tmp_path / "walk.csv", rows), wards(tmp_path / "wards.json"))
    assert (report.true_changes, report.raw_changes) == (0, 6)
    # Each takes him out of his ward, too, which breaks the stay into pieces.
    assert (report.raw.true, report.raw.false, report.raw.reported) == (1, 3, 7)
    assert (report.gated.true, report.gated.false, report.gated.reported) == (1, 1, 3)
    assert report.raw.reported_per_true == 7


def test_a_step_over_the_boundary_is_a_short_stay(tmp_path: Path) -> None:
    rows = [row("a", at_s, 560.0 if 100 <= at_s < 120 else 440.0) for at_s in range(300)]
    report = run_zones(write(tmp_path / "walk.csv", rows), wards(tmp_path / "wards.json"))
    # Two long stays in the first ward, before and after, and a short one in the second.
    assert (report.raw.true, report.short) == (2, 1)
    assert (report.raw.found, report.raw.false) == (2, 0)
    assert (report.raw.reported, report.raw.excused) == (3, 1)
    assert report.raw.reported_per_true == 1
    assert (report.found, report.false) == (2, 0)


def test_zones_across_the_antimeridian(tmp_path: Path) -> None:
    area = wards(tmp_path / "wards.json", count=1)
    value = json.loads(area.read_text())
    ring = value["features"][0]["geometry"]["coordinates"][0]
    value["features"][0]["geometry"]["coordinates"] = [
        [[179.999 if lon < LON else -179.99, lat] for lon, lat in ring]
    ]
    area.write_text(json.dumps(value))
    lines = [row("a", at_s, 0.0) for at_s in range(100)]
    moved = [line.replace(f",{LON},5.0,", ",-179.999,5.0,")[:-4] + ",-179.999,0" for line in lines]
    report = run_zones(write(tmp_path / "walk.csv", moved), area)
    assert (report.true, report.found, report.raw.found) == (1, 1, 1)


def test_fixes_can_be_thinned(tmp_path: Path) -> None:
    track = write(tmp_path / "walk.csv", [row("a", at_s, 7.0 * at_s) for at_s in range(500)])
    report = run_zones(track, wards(tmp_path / "wards.json"), interval_s=15.0)
    assert report.raw.found == report.true == 3
    # Entered at 0, 72 and 215 s, seen at 0, 75 and 225 s.
    assert (report.raw.delay_p50_s, report.interval_s) == (3, 15)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "FeatureCollection"),
        ("[]", "FeatureCollection"),
        ('{"features": [1]}', "FeatureCollection"),
        (json.dumps(collection(None)), "feature 0"),
        (json.dumps(collection({"type": "Point", "coordinates": [0, 0]})), "expected Polygon"),
    ],
)
def test_a_file_without_areas_is_refused(tmp_path: Path, value: str, message: str) -> None:
    path = tmp_path / "areas.json"
    path.write_text(value)
    with pytest.raises(TrackError, match=message):
        read_areas(path)


def test_the_command_prints_one_object_or_a_table(tmp_path: Path) -> None:
    track = write(tmp_path / "walk.csv", [row("a", at_s, 5.0 * at_s) for at_s in range(500)])
    words = ("bench", "zones", "--tracks", track, "--zones", wards(tmp_path / "wards.json"))
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    report = msgspec.json.decode(result.stdout)
    assert report.keys() > {"true", "found", "false", "reported", "reported_per_true", "raw"}
    assert report["raw"].keys() == report["gated"].keys() < report.keys()
    assert (report["true"], report["found"], report["false"]) == (3, 3, 0)
    lines = run(*words).stdout.splitlines()
    assert "1 recordings, 3 zones, a fix every 1 s; 2 true changes, 2 by the last fix" in lines[0]
    assert [line.split()[:3] for line in lines[2:]] == [
        [name, "3", "3"] for name in ("engine", "raw", "gated")
    ]


def test_zones_of_elsewhere_are_said_to_be_useless(tmp_path: Path) -> None:
    track = write(tmp_path / "walk.csv", [row("a", at_s, 50_000.0) for at_s in range(100)])
    result = run("bench", "zones", "--tracks", track, "--zones", wards(tmp_path / "wards.json"))
    assert isinstance(result.exception, CordonError)
    assert "nothing to score" in str(result.exception)


def test_the_wards_of_the_oxford_walks(data_dir: Path) -> None:
    report = run_zones(
        data_dir / "oxford_walks" / "fixes_truth_dev.csv",
        data_dir / "polygons" / "wards" / "wards_E07000178.json",
    )
    assert (report.recordings, report.zones) == (13, 24)
    assert (report.true_changes, report.raw_changes) == (155, 2172)
    assert (report.true, report.short) == (96, 68)
    raw, gated = report.raw, report.gated
    assert (raw.found, raw.false, raw.reported, raw.excused) == (96, 407, 2084, 47)
    assert (gated.found, gated.false, gated.reported, gated.excused) == (96, 365, 1925, 47)
    # What no later version may give up.
    assert report.found == report.true
    assert report.false < 0.4 * report.true
    assert report.reported_per_true is not None
    assert report.reported_per_true <= 1.2
