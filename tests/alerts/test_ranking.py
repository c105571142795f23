"""The most urgent of very many are found without sorting them, and are those that sorting would give."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import Alert
from alerts.ranking import FRESH, IN_HAND, OVER, SHELVED, Ranking, lane_of
from devices.instants import to_iso
from geofence.levels import Level
from tests.alerts.builders import NOW_US, desk, step

STATES: list[tuple[int, dict[str, Any]]] = [
    (FRESH, {}),
    (OVER, {"state": "returned"}),
    (IN_HAND, {"acknowledged_by": "ada"}),
    (IN_HAND, {"acknowledged_by": "ada", "state": "returned"}),
    (SHELVED, {"shelved_until": to_iso(NOW_US)}),
]


def an_alert() -> Alert:
    on = desk()
    step(on, 1, Level.ALERT)
    return on.open_alerts()[0]


ANY = an_alert()


def made(number: int, age_s: int, tier: int, state: int) -> Alert:
    return msgspec.structs.replace(
        ANY,
        alert_id=f"a{number}",
        tier=tier,
        raised_at=to_iso(NOW_US - age_s * 1_000_000),
        **STATES[state][1],
    )


def naive(alerts: dict[str, Alert]) -> list[str]:
    wanted = sorted(
        (one for one in alerts.values() if not one.synthetic),
        key=lambda one: (lane_of(one), one.tier, one.raised_at, one.alert_id),
    )
    return [one.alert_id for one in wanted]


steps = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(0, len(STATES) - 1), st.booleans()),
    max_size=60,
)


@given(steps, st.integers(0, 12), st.integers(0, 12))
def test_it_is_always_what_sorting_gives(
    changes: list[tuple[int, int, int, bool]], limit: int, offset: int
) -> None:
    ranking, alerts = Ranking(), dict[str, Alert]()
    for number, tier, state, goes in changes:
        before = alerts.pop(f"a{number}", None)
        after = None if goes else made(number, number * 7 % 5, tier, state)
        ranking.change(before, after)
        if after is not None:
            alerts[after.alert_id] = after
    assert ranking.first(limit, offset) == naive(alerts)[offset : offset + limit]
    assert len(ranking) == len(alerts)
    assert ranking.by_tier() == tuple(
        sum(one.tier == tier for one in alerts.values()) for tier in range(1, 5)
    )
    for age_s in range(6):
        instant = to_iso(NOW_US - age_s * 1_000_000)
        older = sum(one.raised_at < instant for one in alerts.values())
        assert ranking.raised_before(instant) == older


def test_lanes() -> None:
    assert [lane_of(made(1, 1, 1, state)) for state in range(len(STATES))] == [
        lane for lane, _ in STATES
    ]


def test_nobody_is_to_look_at_the_synthetic_pair() -> None:
    ranking = Ranking()
    ranking.change(None, msgspec.structs.replace(ANY, synthetic=True))
    assert (len(ranking), ranking.first(9)) == (0, [])


def test_the_desk_keeps_it_over_a_restart() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    again = desk()
    again.load_snapshot(on.snapshot())
    assert again.most_urgent(9) == on.most_urgent(9) == on.open_alerts()
