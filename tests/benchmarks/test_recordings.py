from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.recordings import SECOND_US, read_recordings, thinned
from simulators.csv_tracks import RADIUS_68_PER_50
from simulators.recording import TrackError
from tests.benchmarks.walks import DEGREE_M, HEADER, row, write


def test_clocks_start_with_the_first_row_that_has_a_truth(tmp_path: Path) -> None:
    rows = [row("a", 0, None), row("a", 7, 10.0), row("b", 0, 1.0), row("a", 9, 30.0, fix_m=33.0)]
    a, b = read_recordings(write(tmp_path / "walks.csv", rows))
    assert (a.name, a.time_us.tolist(), a.whole_s) == ("a", [0, 2 * SECOND_US], 2)
    assert a.lat_deg * DEGREE_M == pytest.approx([10.0, 33.0], abs=1e-3)
    assert a.accuracy_m.tolist() == [5.0 * RADIUS_68_PER_50] * 2
    lat_deg, _ = a.truth_at(np.array([0, SECOND_US, 2 * SECOND_US]))
    assert lat_deg * DEGREE_M == pytest.approx([10.0, 20.0, 30.0], abs=1e-3)
    assert b.time_us.tolist() == [0]


def test_rows_are_taken_in_order_of_fix_time_and_held(tmp_path: Path) -> None:
    rows = [row("a", at_s, at_s) for at_s in (0, 3, 1.5, 4)]
    (a,) = read_recordings(write(tmp_path / "walks.csv", rows))
    assert (a.time_us / SECOND_US).tolist() == [0, 1.5, 3, 4]
    assert a.held(np.arange(5) * SECOND_US).tolist() == [0, 0, 1, 2, 3]


def test_the_truth_crosses_the_antimeridian_the_short_way(tmp_path: Path) -> None:
    head = "id,time,lat,lon,confidence_50pct_m,truth_lat,truth_lon"
    path = tmp_path / "walks.csv"
    path.write_text(
        f"{head}\na,2026-03-01T09:00:00Z,0,180,5,0,179.999\na,2026-03-01T09:00:02Z,0,180,5,0,-179.999\n"
    )
    _, lon_deg = read_recordings(path)[0].truth_at(np.array([SECOND_US]))
    assert lon_deg % 360 == pytest.approx([180.0])


def test_thinned_keeps_the_first_fix_of_each_interval_and_all_of_the_truth(tmp_path: Path) -> None:
    times_s = [0, 1.02, 1.98, 3, 4, 4.96, 6, 7, 8, 9, 14.97, 16]
    path = write(tmp_path / "walks.csv", [row("a", at_s, at_s) for at_s in times_s])
    (a,) = read_recordings(path)
    five = thinned(a, 5)
    assert (five.time_us / SECOND_US).tolist() == [0, 4.96, 14.97]
    assert (five.lat_deg * DEGREE_M).tolist() == pytest.approx([0, 4.96, 14.97], abs=1e-3)
    assert five.whole_s == 16
    assert thinned(a, 1) is a


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the header has no truth_lat and no truth_lon"),
        ("id,time,lat,lon,confidence_50pct_m,truth_lat\n", "has no truth_lon"),
        ("id,time,lat,lon,truth_lat,truth_lon\n", "confidence_50pct_m"),
        (f"{HEADER}\n{row('a', 0, None)}\n", "no rows"),
        (f"{HEADER}\n{row('a', 0, None)}\n{row('a', 1, 1.0).replace(',5.0,', ',x,')}\n", "line 3"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "walks.csv"
    path.write_text(text)
    with pytest.raises(TrackError, match=said):
        read_recordings(path)
