"""From fixes to a pattern: engine and desk as in the service, three days of a man who comes back."""

from __future__ import annotations

import pytest

from alerts.conduct import Subject, patterns_of
from alerts.conduct_acts import Told, acts_of_watches, alert_ids_of
from alerts.conduct_rules import ConductRules
from alerts.model import Alert
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair

pytestmark = pytest.mark.timeout(300)  # every second of three days is gone through

DAY_S = 86_400
RULES = ConductRules()
SUBJECT = Subject(wearer="he", protected="she", agency="centre", profile="default")
FAR_M = 3_000.0


def day(room: Room, number: int, nearest_m: float, stay_s: int = 0) -> None:
    """He comes from afar at 1.5 m/s to so near, stays, and goes away again; a fix every 15 s."""
    walk_s = int((FAR_M - nearest_m) / 1.5)
    for at_s in range(0, 2 * walk_s + stay_s + 600, 15):
        there_s = min(at_s, walk_s)
        back_s = max(0, min(walk_s, at_s - walk_s - stay_s))
        north_m = FAR_M - 1.5 * (there_s - back_s)
        room.bring(number * DAY_S + at_s, {"phone-1": (0.0, 0.0), "tag-1": (north_m, 0.0)})


def test_three_days_make_one_pattern_and_not_one_alert_more() -> None:
    room = Room(one_pair(alert_m=200))
    day(room, 0, nearest_m=120)
    day(room, 1, nearest_m=300)
    day(room, 2, nearest_m=100, stay_s=900)
    day(room, 3, nearest_m=90)
    out = room.out
    told = Told([one for one in out.decisions if one.wearer == "he"], [], [])
    alerts: dict[str, Alert] = {change.data.alert_id: change.data for change in out.changes}
    raised = [change for change in out.changes if change.kind == "raised"]
    assert alert_ids_of(told, "he") & alerts.keys() >= {
        change.data.alert_id for change in raised if change.data.watch
    }
    now_us = room.now_us(4 * DAY_S)
    acts = [found.act for found in acts_of_watches(told, alerts, RULES, now_us)]
    assert [one.kind for one in acts] == ["approach", "probing", "approach", "approach"]
    assert [round((one.began_us - room.now_us(0)) / 86_400e6 - 0.01) for one in acts] == [
        0,
        1,
        2,
        3,
    ]
    [pattern] = patterns_of(SUBJECT, acts, RULES, now_us)
    assert pattern.occasions == {"approach": 3, "probing": 1}
    assert [reason.kind for reason in pattern.reasons] == ["approach"]
    nearest = [one.closest_m for one in acts]
    assert all(one is not None for one in nearest)
    # What the acts rest on are the very alerts that were raised: none is hidden, none is added.
    cited = {rest.id for one in acts for rest in one.rests if rest.kind == "alert"}
    assert cited <= {change.data.alert_id for change in raised}
    assert len(cited) == 4
