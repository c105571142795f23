"""Profiles are taken whole or refused with every problem named."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from alerts.errors import ProfileError
from alerts.profile import (
    DEFAULT,
    EVENTS,
    LEVELS,
    UNKNOWN_NAMES_LIMIT,
    WATCHED,
    Profiles,
    load_profiles,
    parse_profile,
)
from devices.health_changes import HEALTH_KINDS
from geofence.sensitivity import DEFAULT_SENSITIVITY
from tests.alerts.builders import PROFILES

SHIPPED = (resources.files("alerts") / "profiles" / "default.toml").read_text("utf-8")


def changed(old: str, new: str) -> bytes:
    assert old in SHIPPED
    return SHIPPED.replace(old, new).encode()


def problems_of(data: bytes) -> str:
    with pytest.raises(ProfileError) as caught:
        parse_profile(data, "test.toml")
    assert caught.value.profile == "test.toml"
    assert "test.toml" in str(caught.value)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return "\n".join(caught.value.problems)


def test_the_default_has_the_tiers_of_the_general_scheme() -> None:
    default = PROFILES.by_name[DEFAULT]
    tiers = {level: default.levels["proximity"][level].tier for level in LEVELS}
    assert tiers == {"pre_alert": 3, "alert": 2, "contact": 1, "unknown": 2}
    assert default.levels["exclusion"]["alert"].tier == 2
    assert default.levels["exclusion"]["pre_alert"].tier == 3
    assert default.events["panic"].tier == 1
    technical = ("battery_low", "battery_critical", "gnss_lost", "permission_off")
    assert {default.events[name].tier for name in technical} == {4}


def test_contact_predicted_soon_is_critical() -> None:
    rule = PROFILES.by_name[DEFAULT].levels["proximity"]["alert"]
    assert [rule.tier_at(s) for s in (0.0, 120.0, 120.1, float("inf"), float("nan"))] == [
        *(1, 1),
        *(2, 2, 2),
    ]


def every_text() -> list[str]:
    texts = tomllib.loads(SHIPPED)["texts"]
    return [
        text
        for by_condition in texts.values()
        for by_key in by_condition.values()
        for words in by_key.values()
        for text in (words["title"], words["text"])
    ]


@pytest.mark.parametrize("text", every_text())
def test_no_shipped_text_reveals_anything(text: str) -> None:
    telling = r"\d|metre|meter|mile|\bkm\b|north|south|east|west|left|right|street|behind|ahead"
    assert re.search(telling, text, re.IGNORECASE) is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("pre_alert = { tier = 3, tell = true }", "", "levels.proximity.pre_alert: is missing"),
        ("contact = { tier = 1, tell = true }", "contact = { tier = 5 }", "<= 4"),
        ("contact = { tier = 1, tell = true }", "contact = { teir = 1 }", "teir"),
        ("[levels.inclusion]", "[levels.inclusoin]", "unknown name 'inclusoin'"),
        ("[events.no_motion]", "[events.nomotion]", "unknown name 'nomotion'"),
        ("imminent_tier = 1, ", "", "both imminent_tier and imminent_within_s"),
        ("imminent_tier = 1, ", "imminent_tier = 3, ", "must not be milder than tier 2"),
        ('condition = "tamper"\ntier = 2\nlatched = true', 'condition = "tamper"\ntier = 2', "case_open.latched"),
        ("[events.strap_cut]", "[events.beacon_lost]", "events.strap_cut: is missing"),
        ('condition = "panic"\ntier = 1', 'condition = "panic"\ntier = 2', "events.panic"),
        ('cleared_by = ["permission_on"]', 'cleared_by = ["permission_no"]', "'permission_no'"),
        ('cleared_by = ["permission_on"]', 'cleared_by = ["permission_off"]', "clear itself"),
        (
            "tier = 3\nlatched = true",
            'tier = 3\nlatched = true\ncleared_by = ["charging"]',
            "gnss_jammed.cleared_by: must be empty",
        ),
        ("[texts.en.proximity.contact]", "[texts.en.proximity.other]", "proximity.contact: is"),
        ("[texts.en.proximity.returned]", "[texts.en.proximity.over]", "proximity.returned: is"),
        ("Please be aware", "He is {distance} away", "placeholder"),
        ("Please be aware", "He is %s away", "placeholder"),
        ("Please be aware", "He is within 500 m", "names a distance"),
        ("Please be aware", "x" * 61, "60"),
        ('name = "default"', 'name = "../default"', "name"),
        ("tier = 4\n", "tier = \n", "line"),
        ("clone = {", "clown = {", "anomalies: unknown name 'clown'"),
        ("clone = {", "clown = {", "anomalies.clone: is missing"),
        ("clone = { tier = 2 }", "clone = { tier = 5 }", "tier"),
        ("[engine]", "[engine]\nclear_dwel_s = 5", "engine: unknown name 'clear_dwel_s'"),
        ("[engine]", '[engine]\nclear_dwell_s = "5"', "engine.clear_dwell_s: must be a number"),
        ("[engine]", "[engine]\nclear_dwell_s = true", "engine.clear_dwell_s: must be a number"),
        ("[engine]", "[engine]\nclear_factor = 0.9", "engine: clear_factor below 1"),
        ("[engine]", "[engine]\nwarn_ahead_s = nan", "engine: no parameter may be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old: str, new: str, problem: str) -> None:
    assert problem in problems_of(changed(old, new))


def test_all_problems_are_named_at_once() -> None:
    wrong = changed("[events.no_motion]", "[events.nomotion]").replace(
        b"[levels.inclusion]", b"[levels.inclusoin]"
    )
    found = problems_of(wrong)
    assert "nomotion" in found
    assert "inclusoin" in found
    assert "levels.inclusion.alert: is missing" in found


def test_the_version_follows_the_content_and_not_the_comments() -> None:
    version = parse_profile(SHIPPED.encode(), "a").version
    assert re.fullmatch(r"default@[0-9a-f]{8}", version)
    assert parse_profile(b"# more\n" + SHIPPED.encode(), "a").version == version
    other = parse_profile(changed("imminent_within_s = 120", "imminent_within_s = 121"), "a")
    assert other.version != version


def test_an_unknown_name_falls_back_and_is_seen() -> None:
    profiles = load_profiles()
    assert profiles.find("atlantis").name == DEFAULT
    assert profiles.find("default").name == DEFAULT
    assert profiles.counts.fallbacks == 1
    assert profiles.unknown == {"atlantis"}
    for number in range(2 * UNKNOWN_NAMES_LIMIT):
        profiles.find(f"p{number}")
    assert len(profiles.unknown) == UNKNOWN_NAMES_LIMIT
    assert profiles.counts.fallbacks == 1 + 2 * UNKNOWN_NAMES_LIMIT


def test_there_must_be_a_default() -> None:
    with pytest.raises(ProfileError, match="default"):
        Profiles({})


def test_a_site_brings_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(changed('name = "default"', 'name = "mine"'))
    (tmp_path / "notes.txt").write_text("not a profile")
    assert set(load_profiles(tmp_path).by_name) == {*PROFILES.by_name, "mine"}
    (tmp_path / "again.toml").write_bytes(changed('name = "default"', 'name = "mine"'))
    with pytest.raises(ProfileError, match="another file"):
        load_profiles(tmp_path)


def test_a_site_may_replace_the_default(tmp_path: Path) -> None:
    own = changed("pre_alert = { tier = 3, tell = true }", "pre_alert = { tier = 3 }")
    (tmp_path / "default.toml").write_bytes(own)
    rules = load_profiles(tmp_path).by_name["default"].levels["proximity"]
    assert not rules["pre_alert"].tell


def test_events_and_conditions_are_those_of_the_contract() -> None:
    assert {"panic", "strap_cut", "permission_on"} < EVENTS
    assert len(EVENTS) == 15
    assert set(WATCHED) == {"proximity", "exclusion", "inclusion"}


def test_the_engine_table_changes_what_it_names_and_nothing_else() -> None:
    assert parse_profile(SHIPPED.encode(), "a").sensitivity == DEFAULT_SENSITIVITY
    own = parse_profile(changed("[engine]", "[engine]\nclear_dwell_s = 30"), "a")
    assert own.sensitivity == replace(DEFAULT_SENSITIVITY, clear_dwell_s=30.0)
    assert own.sensitivity.version != DEFAULT_SENSITIVITY.version
    assert Profiles({"default": own}).sensitivities == {"default": own.sensitivity}


def test_no_text_blames_her() -> None:
    """Her handset is watched as closely as the tag, and nothing that goes wrong is her fault."""
    blame = re.compile(
        r"\b(fault|forgot\w*|fail\w*|careless\w*|neglect\w*|must|should have|your mistake|why did)\b",
        re.IGNORECASE,
    )
    words = [
        one
        for profile in load_profiles().by_name.values()
        for texts in profile.texts.values()
        for kind in ("device", "panic")
        for one in texts.get(kind, {}).values()
    ]
    assert len(words) >= 5
    for one in words:
        assert not blame.search(one.title + " " + one.text)


def test_trouble_with_a_device_has_a_tier_in_every_profile() -> None:
    default = load_profiles().by_name["default"]
    bare = msgspec.structs.replace(default, health={})
    graver = {"fleet_silent": 2, "badly_signed": 2, "beyond_rights": 3, "turned_away": 3}
    assert {kind: default.health_tier(kind) for kind in HEALTH_KINDS} == {
        kind: graver.get(kind, 4) for kind in HEALTH_KINDS
    }
    assert bare.health_tier("silent") == bare.health_tier("fleet_silent") == 4
