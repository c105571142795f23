from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.curve import MISSED_WORTH, PROBABILITIES, CurveReport, cost, draw_curve, run_curve
from benchmarks.encounters import Score
from tests.benchmarks.walks import encounter_rows, row, write


def curve(path: Path, placements: int = 0, seed: int = 1) -> CurveReport:
    return run_curve(path, radius_m=100.0, interval_s=5.0, placements=placements, seed=seed)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings, two of each kind, so that each half has a pair."""
    first = encounter_rows()
    second = [line.replace("stays", "sits").replace("comes", "goes") for line in first]
    rows = [line for pair in zip(first[:300], second[:300], strict=True) for line in pair]
    rows += [line for pair in zip(first[300:], second[300:], strict=True) for line in pair]
    return write(tmp_path_factory.mktemp("walks") / "walks.csv", rows)


def test_every_pair_is_watched_at_every_probability(walks: Path) -> None:
    report = curve(walks)
    assert [point.probability for point in report.points] == list(PROBABILITIES)
    assert report.shipped.probability is None
    assert (report.recordings, report.pairs, report.placements) == (4, 6, 0)
    for point in [*report.points, report.shipped]:
        assert (point.score.true, point.score.found, point.score.false) == (6, 6, 0)
    assert [(half.recordings, half.pairs) for half in report.halves] == [(2, 1), (2, 1)]
    assert [half.chosen for half in report.halves] == [max(PROBABILITIES)] * 2


def test_made_up_meetings_are_the_same_for_the_same_seed(walks: Path) -> None:
    report = curve(walks, placements=9)
    assert (report.pairs, report.placements) == (9, 9)
    assert [half.pairs for half in report.halves] == [5, 4]
    assert msgspec.json.encode(report) == msgspec.json.encode(curve(walks, placements=9))
    assert msgspec.json.encode(report) != msgspec.json.encode(curve(walks, placements=9, seed=2))


def test_two_recordings_have_no_halves(tmp_path: Path) -> None:
    report = curve(write(tmp_path / "walks.csv", encounter_rows()))
    assert (report.pairs, report.halves) == (1, [])
    with pytest.raises(ValueError, match="two recordings"):
        curve(write(tmp_path / "one.csv", [row("a", at_s, 0.0) for at_s in range(99)]), 4)


def test_a_missed_encounter_costs_more_than_a_false_alert() -> None:
    score = Score(
        true=5, found=3, false=4, reported=7, alerts_per_encounter=1.4,
        delay_p50_s=None, delay_p95_s=None,
    )  # fmt: skip
    assert cost(score) == 2 * MISSED_WORTH + 4


def test_the_curve_is_drawn(walks: Path, tmp_path: Path) -> None:
    draw_curve(tmp_path / "new" / "curve.png", curve(walks))
    assert (tmp_path / "new" / "curve.png").read_bytes().startswith(b"\x89PNG")
