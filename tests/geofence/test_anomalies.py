"""Each kind of anomaly in a story of its own: begins, has the right onset, ends, does not chatter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from geofence.anomalies import Anomaly, Oddity, new_anomalies, note_fix
from geofence.anomaly_rules import AnomalyRules
from geofence.distance import to_cartesian_m
from tests.geofence.plans import NOW_US, Fix, S

LIMITS = AnomalyRules().limits()
RNG_SEED = 7


@dataclass(frozen=True)
class Told:
    """A begin or an end, as one who calls `note_fix` sees it."""

    kind: Anomaly
    begins: bool
    time_s: float
    onset_s: float
    quantity: float


class Device:
    """One track, fed with fixes on a plane (metres) and times in seconds from the start."""

    def __init__(self) -> None:
        self.state = new_anomalies(1)
        self.received_us = 0
        self.told: list[Told] = []
        self.active = 0

    def send(self, fix: Fix, delay_s: float = 0.3) -> Oddity:
        _, time_us, lat_e7, lon_e7, accuracy_cm = fix.row()
        return self.send_e7(time_us, lat_e7, lon_e7, accuracy_cm / 100, delay_s)

    def send_e7(
        self, time_us: int, lat_e7: int, lon_e7: int, radius_m: float, delay_s: float = 0.3
    ) -> Oddity:
        self.received_us = max(self.received_us, time_us + round(delay_s * S))
        place = to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7)
        active, oddity = note_fix(
            self.state, 0, time_us, *place, radius_m, self.received_us, LIMITS
        )
        row = self.state[0]
        for kind in Anomaly:
            if (active ^ self.active) & kind.bit:
                self.told.append(
                    Told(
                        kind,
                        bool(active & kind.bit),
                        (time_us - NOW_US) / S,
                        (int(row["onset_us"][kind]) - NOW_US) / S,
                        float(row["quantity"][kind]),
                    )
                )
        self.active = active
        return Oddity(oddity)

    def begun(self) -> list[Anomaly]:
        return [one.kind for one in self.told if one.begins]


def at(time_s: float, east_m: float, north_m: float = 0.0, accuracy_m: float = 5.0) -> Fix:
    return Fix(0, NOW_US + round(time_s * S), east_m, north_m, accuracy_m)


def standing(times_s: Iterable[float], east_m: float = 0.0) -> list[Fix]:
    """A receiver that lies still, with its jitter."""
    rng = np.random.default_rng(RNG_SEED)
    return [at(time_s, east_m + rng.normal(0, 3), rng.normal(0, 3)) for time_s in times_s]


def feed(device: Device, fixes: Sequence[Fix], delay_s: float = 0.3) -> list[Oddity]:
    return [device.send(fix, delay_s) for fix in fixes]


def told(device: Device) -> list[tuple[Anomaly, bool]]:
    return [(one.kind, one.begins) for one in device.told]


def test_a_position_that_repeats_for_half_an_hour_is_frozen() -> None:
    device = Device()
    feed(device, standing(range(0, 600, 60)))
    feed(device, [at(time_s, 1.0) for time_s in range(600, 4201, 60)])
    feed(device, standing(range(4260, 4800, 60)))
    assert told(device) == [(Anomaly.FROZEN, True), (Anomaly.FROZEN, False)]
    assert device.told[0].onset_s == 600
    assert device.told[0].time_s == 2400
    assert device.told[0].quantity == 1800
    assert device.told[1].time_s == 4260
    assert device.told[1].quantity == 3600


def test_a_phone_that_repeats_its_position_rarely_or_briefly_is_not() -> None:
    device = Device()
    feed(device, [at(time_s, 1.0) for time_s in range(0, 6 * 3600, 800)])
    feed(device, [at(6 * 3600 + time_s, 2.0) for time_s in range(0, 1500, 15)])
    assert not device.told


def test_a_late_fix_from_elsewhere_thaws_and_a_repeated_message_does_not() -> None:
    device = Device()
    frozen = [at(time_s, 1.0) for time_s in range(0, 1800, 60)]
    feed(device, [fix for fix in frozen for _ in range(3)])
    assert not device.told
    feed(device, [at(1790, 40.0), *(at(time_s, 1.0) for time_s in range(1800, 3600, 60))])
    assert not device.told
    assert device.send(at(3600, 1.0)) == Oddity.NONE
    assert device.begun() == [Anomaly.FROZEN]
    assert device.told[0].onset_s == 1800
    # Sent late, but it was elsewhere meanwhile.
    device.send(at(2000, 40.0))
    assert told(device)[1:] == [(Anomaly.FROZEN, False)]


@pytest.mark.parametrize("burst", [1, 2, 5])
def test_a_burst_of_outliers_is_marked_and_is_no_anomaly(burst: int) -> None:
    device = Device()
    wild = [at(100 + i, 9_000.0 * (-1) ** i, 4_000.0 * i) for i in range(burst)]
    assert set(feed(device, standing(range(100)))) == {Oddity.NONE}
    assert feed(device, wild) == [Oddity.IMPLAUSIBLE] * burst
    assert set(feed(device, standing(range(106, 200)))) == {Oddity.NONE}
    assert not device.told


@pytest.mark.parametrize("step_s", [1, 15, 60])
def test_a_jump_that_persists_is_a_speed_and_ends(step_s: int) -> None:
    device = Device()
    feed(device, standing(range(0, 601, step_s)))
    first_s = 600 + step_s
    feed(device, standing(range(first_s, 1500, step_s), 20_000.0))
    assert told(device) == [(Anomaly.SPEED, True), (Anomaly.SPEED, False)]
    began, ended = device.told
    assert began.onset_s == first_s
    assert began.quantity == pytest.approx(20_000 / step_s, rel=0.01)
    assert began.time_s == first_s + max(30, 2 * step_s)
    assert ended.time_s >= began.time_s + 120
    # Belief has moved: the new place is no oddity, the old one is.
    assert device.send(at(1501, 20_000.0)) == Oddity.NONE
    assert device.send(at(1502, 0.0)) == Oddity.IMPLAUSIBLE


def test_a_jump_of_three_kilometres_within_a_second_persists_though_a_car_could_follow() -> None:
    device = Device()
    feed(device, standing(range(60)))
    feed(device, standing(range(60, 300), 3_000.0))
    assert told(device) == [(Anomaly.SPEED, True), (Anomaly.SPEED, False)]


def test_trains_flights_and_tunnels_are_no_jumps() -> None:
    device = Device()
    train = [at(time_s, 89.0 * time_s) for time_s in range(0, 600, 15)]
    after_tunnel = [at(time_s, 89.0 * time_s) for time_s in range(1200, 1500, 15)]
    arrival = [at(1500 + 3 * 3600 + time_s, 1_800_000.0) for time_s in range(0, 600, 15)]
    assert set(feed(device, [*train, *after_tunnel, *arrival])) == {Oddity.NONE}
    assert not device.told


def test_one_bad_fix_that_was_believed_is_not_held_against_the_good_ones() -> None:
    device = Device()
    feed(device, standing(range(60)))
    bad = at(60, 700.0, accuracy_m=180.0)
    assert device.send(bad) == Oddity.NONE
    assert set(feed(device, standing(range(61, 200)))) == {Oddity.NONE}
    assert not device.told


def two_places(step_s: int, count: int, apart_m: float) -> list[Fix]:
    rng = np.random.default_rng(RNG_SEED)
    return [
        at(i * step_s, (i % 2) * apart_m + rng.normal(0, 4), rng.normal(0, 4)) for i in range(count)
    ]


@pytest.mark.parametrize("step_s", [1, 20, 60])
def test_two_devices_with_one_identity_are_a_clone_and_no_speed(step_s: int) -> None:
    device = Device()
    count = 600 // step_s
    feed(device, two_places(step_s, count, 50_000.0))
    assert told(device) == [(Anomaly.CLONE, True)]
    assert device.told[0].onset_s == step_s
    assert device.told[0].time_s <= max(62, 5 * step_s)
    assert device.told[0].quantity == pytest.approx(50_000, rel=0.01)
    assert device.state[0]["count"][Anomaly.CLONE] == count - 1
    feed(device, standing(range(600, 3000, step_s)))
    assert told(device)[1:] == [(Anomaly.CLONE, False)]
    assert device.told[1].time_s == pytest.approx(2400, abs=step_s)


def test_the_second_device_may_have_the_slower_clock() -> None:
    device = Device()
    for time_s in range(0, 300, 10):
        device.send(at(time_s, 0.0))
        assert device.send(at(time_s - 4, 50_000.0)) == Oddity.IMPLAUSIBLE
    assert device.begun() == [Anomaly.CLONE]


def test_a_teleport_and_messages_sent_again_are_no_clone() -> None:
    device = Device()
    feed(device, standing(range(0, 600, 15)))
    stray = at(600, 50_000.0)
    feed(device, [stray])
    for time_s in range(615, 1200, 15):
        feed(device, [at(time_s, 0.0), stray])
    feed(device, standing(range(1200, 2400, 15), 50_000.0))
    assert Anomaly.CLONE not in device.begun()


def test_a_buffer_flushed_under_one_time_stamp_is_nothing() -> None:
    device = Device()
    for i in range(12):
        device.send(at(0, 4_000.0 * (i % 2) + 10 * i))
    feed(device, standing(range(15, 600, 15)))
    assert not device.told


@pytest.mark.parametrize(
    ("delay_s", "kind"),
    [
        (-17.6, Anomaly.CLOCK_GPS),
        (-14.0, Anomaly.CLOCK_GPS),
        (-18.9, Anomaly.CLOCK_GPS),
        (-25.0, Anomaly.CLOCK),
        (-8.0, Anomaly.CLOCK),
        (-240.0, Anomaly.CLOCK),
        (200.0, Anomaly.CLOCK),
    ],
)
def test_a_wrong_clock_is_found_and_gps_time_recognised(delay_s: float, kind: Anomaly) -> None:
    device = Device()
    feed(device, standing(range(0, 1200, 30)), delay_s)
    assert told(device) == [(kind, True)]
    assert device.told[0].onset_s == 0
    assert device.told[0].quantity == pytest.approx(-delay_s)
    feed(device, standing(range(1800, 3000, 30)), 0.5)
    assert told(device)[1:] == [(kind, False)]


def test_honest_delays_are_no_clock() -> None:
    device = Device()
    rng = np.random.default_rng(RNG_SEED)
    feed(device, standing(range(0, 1200, 30)), 1.5)
    for fix in standing(range(1200, 2400, 30)):
        device.send(fix, float(rng.exponential(40)))
    # Half an hour of fixes kept back, sent ten times as fast as they were made.
    for i, fix in enumerate(standing(range(2400, 4200, 2))):
        device.send(fix, 1800 - 1.8 * i)
    # And a phone that repeats its last known position, which only grows older.
    last = at(4200, 0.0)
    for delay_s in range(60, 3600, 60):
        device.send(last, float(delay_s))
    assert not device.told


def home_e7(north_minutes: float) -> tuple[int, int]:
    return round((51 + north_minutes / 60) * 1e7), round((1 + 20 / 60) * 1e7)


def as_read_e7(lat_e7: int, lon_e7: int) -> tuple[int, int]:
    """The fix as a decoder reads it from firmware that does not pad minutes."""
    degrees, minutes = divmod(lat_e7 / 1e7 * 60, 60)
    if minutes >= 10:
        return lat_e7, lon_e7
    written = float(f"{degrees:.0f}{minutes:.4f}")
    return round((written // 100 + written % 100 / 60) * 1e7), lon_e7


def test_unpadded_minutes_are_recognised_on_a_way_through_the_strip() -> None:
    device = Device()
    oddities = []
    minutes = np.concatenate([np.linspace(12, 8, 200), np.linspace(8, 12, 200)])
    for i, north in enumerate(minutes):
        fix = as_read_e7(*home_e7(float(north)))
        oddities.append(device.send_e7(NOW_US + i * 15 * S, *fix, 5.0))
    expected = [Oddity.MINUTES if north < 10 else Oddity.NONE for north in minutes]
    assert oddities == expected
    assert told(device) == [(Anomaly.MINUTES, True)]
    assert device.told[0].onset_s == expected.index(Oddity.MINUTES) * 15
    assert device.told[0].quantity == pytest.approx(5.1e6, rel=0.05)
    assert device.state[0]["count"][Anomaly.MINUTES] == expected.count(Oddity.MINUTES)
    for i in range(400, 700):
        device.send_e7(NOW_US + i * 15 * S, *home_e7(12.0 + i / 1000), 5.0)
    assert told(device)[1:] == [(Anomaly.MINUTES, False)]


def test_a_device_first_heard_with_unpadded_minutes_is_found_when_it_leaves_the_strip() -> None:
    device = Device()
    for i, north in enumerate(np.linspace(9, 12, 100)):
        fix = as_read_e7(*home_e7(float(north)))
        assert device.send_e7(NOW_US + i * 15 * S, *fix, 5.0) == Oddity.NONE
    assert told(device) == [(Anomaly.MINUTES, True)]


def test_blank_positions_and_fixes_from_the_future_touch_nothing() -> None:
    device = Device()
    feed(device, standing(range(0, 300, 15)))
    before = device.state.copy()
    for lat_e7, lon_e7 in ((0, 0), (900_000_000, 0), (-900_000_000, 450_000_000)):
        assert device.send_e7(NOW_US + 300 * S, lat_e7, lon_e7, 5.0) == Oddity.BLANK
    device.received_us = NOW_US + 301 * S
    assert device.send(at(400, 90_000.0), delay_s=-90.0) == Oddity.NONE
    for name in ("time_us", "here_us", "here_m", "frozen_count", "there_us"):
        assert np.array_equal(before[name], device.state[name])
    # On the Greenwich meridian and on the equator it is not blank.
    assert Device().send_e7(NOW_US, 514_779_280, 0, 5.0) == Oddity.NONE
    assert Device().send_e7(NOW_US, 0, 367_800_000, 5.0) == Oddity.NONE


def test_order_of_arrival_and_duplicates_make_nothing_of_an_honest_device() -> None:
    rng = np.random.default_rng(RNG_SEED)
    walk = [at(time_s, 1.4 * time_s, rng.normal(0, 5)) for time_s in range(0, 3600, 15)]
    device = Device()
    shuffled = [walk[i] for i in np.argsort(np.arange(len(walk)) + rng.uniform(0, 40, len(walk)))]
    assert set(feed(device, [fix for fix in shuffled for _ in range(2)])) == {Oddity.NONE}
    newest_first = Device()
    assert set(feed(newest_first, walk[::-1])) == {Oddity.NONE}
    assert not device.told
    assert not newest_first.told


@pytest.mark.parametrize(
    "wrong",
    [
        {"vehicle_mps": 0.0},
        {"flight_mps": 50.0},
        {"jump_m": -1.0},
        {"apart_m": float("nan")},
        {"speed_calm_s": 10.0},
        {"clock_window_s": 10.0},
        {"clone_switches": 1},
        {"leap_early_s": 16.0},
    ],
)
def test_rules_refuse_what_means_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        replace(AnomalyRules(), **wrong)  # type: ignore[arg-type]
