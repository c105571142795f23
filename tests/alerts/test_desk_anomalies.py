"""What is wrong with devices: one alert for each spell, returned when it ends."""

from __future__ import annotations

import uuid

import msgspec
import pytest

from alerts.desk import Desk
from alerts.errors import IllegalStep
from alerts.model import AlertChange
from alerts.profile import AnomalyRule
from alerts.steps import Acknowledge
from devices.watches import Bearer
from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_state import Anomaly
from tests.alerts.builders import (
    NOW_US,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    act,
    anomaly,
    close,
    desk,
    kinds,
    profiles_with,
    take,
)


def tell(on: Desk, change: AnomalyChange, bearer: Bearer = TAG) -> list[AlertChange]:
    """The desk hears of an anomaly."""
    return on.on_anomaly(change, bearer, now_us=NOW_US)


def test_an_anomaly_is_a_technical_alert_until_it_ends() -> None:
    on = desk()
    [raised] = tell(on, anomaly(Anomaly.FROZEN, 1))
    alert = raised.data
    assert (raised.kind, alert.condition, alert.tier, alert.level) == (
        "raised",
        "device",
        4,
        "frozen",
    )
    assert (alert.device, alert.wearer, alert.protected) == ("tag1", "wearer1", None)
    assert (alert.agency, alert.watch, alert.anomaly) == ("centre", "", "frozen")
    assert (alert.quantity, alert.count, alert.transition) == (1800.0, 61, 1)
    assert alert.notify == ()
    assert not alert.told
    [returned] = tell(on, anomaly(Anomaly.FROZEN, 1, began=False, quantity=7200.0))
    assert (returned.kind, returned.data.state, returned.data.level) == (
        "returned",
        "returned",
        "frozen",
    )
    assert (returned.data.quantity, returned.data.alert_id) == (7200.0, alert.alert_id)
    assert kinds(take(on)) == ["acknowledged", "resolved"]
    assert on.open_alerts() == []


def test_the_profile_gives_the_tier() -> None:
    tiers = {kind: tell(desk(), anomaly(kind, 1))[0].data.tier for kind in Anomaly}
    assert {kind for kind, tier in tiers.items() if tier == 2} == {
        Anomaly.CLONE,
        Anomaly.STAYS_BEHIND,
    }
    rules = {**PROFILES.by_name["default"].anomalies, "frozen": AnomalyRule(tier=3)}
    own = Desk(profiles_with(anomalies=rules), rules="r", build="b")
    assert tell(own, anomaly(Anomaly.FROZEN, 1))[0].data.tier == 3
    del rules["frozen"]
    silent = Desk(profiles_with(anomalies=rules), rules="r", build="b")
    assert tell(silent, anomaly(Anomaly.FROZEN, 1)) == []
    assert silent.counts.unmapped == 1


def test_ids_are_derived_and_each_spell_is_an_episode_of_its_own() -> None:
    on = desk()
    [first] = tell(on, anomaly(Anomaly.CLONE, 1))
    episodes = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:episode")
    alerts = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:alert")
    onset_us = START_US + 3600 * SECOND_US
    assert first.data.episode_id == str(uuid.uuid5(episodes, f"anomaly/clone/tag1@{onset_us}"))
    assert first.data.alert_id == str(uuid.uuid5(alerts, first.data.episode_id))
    tell(on, anomaly(Anomaly.CLONE, 1, began=False))
    [second] = tell(on, anomaly(Anomaly.CLONE, 2))
    assert second.data.alert_id != first.data.alert_id
    assert [alert.state for alert in on.open_alerts()] == ["returned", "active"]
    # Seeing to the first must not lose sight of the second.
    first_now = next(a for a in on.open_alerts() if a.alert_id == first.data.alert_id)
    act(on, first_now, Acknowledge())
    [ended] = tell(on, anomaly(Anomaly.CLONE, 2, began=False))
    assert (ended.kind, ended.subject) == ("returned", second.subject)


def test_devices_kinds_and_companions_are_kept_apart() -> None:
    on = desk()
    told = [
        anomaly(Anomaly.FROZEN, 1),
        anomaly(Anomaly.CLOCK, 1),
        anomaly(Anomaly.FROZEN, 1, track="phone1"),
        anomaly(Anomaly.STAYS_BEHIND, 1, companion="own1"),
        anomaly(Anomaly.STAYS_BEHIND, 1, companion="own2"),
    ]
    assert [kinds(tell(on, change)) for change in told] == [["raised"]] * 5
    [ended] = tell(on, anomaly(Anomaly.STAYS_BEHIND, 1, companion="own2", began=False))
    assert ended.data.companion == "own2"
    assert sum(alert.state == "active" for alert in on.open_alerts()) == 4


def test_what_is_told_again_changes_nothing() -> None:
    on = desk()
    told = [anomaly(Anomaly.SPEED, n, began=b) for n in (1, 2) for b in (True, False)]
    changes = [change for one in told for change in tell(on, one)]
    again = desk()
    again.restore(changes)
    for twin in (on, again):
        assert [tell(twin, change) for change in told] == [[]] * 4
    assert again.open_alerts() == on.open_alerts()
    from_snapshot = desk()
    from_snapshot.load_snapshot(again.snapshot())
    assert [tell(from_snapshot, change) for change in told] == [[]] * 4


def test_an_engine_that_counts_anew_is_heard() -> None:
    on = desk()
    tell(on, anomaly(Anomaly.CLONE, 3))
    tell(on, anomaly(Anomaly.CLONE, 3, began=False))
    later_us = START_US + 9 * 3600 * SECOND_US
    [raised] = tell(on, anomaly(Anomaly.CLONE, 1, onset_us=later_us))
    assert raised.kind == "raised"


def test_a_person_may_close_what_goes_on_and_the_end_is_then_nothing() -> None:
    on = desk()
    tell(on, anomaly(Anomaly.FROZEN, 1))
    with pytest.raises(IllegalStep):
        close(on)
    take(on)
    assert kinds(close(on)) == ["resolved"]
    assert tell(on, anomaly(Anomaly.FROZEN, 1)) == []
    assert tell(on, anomaly(Anomaly.FROZEN, 1, began=False)) == []
    assert kinds(tell(on, anomaly(Anomaly.FROZEN, 2))) == ["raised"]


def test_at_the_start_what_no_longer_goes_on_returns() -> None:
    on = desk()
    for kind in (Anomaly.FROZEN, Anomaly.CLONE):
        tell(on, anomaly(kind, 1))
    [gone] = on.retire((), ["clone/tag1"], now_us=NOW_US)
    assert (gone.kind, gone.data.anomaly, gone.data.level) == ("returned", "frozen", "frozen")
    assert on.retire((), ["clone/tag1"], now_us=NOW_US) == []


def test_a_device_of_nobody_is_told_of_all_the_same() -> None:
    nobody = msgspec.structs.replace(TAG, person=None, role=None, agencies=())
    [raised] = tell(desk(), anomaly(Anomaly.CLOCK, 1), nobody)
    assert (raised.data.agency, raised.data.wearer) == ("", None)
