"""Never a stale "safe": whatever is known, live needs a handset heard just now and nothing wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from alerts.protection import (
    LONGEST_US,
    Footing,
    Protection,
    ReasonCode,
    status_words,
    statuses,
)
from alerts.weakening import Weakening
from devices.compiler import compile_caseload
from devices.fleet import overdue_after_us
from devices.health_changes import HealthChange
from devices.health_state import NEVER_US, DeviceHealth, Spell, silent_after_us
from devices.instants import from_iso, to_iso
from devices.watches import Bearer, Compiled, Watch, protectees_of
from tests.alerts.builders import PROFILES, SECOND_US, desk
from tests.cordon.running import one_pair

NOW_US = from_iso("2026-11-24T08:00:00Z")
COMPILED = compile_caseload(one_pair(), NOW_US, "1")
WINDOW_US = overdue_after_us(COMPILED.bearers["phone-1"].fix_interval_s)


def compiled_of(watches: Mapping[str, Watch], bearers: Mapping[str, Bearer]) -> Compiled:
    """The same, but for these."""
    protectees = protectees_of(watches, bearers)
    return replace(COMPILED, watches=watches, bearers=bearers, protectees=protectees)


def health(device: str, heard_us: int = NOW_US, *spells: Any) -> DeviceHealth:
    return DeviceHealth(
        person="x",
        agencies=("centre",),
        interval_s=COMPILED.bearers[device].fix_interval_s,
        has_place=True,
        worn_us=0,
        since_us=NOW_US - 3_600 * SECOND_US,
        heard_us=heard_us,
        spells={kind: Spell(kind, NOW_US - 60 * SECOND_US, 1, 0.0) for kind in spells},
    )


def status(
    phone: DeviceHealth | None, tag: DeviceHealth | None = None, **options: Any
) -> Protection:
    known = {"phone-1": phone, "tag-1": tag or health("tag-1")}
    given_health = {name: one for name, one in known.items() if one is not None}
    values: dict[str, Any] = {"now_us": NOW_US, "weakening": Weakening(), "footing": Footing()}
    values |= options
    [found] = statuses(COMPILED, given_health, **values)
    assert [bearer.device for bearer in found.handsets] == ["phone-1"]
    return found.in_words(PROFILES)


def test_heard_just_now_and_nothing_wrong_is_live() -> None:
    found = status(health("phone-1"))
    assert (found.person, found.state, found.reasons) == ("she", "live", ())
    assert found.title == "You are protected"
    assert found.valid_until == to_iso(NOW_US + WINDOW_US)
    assert from_iso(found.valid_until) == NOW_US + WINDOW_US


@pytest.mark.parametrize(
    ("spell", "code", "state"),
    [
        ("silent", "handset_silent", "not_working"),
        ("gnss_lost", "handset_lost", "degraded"),
        ("battery_low", "battery_low", "degraded"),
        ("battery_critical", "battery_critical", "degraded"),
        ("permission_off", "permission_off", "degraded"),
    ],
)
def test_what_is_wrong_with_her_handset_is_named(spell: str, code: str, state: str) -> None:
    found = status(health("phone-1", NOW_US, spell))
    assert (found.state, found.reasons[0].code) == (state, code)
    assert found.since == to_iso(NOW_US - 60 * SECOND_US)
    assert found.what_to_do


def test_his_device_makes_it_worse_without_a_word_of_him() -> None:
    found = status(health("phone-1"), health("tag-1", NOW_US, "silent"))
    assert (found.state, found.reasons[0].code) == ("degraded", "other_device")


def test_a_service_that_does_not_work_protects_nobody() -> None:
    found = status(
        health("phone-1", NOW_US, "battery_low"), footing=Footing(NOW_US - SECOND_US, None, NOW_US)
    )
    assert found.state == "not_working"
    assert [reason.code for reason in found.reasons] == ["service", "battery_low", "records"]


def test_without_a_handset_she_is_not_protected() -> None:
    found = status(None)
    assert (found.state, found.reasons[0].code) == ("not_working", "no_handset")
    assert found.verified_at is None


SPELLS = st.sets(
    st.sampled_from(["silent", "gnss_lost", "battery_low", "battery_critical", "permission_off"])
)


@given(SPELLS, SPELLS, st.integers(0, 3 * WINDOW_US), st.booleans(), st.integers(0, WINDOW_US))
def test_live_only_when_all_is_well_and_heard_just_now(
    phone: set[str],
    tag: set[str],
    age_us: int,
    works: bool,  # noqa: FBT001 - drawn by hypothesis
    later_us: int,
) -> None:
    phone_health = health("phone-1", NOW_US - age_us, *sorted(phone))
    tag_health = health("tag-1", NOW_US, *sorted(tag))
    footing = Footing() if works else Footing(broken_us=NOW_US)
    found = status(phone_health, tag_health, footing=footing)
    well = not phone and not tag & {"silent", "gnss_lost"} and works
    assert (found.state == "live") == (well and age_us <= WINDOW_US)
    assert (found.state == "live") == (not found.reasons)
    if found.state == "live":
        # What is shown as live has ended to be valid by the time it is live no longer.
        later = status(phone_health, tag_health, now_us=NOW_US + later_us)
        holds = NOW_US + later_us <= from_iso(found.valid_until)
        assert holds == (later.state == "live")


@pytest.mark.parametrize("language", ["en", "es", "fr"])
def test_every_reason_has_words_in_every_language(language: str) -> None:
    person = next(b for b in COMPILED.bearers.values() if b.device == "phone-1")
    bearers = {**COMPILED.bearers, "phone-1": msgspec.structs.replace(person, language=language)}
    texts = set()
    for spells in (
        (),
        ("silent",),
        ("gnss_lost",),
        ("battery_low",),
        ("battery_critical",),
        ("permission_off",),
    ):
        known = {"phone-1": health("phone-1", NOW_US, *spells), "tag-1": health("tag-1")}
        compiled = compiled_of(COMPILED.watches, bearers)
        [found] = statuses(compiled, known, Weakening(), NOW_US)
        texts.add(found.in_words(PROFILES).title)
    assert len(texts) == 6


def test_every_reason_and_the_unknown_have_words_of_their_own() -> None:
    for language in ("en", "es", "fr"):
        bearer = msgspec.structs.replace(COMPILED.bearers["phone-1"], language=language)
        keys = ["live", "unknown", *get_args(ReasonCode)]
        words = [status_words(PROFILES, [bearer], key) for key in keys]
        assert all(words)
        assert len({one.title for one in words if one}) == len(keys)


def test_a_tag_that_falls_silent_together_with_many_is_not_passed_over() -> None:
    # No trouble of its own is told of it: it belongs to the incident.
    silent_us = silent_after_us(COMPILED.bearers["tag-1"].fix_interval_s)
    found = status(health("phone-1"), health("tag-1", NOW_US - silent_us - 1))
    assert (found.state, found.reasons[0].code) == ("degraded", "other_device")
    assert found.since == to_iso(NOW_US - silent_us - 1)


def test_a_tag_never_heard_and_no_tag_at_all_are_not_safe() -> None:
    never = status(health("phone-1"), health("tag-1", NEVER_US))
    assert (never.state, never.reasons[0].code, never.since) == ("degraded", "other_device", None)
    compiled = compiled_of({}, COMPILED.bearers)
    [none] = statuses(compiled, {"phone-1": health("phone-1")}, Weakening(), NOW_US)
    assert none.state == "degraded"


def test_the_service_s_own_troubles_and_an_outage_are_told() -> None:
    late = status(health("phone-1"), footing=Footing(None, NOW_US - 1, NOW_US - 2))
    assert [one.code for one in late.reasons] == ["late", "records"]
    assert late.since == to_iso(NOW_US - 1)
    change = HealthChange(
        device="",
        agency="centre",
        kind="fleet_silent",
        began=True,
        onset_us=NOW_US - 5,
        decided_at_us=NOW_US,
        cause="many",
        quantity=12.0,
        number=1,
    )
    nobody = msgspec.structs.replace(COMPILED.bearers["phone-1"], person=None, role=None)
    machine = desk()
    machine.on_health(change, nobody, now_us=NOW_US)
    found = status(health("phone-1"), weakening=machine.weakening)
    assert [(one.code, one.since) for one in found.reasons] == [("many_silent", to_iso(NOW_US - 5))]


def test_of_two_handsets_the_status_ends_with_the_one_it_rests_on() -> None:
    second = msgspec.structs.replace(COMPILED.bearers["phone-1"], device="phone-2")
    bearers = {**COMPILED.bearers, "phone-2": second}
    compiled = compiled_of(COMPILED.watches, bearers)
    well = health("phone-1", NOW_US - WINDOW_US + 5)
    worse = health("phone-1", NOW_US, "permission_off")
    known = {"phone-1": well, "phone-2": worse, "tag-1": health("tag-1")}
    [found] = statuses(compiled, known, Weakening(), NOW_US)
    assert (found.state, found.until_us) == ("live", NOW_US + 5)
    [later] = statuses(compiled, known, Weakening(), NOW_US + 6)
    assert later.state == "degraded"


def test_no_status_holds_longer_than_it_is_told_for() -> None:
    slow = msgspec.structs.replace(health("phone-1"))
    slow.interval_s = 3_600.0
    assert from_iso(status(slow).valid_until) == min(
        NOW_US + LONGEST_US, NOW_US + silent_after_us(health("tag-1").interval_s)
    )
