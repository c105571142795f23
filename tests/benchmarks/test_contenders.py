from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contenders import START_US, alerts_of, run_encounters
from benchmarks.encounters import Spell
from geofence.levels import UNKNOWN_TIME_US, Level, Transition
from tests.benchmarks.walks import encounter_rows, row, write


def change(at_s: int, level: Level) -> Transition:
    return Transition(
        watch="0/1",
        number=1,
        previous=Level.CLEAR,
        level=level,
        onset_us=START_US,
        decided_at_us=START_US + at_s * 1_000_000,
        distance_m=0.0,
        distance_low_m=0.0,
        distance_high_m=0.0,
        probability=1.0,
        time_to_contact_s=0.0,
        fix_time_a_us=UNKNOWN_TIME_US,
        fix_time_b_us=UNKNOWN_TIME_US,
        swept=False,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(5, Level.ALERT), (9, Level.CLEAR)], [Spell(5, 9)]),
        ([(5, Level.PRE_ALERT), (7, Level.ALERT), (9, Level.PRE_ALERT)], [Spell(7, 9)]),
        ([(5, Level.ALERT), (6, Level.CONTACT), (7, Level.ALERT), (9, Level.CLEAR)], [Spell(5, 9)]),
        ([(5, Level.ALERT), (6, Level.UNKNOWN), (7, Level.ALERT), (9, Level.CLEAR)], [Spell(5, 9)]),
        ([(5, Level.ALERT), (6, Level.UNKNOWN), (8, Level.CLEAR)], [Spell(5, 8)]),
        ([(5, Level.UNKNOWN), (6, Level.CLEAR)], []),
        ([(5, Level.UNKNOWN), (6, Level.CONTACT)], [Spell(6, 20)]),
        ([(20, Level.ALERT)], [Spell(20, 20)]),
        ([(21, Level.ALERT), (22, Level.CLEAR)], []),
        ([(5, Level.ALERT), (25, Level.CLEAR)], [Spell(5, 20)]),
    ],
)
def test_an_alert_is_a_spell_of_alarm(
    changes: list[tuple[int, Level]], expected: list[Spell]
) -> None:
    assert alerts_of((change(at_s, level) for at_s, level in changes), 20) == expected


def test_all_three_find_a_plain_encounter(tmp_path: Path) -> None:
    report = run_encounters(
        write(tmp_path / "walks.csv", encounter_rows()), radius_m=100.0, interval_s=1.0
    )
    assert (report.recordings, report.pairs) == (2, 1)
    for score in (report, report.raw, report.gated):
        assert (score.true, score.found, score.false, score.reported) == (1, 1, 0, 1)
    assert report.raw.delay_p50_s == report.gated.delay_p50_s == 0
    # He leaps 380 m in a second; the engine believes that at the third fix.
    assert report.delay_p50_s == 2


def test_what_the_gate_leaves_out_the_raw_rule_reports(tmp_path: Path) -> None:
    rows = encounter_rows()
    # One wild fix each, far from the encounter: a bad confidence, none, and one that just passes.
    for at_s, confidence in ((250, 100.1), (20, "NaN"), (280, 100.0)):
        rows[300 + at_s] = row("comes", at_s, 400, fix_m=10, confidence_m=confidence, day=1)
    report = run_encounters(write(tmp_path / "walks.csv", rows), radius_m=100.0, interval_s=1.0)
    assert (report.raw.reported, report.raw.false) == (4, 3)
    assert (report.gated.reported, report.gated.false) == (2, 1)


def test_thinned_recordings_are_found_later(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    report = run_encounters(path, radius_m=100.0, interval_s=15.0)
    for score in (report, report.raw, report.gated):
        assert (score.found, score.false) == (1, 0)
    # The fix after second 100 comes at 105.
    assert report.raw.delay_p50_s == report.gated.delay_p50_s == 5
    assert report.delay_p50_s == 20


def test_less_than_a_minute_in_common_is_no_pair(tmp_path: Path) -> None:
    rows = [row(name, at_s, 0.0) for name, last_s in (("a", 300), ("b", 59), ("c", 60))
            for at_s in range(last_s + 1)]  # fmt: skip
    report = run_encounters(write(tmp_path / "walks.csv", rows), radius_m=100.0, interval_s=1.0)
    assert (report.recordings, report.pairs, report.true) == (3, 1, 1)


@pytest.mark.parametrize(
    ("radius_m", "geodesic", "true", "raw", "gated"),
    [
        (100.0, False, 48, (48, 623, 28), (380, 26)),
        (500.0, False, 90, (90, 361, 27), (135, 9)),
        (100.0, True, 48, (48, 623, 28), (380, 26)),
        (500.0, True, 90, (90, 360, 31), (134, 11)),
    ],
)
def test_the_published_figures_of_the_plain_rules(
    data_dir: Path,
    radius_m: float,
    geodesic: bool,  # noqa: FBT001 - a parameter of the test
    true: int,
    raw: tuple[int, int, int],
    gated: tuple[int, int],
) -> None:
    path = data_dir / "oxford_walks" / "fixes_truth_dev.csv"
    report = run_encounters(path, radius_m=radius_m, interval_s=1.0, geodesic=geodesic)
    assert report.true == report.raw.true == report.gated.true == true
    assert (report.raw.found, report.raw.reported, report.raw.false) == raw
    assert (report.gated.reported, report.gated.false) == gated
    assert report.raw.delay_p50_s == 0
    assert report.raw.delay_p95_s is not None
    assert report.raw.delay_p95_s <= 4
    # What no later version may give up.
    assert report.found == true
    assert report.reported <= 1.05 * true
    assert report.false < report.gated.false
