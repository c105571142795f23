"""What the anomalies make of recorded devices, honest as they are and with a fault put into them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from geofence.anomalies import Anomaly, Oddity, new_anomalies, note_fix
from geofence.anomaly_rules import DEFAULT_ANOMALY_RULES
from geofence.anomaly_state import AnomalyArray
from geofence.companions import new_companions, note_companions
from geofence.levels import UNKNOWN_TIME_US
from geofence.proximity import SIGMAS_PER_R68
from tests.geofence import recordings
from tests.geofence.anomaly_twin import written_and_read
from tests.geofence.recordings import Recording, Row, make_row

LIMITS = DEFAULT_ANOMALY_RULES.limits()
CAR = "car_scooter_brex_san_jose"
STILL = ["sfba_hf_calibration_stationary_only", "sfba_med_freq_calibration_stationary_only"]
MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Run:
    state: AnomalyArray
    active: NDArray[np.int64]
    odd: NDArray[np.int64]

    def number(self, kind: Anomaly) -> int:
        return int(self.state[0]["number"][kind])


def run(rows: list[Row]) -> Run:
    state = new_anomalies(1)
    found = [
        note_fix(state, 0, row.time_us, *row.place, row.radius_m, row.received_us, LIMITS)
        for row in rows
    ]
    active, odd = np.array(found, np.int64).T
    return Run(state, active, odd)


@pytest.mark.parametrize(
    ("load", "most_odd"),
    [
        pytest.param(recordings.liverpool_buses, 0, id="liverpool_buses"),
        # One bus that was for one fix on the other side of the town.
        pytest.param(recordings.austin_buses, 2, id="austin_buses"),
        pytest.param(recordings.bicycle, 0, id="bicycle"),
        pytest.param(lambda folder: recordings.phones(folder, CAR), 0, id="phones in cars"),
        pytest.param(lambda folder: recordings.phones(folder, STILL[0]), 0, id="phones still"),
        pytest.param(lambda folder: recordings.phones(folder, STILL[1]), 0, id="phones at rest"),
    ],
)
def test_honest_devices_have_no_anomaly(
    data_dir: Path, load: Callable[[Path], Recording], most_odd: int
) -> None:
    odd = 0
    for name, rows in load(data_dir).items():
        found = run(rows)
        assert not found.active.any(), name
        odd += int(np.count_nonzero(found.odd))
    assert odd <= most_odd


@pytest.fixture(scope="module")
def walks(data_dir: Path) -> Recording:
    return recordings.walks(data_dir)


@pytest.mark.parametrize(("step_s", "least_marked"), [(1, 0.97), (5, 0.85)])
def test_errors_of_kilometres_are_marked_and_good_fixes_are_not(
    walks: Recording, step_s: int, least_marked: float
) -> None:
    wild = marked = 0
    for name, rows in walks.items():
        thinned = rows[::step_s]
        found = run(thinned)
        assert not found.active.any(), name
        error_m = np.array([row.error_m for row in thinned])
        assert not (found.odd[error_m < 300] != Oddity.NONE).any()
        wild += int(np.count_nonzero(error_m > 1000))
        marked += int(np.count_nonzero((error_m > 1000) & (found.odd == Oddity.IMPLAUSIBLE)))
    assert marked >= least_marked * wild > 0


def test_unpadded_minutes_of_phones_in_cars_are_found(data_dir: Path) -> None:
    """They begin at 122 deg 04.8' west, where the minutes are damaged, and drive out of it."""
    damaged = 0
    for name, rows in recordings.phones(data_dir, CAR).items():
        read = [
            row if (lon := written_and_read(row.lon)) is None else row._replace(lon=lon)
            for row in rows
        ]
        found = run(read)
        wrong = np.array([a.lon != b.lon for a, b in zip(rows, read, strict=True)])
        first_sound = np.flatnonzero(~wrong)[0]
        expected = np.where(wrong, Oddity.MINUTES, Oddity.NONE)
        assert found.odd[first_sound:].tolist() == expected[first_sound:].tolist(), name
        assert not (found.active & ~Anomaly.MINUTES.bit).any(), name
        assert 1 <= found.number(Anomaly.MINUTES) <= 3, name
        damaged += int(np.count_nonzero(wrong[first_sound:]))
    assert damaged > 5000


def aligned(rows: list[Row], start_us: int) -> list[Row]:
    shift_us = start_us - rows[0].time_us
    return [
        row._replace(time_us=row.time_us + shift_us, received_us=row.received_us + shift_us)
        for row in rows
    ]


def test_a_walk_and_a_ride_under_one_identity_are_a_clone(walks: Recording, data_dir: Path) -> None:
    walk = walks["w03"]
    ends_us = walk[-1].time_us
    for ride in recordings.bicycle(data_dir).values():
        other = [row for row in aligned(ride, walk[0].time_us + 100_000) if row.time_us < ends_us]
        found = run(sorted([*walk, *other], key=lambda row: row.received_us))
        assert found.number(Anomaly.CLONE) == 1
        assert found.active[-1] == Anomaly.CLONE.bit
        assert found.state[0]["onset_us"][Anomaly.CLONE] - walk[0].time_us < MINUTE_US


def test_a_walk_that_freezes_and_one_that_sends_gps_time(walks: Recording) -> None:
    walk = walks["c00"]
    frozen = [*walk[:600], *(row._replace(lat=51.7, lon=-1.2) for row in walk[600:])]
    found = run(frozen)
    assert found.number(Anomaly.FROZEN) == 1
    assert found.state[0]["onset_us"][Anomaly.FROZEN] == walk[600].time_us
    ahead = run([row._replace(time_us=row.time_us + 18_000_000) for row in walk])
    assert ahead.active[-1] == Anomaly.CLOCK_GPS.bit
    assert ahead.number(Anomaly.CLOCK_GPS) == 1


def test_a_flush_of_ten_positions_under_one_time_stamp_is_nothing(data_dir: Path) -> None:
    file = data_dir / "payloads" / "owntracks_android_issue317.jsonl"
    rows = [
        make_row(one["tst"], one["lat"], one["lon"], one["acc"], one["tst"] + 600)
        for one in map(json.loads, file.read_text().splitlines())
    ]
    found = run(rows)
    assert not found.active.any()


def stay_behind(worn: list[Row], carried: list[Row]) -> tuple[int, int]:
    """How often, and the last onset."""
    state = new_companions(1)
    events = sorted(
        [(row.time_us, 0, row) for row in worn] + [(row.time_us, 1, row) for row in carried]
    )
    places, sigmas, times = np.zeros((2, 3)), np.zeros(2), [UNKNOWN_TIME_US] * 2
    for time_us, which, row in events:
        if time_us <= times[which]:
            continue
        places[which], sigmas[which] = row.place, row.radius_m * SIGMAS_PER_R68
        times[which] = time_us
        note_companions(
            state, 0, places[0], sigmas[0], times[0], places[1], sigmas[1], times[1], LIMITS
        )
    return int(state[0]["number"]), int(state[0]["onset_us"])


def test_receivers_on_one_bicycle_and_phones_in_one_car_never_part(data_dir: Path) -> None:
    for a, b in combinations(recordings.bicycle(data_dir).values(), 2):
        assert stay_behind(a, b)[0] == 0
    cars = recordings.phones(data_dir, CAR)
    trips = [
        (a, b)
        for a, b in combinations(cars.values(), 2)
        if min(a[-1].time_us, b[-1].time_us) - max(a[0].time_us, b[0].time_us) > 5 * MINUTE_US
    ]
    assert len(trips) > 10
    for a, b in trips:
        assert stay_behind(a, b)[0] == 0


def test_a_tag_left_where_a_walk_begins_stays_behind(walks: Recording) -> None:
    rng = np.random.default_rng(3)
    for name in ("c00", "c03", "w06"):
        walk = walks[name]
        start_us, home = walk[0].time_us, walk[0]
        still = [
            home._replace(
                time_us=start_us + second * 1_000_000,
                lat=home.lat + rng.normal(0, 1e-4),
                lon=home.lon + rng.normal(0, 1e-4),
                radius_m=20.0,
            )
            for second in range(-600, 600)
        ]
        number, onset_us = stay_behind(still, [*still[:600:15], *walk])
        assert number == 1
        assert 0 < onset_us - start_us < 4 * MINUTE_US
