"""What open alerts take from protection is kept as they change, and is what looking at all would give."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import Alert
from alerts.protection import statuses
from alerts.weakening import Weakening
from devices.instants import from_iso, to_iso
from geofence.levels import Level
from tests.alerts.builders import NOW_US, START_US, desk, step
from tests.alerts.test_protection import COMPILED, health
from tests.alerts.test_protection import NOW_US as STATUS_US
from tests.alerts.test_ranking import ANY

PEOPLE = ("she", "other", None)
AGENCIES = ("centre", "police")

alerts = st.builds(
    lambda number, level, state, health, protected, agency, age_s: msgspec.structs.replace(
        ANY,
        alert_id=f"a{number}",
        level=level,
        state=state,
        health=health,
        protected=protected,
        agency=agency,
        onset=to_iso(NOW_US - age_s * 1_000_000),
    ),
    st.integers(0, 9),
    st.sampled_from(["unknown", "alert"]),
    st.sampled_from(["active", "returned"]),
    st.sampled_from([None, "fleet_silent", "silent"]),
    st.sampled_from(PEOPLE),
    st.sampled_from(AGENCIES),
    st.integers(0, 5),
)


def first(onsets: list[str]) -> int | None:
    return min(map(from_iso, onsets), default=None)


@given(st.lists(st.tuples(alerts, st.booleans()), max_size=40))
def test_it_is_always_what_looking_at_all_gives(changes: list[tuple[Alert, bool]]) -> None:
    weakening, known = Weakening(), dict[str, Alert]()
    for alert, goes in changes:
        before = known.pop(alert.alert_id, None)
        weakening.change(before, None if goes else alert)
        if not goes:
            known[alert.alert_id] = alert
    active = [one for one in known.values() if one.state == "active"]
    out = [one for one in active if one.health == "fleet_silent"]
    for person in ("she", "other"):
        doubts = [one for one in active if one.level == "unknown" and one not in out]
        assert weakening.doubt_us(person) == first(
            [one.onset for one in doubts if one.protected == person]
        )
    for agency in AGENCIES:
        assert weakening.outage_us(agency) == first(
            [one.onset for one in out if one.agency == agency]
        )


def test_the_desk_keeps_it_over_a_restart_until_it_is_over() -> None:
    on = desk()
    step(on, 1, Level.UNKNOWN)
    again = desk()
    again.load_snapshot(on.snapshot())
    assert on.weakening.doubt_us("protected1") == START_US
    assert again.weakening.doubt_us("protected1") == START_US
    step(again, 2, Level.CLEAR, previous=Level.UNKNOWN)
    assert again.weakening.doubt_us("protected1") is None


def test_that_nearness_cannot_be_excluded_is_in_her_status() -> None:
    weakening = Weakening()
    weakening.change(None, msgspec.structs.replace(ANY, level="unknown", protected="she"))
    known = {"phone-1": health("phone-1"), "tag-1": health("tag-1")}
    [found] = statuses(COMPILED, known, weakening, STATUS_US)
    assert found.reasons == (("cannot_tell", from_iso(ANY.onset)),)
