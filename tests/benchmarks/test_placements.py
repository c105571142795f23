from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contenders import along_geodesics
from benchmarks.placements import APART, STRETCH_S, place
from geofence.plan import FloatArray
from tests.benchmarks.receivers import walk

RECORDINGS = [
    walk(f"w{i}", seed=i, length_s=length_s) for i, length_s in enumerate((100, 400, 900))
]
R = 100.0


def made(seed: int = 1, count: int = 20) -> tuple[list[object], list[FloatArray]]:
    stretches, meetings = place(RECORDINGS, along_geodesics, R, count, np.random.default_rng(seed))
    return [one.lat_deg.tolist() for one in stretches], [one.truth_m for one in meetings]


def test_they_come_as_near_as_asked() -> None:
    stretches, meetings = place(RECORDINGS, along_geodesics, R, 50, np.random.default_rng(2))
    assert len(stretches) == 100
    for number, meeting in enumerate(meetings):
        assert (meeting.a, meeting.b) == (2 * number, 2 * number + 1)
        assert meeting.end_s <= STRETCH_S
        assert meeting.truth_m.size == meeting.end_s + 1
        # At one second they are as far apart as drawn; the plane is wrong by 0.7 % at the most.
        near = (meeting.truth_m >= 0.99 * APART[0] * R) & (meeting.truth_m <= 1.01 * APART[1] * R)
        assert near.any()


def test_errors_keep_their_size() -> None:
    stretches, _ = place(RECORDINGS, along_geodesics, R, 30, np.random.default_rng(3))
    by_name = {one.name: one for one in RECORDINGS}
    for stretch in stretches:
        lat_deg, lon_deg = stretch.truth_at(stretch.time_us)
        errors_m = along_geodesics(stretch.lat_deg, stretch.lon_deg, lat_deg, lon_deg)
        whole = by_name[stretch.name]
        all_m = along_geodesics(
            whole.lat_deg, whole.lon_deg, whole.truth_lat_deg, whole.truth_lon_deg
        )
        windows = np.lib.stride_tricks.sliding_window_view(all_m, errors_m.size)
        assert np.min(np.max(np.abs(windows - errors_m), axis=1)) < 0.01 * np.max(errors_m)


def test_equal_seeds_make_equal_meetings() -> None:
    stretches, truths_m = made()
    again, truths_again_m = made()
    assert stretches == again
    assert all(np.array_equal(a, b) for a, b in zip(truths_m, truths_again_m, strict=True))
    assert made(seed=2)[0] != stretches


def test_one_recording_meets_nobody() -> None:
    with pytest.raises(ValueError, match="two recordings"):
        place(RECORDINGS[:1], along_geodesics, R, 1, np.random.default_rng(1))
