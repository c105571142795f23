from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.distance import FAR_M, PAIRS_LEAST, WGS84, known_errors_m, random_ends, run_distance
from simulators.recording import TrackError


def test_random_pairs_are_spread_and_repeatable() -> None:
    ends = random_ends(2000)
    assert all(np.array_equal(a, b) for a, b in zip(ends, random_ends(2000), strict=True))
    lat1, lon1, lat2, lon2 = ends
    distance_m = np.asarray(WGS84.inv(lon1, lat1, lon2, lat2)[2])
    assert distance_m.max() <= FAR_M + 1e-6
    assert np.histogram(distance_m, 10, (0, FAR_M))[0].min() > 100
    assert np.histogram(lon1, 4, (-180, 180))[0].min() > 400
    assert 0.45 < np.mean(np.abs(lat1) < 30) < 0.55  # half of the Earth's area


def line(lat: float, lon: float, azimuth: float, length_m: float, *, off_m: float = 0.0) -> str:
    lon2, lat2, _ = WGS84.fwd(lon, lat, azimuth, length_m)
    return f"{lat} {lon} {azimuth} {lat2!r} {lon2!r} 0 {length_m + off_m} 0 0 0\n"


def test_a_wrong_distance_is_an_error_of_that_size(tmp_path: Path) -> None:
    path = tmp_path / "geodesics.dat"
    path.write_text(line(10, 20, 30, 5_000) + line(50, 1, 200, 3_000_000))
    error_m, count = known_errors_m(path)
    assert (error_m < 1e-3, count) == (True, 2)
    path.write_text(line(10, 20, 30, 5_000, off_m=0.5) + line(50, 1, 200, 3_000_000, off_m=9.0))
    error_m, count = known_errors_m(path)
    assert error_m == pytest.approx(0.5, abs=1e-3)
    assert count == 2


@pytest.mark.parametrize("text", ["", "1 2 3\n", "a b c d e f g h i j\n", "1 2\n1 2 3\n",
                                  "0 0 0 0 0 0 nan 0 0 0\n"])  # fmt: skip
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "geodesics.dat"
    path.write_text(text)
    with pytest.raises(TrackError, match="GeodTest"):
        known_errors_m(path)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        run_distance(None, pairs=PAIRS_LEAST - 1)


def test_against_pyproj_and_karneys_geodesics(data_dir: Path) -> None:
    path = data_dir / "geodesic" / "geodtest_odd.dat.gz"
    report = run_distance(path, pairs=PAIRS_LEAST)
    assert report.pairs == PAIRS_LEAST + 5000
    assert report.file_pairs == 5000
    assert 0 < report.max_error_m <= 0.001
    assert report.ns_per_pair > 0
    assert report.geod_ns_per_pair > 0
    assert report.ratio == pytest.approx(report.geod_ns_per_pair / report.ns_per_pair, rel=0.01)
