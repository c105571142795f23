"""From a caseload to what the engine watches, and what must never leave it."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import compiler
from devices.caseload import Caseload, Proximity
from devices.compiler import bearer_at, compile_caseload, rings_m
from devices.instants import from_datetime, from_iso
from devices.schedule import is_active, time_zone
from devices.watches import Compiled
from geofence.distance import to_cartesian_m
from geofence.plan import ZoneKind
from geofence.planes import lay_flat
from geofence.sensitivity import DEFAULT_SENSITIVITY, Sensitivity
from geofence.zones import zone_m
from tests.devices.samples import NOON_US, caseloads, sample, tree

MICROSECONDS_PER_DAY = 86_400_000_000
INSTANTS = st.integers(0, 1200 * 24).map(
    lambda hours: from_iso("2025-12-01T00:00:00Z") + hours * 3_600_000_000
)


def test_the_sample() -> None:
    compiled = compile_caseload(sample(), NOON_US, "7")
    plan = compiled.plan
    assert plan.version == "7@2026-11-23T12:00:00.000000Z"
    assert plan.tracks == ("phone-1", "tag-1")
    assert plan.watch_keys == ("keep-away/tag-1/phone-1", "school/tag-1")
    assert (plan.pairs.a.tolist(), plan.pairs.b.tolist()) == ([1], [0])
    rings = (plan.pairs.contact_m, plan.pairs.alert_m, plan.pairs.pre_alert_m)
    assert [radius.tolist() for radius in rings] == [[50], [500], [1000]]
    assert plan.zones.kind.tolist() == [ZoneKind.EXCLUSION]
    assert plan.zones.track.tolist() == [1]
    assert plan.zones.buffer_m.tolist() == [100]
    assert np.isnan(plan.zones.circle).all()
    assert plan.zones.lat_deg.tolist() == [51.75, 51.75, 51.76, 51.76, 51.75]
    assert plan.zones.ring_vertex.tolist() == [0, 5]
    assert plan.zones.zone_ring.tolist() == [0, 1]
    # 21:00 in Madrid, when the curfew begins.
    assert compiled.valid_until_us == from_iso("2026-11-23T20:00:00Z")


def test_watches_go_by_the_parameters_of_their_profile() -> None:
    default, spain = Sensitivity(clear_dwell_s=11), Sensitivity(clear_dwell_s=12)

    def sets_of(**named: Sensitivity) -> list[Sensitivity]:
        compiled = compile_caseload(sample(), NOON_US, sensitivities=named)
        plan = compiled.plan
        sets = [plan.sensitivities[index] for index in plan.sensitivity.tolist()]
        versions = [compiled.watches[key].sensitivity for key in plan.watch_keys]
        assert versions == [one.version for one in sets]
        return sets

    assert sets_of() == [DEFAULT_SENSITIVITY] * 2
    assert sets_of(default=default) == [default] * 2
    assert sets_of(default=default, spain=spain) == [spain] * 2


def test_a_wearer_s_own_handset_is_a_companion_of_his_tag() -> None:
    document = tree()
    document["assignments"].append(
        {"device": "phone-2", "person": "w1", "from": "2026-01-01T00:00:00Z"}
    )
    caseload = msgspec.convert(document, Caseload)
    compiled = compile_caseload(caseload, NOON_US)
    plan = compiled.plan
    assert plan.companion_keys == (("tag-1", "phone-2"),)
    assert plan.tracks == ("phone-1", "phone-2", "tag-1")
    # Nothing else comes of it: he is told nothing, and nobody is compared with his phone.
    assert plan.watch_keys == compile_caseload(sample(), NOON_US).plan.watch_keys
    assert all("phone-2" not in watch.notify for watch in compiled.watches.values())
    assert compile_caseload(sample(), NOON_US).plan.companion_keys == ()


def test_the_sample_by_night() -> None:
    compiled = compile_caseload(sample(), from_iso("2026-11-23T20:00:00Z"))
    zones = compiled.plan.zones
    assert zones.keys == ("curfew/tag-1", "school/tag-1")
    assert zones.kind.tolist() == [ZoneKind.INCLUSION, ZoneKind.EXCLUSION]
    assert zones.circle[0].tolist() == [51.7, -1.2, 100]
    assert zones.zone_ring.tolist() == [0, 0, 1]
    assert compiled.watches["curfew/tag-1"].condition == "inclusion"


def test_what_the_watches_mean() -> None:
    watch = compile_caseload(sample(), NOON_US).watches["keep-away/tag-1/phone-1"]
    assert msgspec.structs.asdict(watch) == {
        "key": "keep-away/tag-1/phone-1",
        "condition_id": "keep-away",
        "condition": "proximity",
        "order_id": "order-1",
        "agency": "centre",
        "profile": "spain",
        "wearer": "w1",
        "protected": "p1",
        "tag": "tag-1",
        "handset": "phone-1",
        "notify": ("phone-1",),
        "name": "",
        "sensitivity": DEFAULT_SENSITIVITY.version,
    }


def test_the_bearers() -> None:
    bearers = compile_caseload(sample(), NOON_US).bearers
    assert set(bearers) == {"tag-1", "tag-2", "phone-1", "phone-2", "home-1"}
    tag, phone, spare = bearers["tag-1"], bearers["phone-1"], bearers["phone-2"]
    assert (tag.person, tag.role, tag.agencies) == ("w1", "wearer", ("centre",))
    assert (tag.profile, tag.fix_interval_s) == ("spain", 15)
    assert tag.notify == phone.notify == bearers["home-1"].notify == ("phone-1",)
    assert (spare.person, spare.role, spare.notify, spare.agencies) == (None, None, (), ())
    assert bearers["tag-2"].notify == ()


def test_who_carried_a_device_then_is_told_by_the_handsets_of_now() -> None:
    """Her handset was hers only until the end of November; it lies in a drawer in December."""
    december = from_iso("2026-12-01T00:00:00Z")
    now = compile_caseload(sample(), december).bearers["phone-1"]
    assert (now.person, now.since_us) == (None, 0)
    then = bearer_at(sample(), "phone-1", NOON_US, december)
    assert then is not None
    assert (then.person, then.role, then.agencies) == ("p1", "protected", ("centre",))
    assert then.notify == ()
    assert 0 < then.since_us <= NOON_US
    tag = bearer_at(sample(), "tag-1", NOON_US, NOON_US)
    assert tag == compile_caseload(sample(), NOON_US).bearers["tag-1"]
    assert bearer_at(sample(), "nothing", NOON_US, NOON_US) is None


def test_after_the_handset_was_handed_back() -> None:
    compiled = compile_caseload(sample(), from_iso("2026-12-01T00:00:00Z"))
    assert compiled.plan.pairs.keys == ()
    assert compiled.watches["school/tag-1"].notify == ()
    assert compiled.bearers["phone-1"].person is None


@pytest.mark.parametrize(
    ("given_m", "expected"),
    [
        ({"alert_m": 500}, (50, 500, 1000)),
        ({"alert_m": 60}, (30, 60, 120)),
        ({"alert_m": 100, "contact_m": 20, "pre_alert_m": 150}, (20, 100, 150)),
    ],
)
def test_default_rings(given_m: dict[str, float], expected: Any) -> None:
    assert rings_m(Proximity(id="c", protected="p", **given_m)) == expected


def test_two_tags_share_a_zones_outline() -> None:
    both = tree()
    both["assignments"][1]["person"] = "w1"
    zones = compile_caseload(msgspec.convert(both, Caseload), NOON_US).plan.zones
    assert zones.keys == ("school/tag-1", "school/tag-2")
    assert zones.zone_ring.tolist() == [0, 1, 2]
    assert zones.lat_deg[:5].tolist() == zones.lat_deg[5:].tolist()


def test_corridors_are_those_of_their_zone() -> None:
    both = tree()
    both["assignments"][1]["person"] = "w1"
    line = [[-1.26, 51.755], [-1.25, 51.756], [-1.23, 51.755]]
    way = {"geometry": {"type": "LineString", "coordinates": line}, "width_m": 60}
    both["orders"][0]["conditions"][1]["corridors"] = [way, way | {"width_m": 80}]
    zones = compile_caseload(
        msgspec.convert(both, Caseload), from_iso("2026-11-23T20:00:00Z")
    ).plan.zones
    assert zones.keys == ("curfew/tag-1", "curfew/tag-2", "school/tag-1", "school/tag-2")
    corridors = zones.corridors
    assert corridors.zone.tolist() == [2, 2, 3, 3]
    assert corridors.half_width_m.tolist() == [30, 40, 30, 40]
    assert corridors.line_vertex.tolist() == [0, 3, 6, 9, 12]
    assert corridors.lon_deg[3:6].tolist() == [lon for lon, _lat in line]
    assert corridors.lat_deg[9:].tolist() == [lat for _lon, lat in line]
    # As the engine takes it: in the way and beside it.
    planes = lay_flat(zones)
    for lat, lon, inside in ((51.7555, -1.245, False), (51.758, -1.245, True)):
        assert (zone_m(3, *to_cartesian_m(lat, lon), planes) < 0) == inside


def test_the_number_of_watches_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "MAX_WATCHES", 1)
    with pytest.raises(ValueError, match="several sites"):
        compile_caseload(sample(), NOON_US)


def test_an_empty_caseload() -> None:
    compiled = compile_caseload(Caseload(), NOON_US)
    assert compiled.plan.tracks == compiled.plan.watch_keys == ()
    assert compiled.valid_until_us is None


def expected_keys(caseload: Caseload, at_us: int) -> Iterator[str]:
    """The watches of a caseload, from its words alone."""

    def carried(kind: Any, person: str) -> list[str]:
        kinds = {device.id: device.kind for device in caseload.devices}
        return [
            a.device
            for a in caseload.assignments
            if kinds[a.device] == kind
            and a.person == person
            and from_datetime(a.from_) <= at_us
            and (a.to is None or at_us < from_datetime(a.to))
        ]

    for order in caseload.orders:
        if from_datetime(order.valid_from) > at_us:
            continue
        if order.valid_to is not None and at_us >= from_datetime(order.valid_to):
            continue
        for condition in order.conditions:
            for tag in carried("tag", order.wearer):
                if isinstance(condition, Proximity):
                    for handset in carried("handset", condition.protected):
                        yield f"{condition.id}/{tag}/{handset}"
                elif is_active(condition.schedule, time_zone(order.time_zone), at_us):
                    yield f"{condition.id}/{tag}"


@settings(max_examples=150)
@given(caseloads(), INSTANTS)
def test_nothing_is_left_out_and_nothing_added(caseload: Caseload, at_us: int) -> None:
    plan = compile_caseload(caseload, at_us).plan
    expected = sorted(expected_keys(caseload, at_us))
    assert sorted(plan.watch_keys) == expected
    assert len(set(plan.watch_keys)) == len(plan.watch_keys)


@settings(max_examples=100)
@given(caseloads(), INSTANTS)
def test_arrays_fit_together(caseload: Caseload, at_us: int) -> None:
    compiled = compile_caseload(caseload, at_us)
    plan = compiled.plan
    pairs, zones = plan.pairs, plan.zones
    assert tuple(compiled.watches) == plan.watch_keys
    assert plan.tracks == tuple(sorted(set(plan.tracks)))
    for key, a, b in zip(pairs.keys, pairs.a, pairs.b, strict=True):
        watch = compiled.watches[key]
        assert (plan.tracks[a], plan.tracks[b]) == (watch.tag, watch.handset)
    assert (pairs.contact_m > 0).all()
    assert (pairs.contact_m < pairs.alert_m).all()
    assert (pairs.alert_m < pairs.pre_alert_m).all()
    used = {plan.tracks[i] for i in (*pairs.a, *pairs.b, *zones.track)}
    assert used == set(plan.tracks)
    assert len(zones.zone_ring) == len(zones.keys) + 1
    assert zones.zone_ring[-1] == len(zones.ring_vertex) - 1
    assert zones.ring_vertex[-1] == len(zones.lat_deg) == len(zones.lon_deg)
    for i, key in enumerate(zones.keys):
        assert plan.tracks[zones.track[i]] == compiled.watches[key].tag
        assert math.isnan(zones.circle[i, 2]) == (zones.zone_ring[i] < zones.zone_ring[i + 1])
    for begin, end in zip(zones.ring_vertex[:-1], zones.ring_vertex[1:], strict=True):
        ring = (zones.lat_deg[begin:end], zones.lon_deg[begin:end])
        assert all(values[0] == values[-1] for values in ring)
        assert (np.abs(np.diff(ring[1])) < 180).all()


def notified(compiled: Compiled) -> list[tuple[str, ...]]:
    """All lists of devices that may be told something."""
    bearers = [bearer.notify for bearer in compiled.bearers.values()]
    return bearers + [watch.notify for watch in compiled.watches.values()]


@settings(max_examples=150)
@given(caseloads(), INSTANTS)
def test_no_wearers_device_is_ever_notified(caseload: Caseload, at_us: int) -> None:
    compiled = compile_caseload(caseload, at_us)
    for notify in notified(compiled):
        for device in notify:
            told = compiled.bearers[device]
            assert (told.kind, told.role) == ("handset", "protected")
    protected_from = {
        (watch.tag, handset) for watch in compiled.watches.values() for handset in watch.notify
    }
    for tag, handset in protected_from:
        assert handset in compiled.bearers[tag].notify


@settings(max_examples=50)
@given(caseloads(), INSTANTS, st.data())
def test_not_even_when_the_rules_were_not_asked(
    caseload: Caseload, at_us: int, data: st.DataObject
) -> None:
    """Devices in the wrong hands: a wearer with a handset, a protected person with a tag."""
    people = [person.id for person in caseload.people]
    mixed = tuple(
        msgspec.structs.replace(a, person=data.draw(st.sampled_from(people)))
        for a in caseload.assignments
    )
    compiled = compile_caseload(msgspec.structs.replace(caseload, assignments=mixed), at_us)
    for notify in notified(compiled):
        assert all(compiled.bearers[device].role == "protected" for device in notify)


@settings(max_examples=50)
@given(caseloads(), INSTANTS, st.randoms(use_true_random=False))
def test_the_order_of_a_file_does_not_matter(
    caseload: Caseload, at_us: int, random: Random
) -> None:
    shuffled = {}
    for section in ("agencies", "people", "devices", "assignments", "orders"):
        items = list(getattr(caseload, section))
        random.shuffle(items)
        shuffled[section] = tuple(items)
    one, other = compile_caseload(caseload, at_us), compile_caseload(Caseload(**shuffled), at_us)
    assert repr(one.plan) == repr(other.plan)
    assert one.watches == other.watches
    assert one.bearers == other.bearers
    assert one.valid_until_us == other.valid_until_us


def meaning(compiled: Compiled) -> tuple[Any, ...]:
    return repr(compiled.plan).partition("tracks")[2], compiled.watches, compiled.bearers


@settings(max_examples=100)
@given(caseloads(), INSTANTS, st.integers(0, 40 * MICROSECONDS_PER_DAY))
def test_it_is_valid_until_it_says(caseload: Caseload, at_us: int, later_us: int) -> None:
    compiled = compile_caseload(caseload, at_us)
    until_us = compiled.valid_until_us
    assert until_us is None or until_us > at_us
    then_us = at_us + later_us
    if until_us is not None:
        then_us = min(then_us, until_us - 1)
    assert meaning(compile_caseload(caseload, then_us)) == meaning(compiled)
