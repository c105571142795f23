from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.fit_report import calibration_table, parameter_table, score_table
from benchmarks.fit_tracks import (
    KNOBS,
    Knob,
    Sets,
    carriers,
    fit,
    mean_of,
    objective,
    run_fit,
    split,
    sums,
)
from benchmarks.tracking import sample_of
from geofence.rules import DEFAULT_RULES
from tests.benchmarks.receivers import walk


def made_up(error: float, count: int = 12) -> Sets:
    return {
        "made up": [
            sample_of(walk(f"w{i}", seed=i, length_s=60, error=error)) for i in range(count)
        ]
    }


@pytest.mark.parametrize("error", [0.3, 1.0, 2.0])
def test_a_fit_finds_how_large_the_errors_are(error: float) -> None:
    # No learning while it runs, and no error that lasts: the scale is all there is to find.
    start = replace(
        DEFAULT_RULES, noise_weight=1e6, noise_memory=1e9, drift_share=0.0, hidden_share=0.0
    )
    sets = made_up(error)
    found = fit(sets, start=start, knobs=[Knob("noise_scale", 1.3)])
    assert found.noise_scale == pytest.approx(error, rel=0.25)
    assert objective(sets, found) < objective(sets, start)
    assert fit(sets, start=start, knobs=[Knob("noise_scale", 1.3)]) == found


def test_a_knob_moves_one_number_within_bounds() -> None:
    push = Knob("push", 2.0, 1)
    moved = push.moved(DEFAULT_RULES, 2.0)
    assert moved is not None
    assert moved.push == (DEFAULT_RULES.push[0], 2 * DEFAULT_RULES.push[1], DEFAULT_RULES.push[2])
    assert (push.label, push.value(moved)) == ("push[1]", 2 * DEFAULT_RULES.push[1])
    assert Knob("tail_share", 2.0).moved(DEFAULT_RULES, 100.0) is None
    assert Knob("driving_s", 2.0, most=700.0).moved(DEFAULT_RULES, 2.0) is None
    valley = Knob("noise_scale", 1.2, along=("hidden_factor", -1.0)).moved(DEFAULT_RULES, 2.0)
    assert valley is not None
    assert valley.noise_scale == 2 * DEFAULT_RULES.noise_scale
    assert valley.hidden_factor == DEFAULT_RULES.hidden_factor / 2


def test_all_that_one_phone_recorded_is_in_one_fold() -> None:
    names = ("w0", "phone-1/leg-a", "phone-1/leg-b", "phone-2/leg-a")
    sets = {
        "all": [sample_of(walk(name, seed=1)) for name in names],
        "none": [sample_of(walk("w1", seed=2))],
    }
    assert carriers(sets) == ["phone-1", "phone-2", "w0", "w1"]
    rest, out = split(sets, frozenset({"phone-1", "w1"}))
    assert [sample.name for sample in rest["all"]] == ["w0", "phone-2/leg-a"]
    assert "none" not in rest
    assert [sample.name for sample in out["all"]] == ["phone-1/leg-a", "phone-1/leg-b"]


def test_the_report_scores_every_recording_once_where_no_fit_has_looked() -> None:
    sets = made_up(1.0, count=4)
    told: list[str] = []
    report = run_fit(sets, folds=2, tell=told.append)
    assert any("without fold 2 of 2" in step for step in told)
    (score,) = report.sets
    assert (score.recordings, score.seconds) == (4, 4 * 56)
    assert score.shipped == pytest.approx(mean_of(sums(sets["made up"], DEFAULT_RULES)))
    assert score.shipped_behind == pytest.approx(score.shipped - score.left_out)
    assert score.fitted <= score.shipped
    assert [one.name for one in report.parameters] == [knob.label for knob in KNOBS]
    assert all(one.fold_least <= one.fold_most for one in report.parameters)
    (calibration,) = report.calibration
    assert calibration.held == sorted(calibration.held)
    for header, rows in (
        parameter_table(report), score_table(report), calibration_table(report),
    ):  # fmt: skip
        assert all(len(row) == len(header) for row in rows)
