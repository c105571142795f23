"""The shipped jurisdictions: what each is known for, and texts that reveal nothing in any language."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from alerts.explain import explain
from alerts.profile import LEVELS, Profile
from alerts.rings import ring_problems
from devices.caseload import Order, Proximity
from tests.alerts.builders import PROFILES

ALL = sorted(PROFILES.by_name.values(), key=lambda profile: profile.name)
COUNTRIES = [profile for profile in ALL if profile.name != "default"]
LANGUAGES = ("en", "es", "fr")

TELLING = (
    r"\d|met(re|er|ro)|mètre|mile|milla|kilom|\bkm\b|left|right|izquierda|derecha|gauche|droite"
    r"|street|calle|\brue\b|behind|ahead|detrás|derrière"
)
COMPASS = r"north|south|east|west|norte|(al|el) (sur|este)|oeste|\bnord|\bsud|l'est|ouest"


def name_of(profile: Profile) -> str:
    return profile.name


@pytest.mark.parametrize("profile", ALL, ids=name_of)
def test_no_text_reveals_where_he_is(profile: Profile) -> None:
    for language in LANGUAGES:
        for condition, by_key in profile.texts[language].items():
            for words in by_key.values():
                text = f"{words.title} {words.text}"
                assert re.search(TELLING, text, re.IGNORECASE) is None, text
                if condition != "way":  # her own way, which the law of France has told to her
                    assert re.search(COMPASS, text, re.IGNORECASE) is None, text


@pytest.mark.parametrize("profile", ALL, ids=name_of)
def test_every_language_has_every_text(profile: Profile) -> None:
    keys = [
        {
            (condition, key)
            for condition, by_key in profile.texts[language].items()
            for key in by_key
        }
        for language in LANGUAGES
    ]
    assert all(some == others for some, others in pairwise(keys))
    assert set(profile.texts) == set(LANGUAGES)


@pytest.mark.parametrize("profile", COUNTRIES, ids=name_of)
def test_sources_are_named(profile: Profile) -> None:
    assert profile.sources
    assert all("(" in source for source in profile.sources)


def test_spain_calls_him_first_and_her_first_of_a_tamper() -> None:
    spain = PROFILES.by_name["spain"]
    assert spain.procedures["proximity"]["pre_alert"][0] == "call_wearer"
    assert spain.procedures["proximity"]["alert"][:2] == ("call_wearer", "call_police")
    for event in ("strap_cut", "case_open"):
        assert spain.procedures["tamper"][event][0] == "call_protected"
        assert "wearer" in spain.events[event].tell


def test_france_tells_her_by_hand_only_and_which_way_to_go() -> None:
    france = PROFILES.by_name["france"]
    assert not france.levels["proximity"]["pre_alert"].tell
    actions = france.procedures["proximity"]["pre_alert"]
    assert actions.index("call_wearer") < actions.index("tell_protected")
    way = france.way("north", "fr")
    assert way is not None
    assert "nord" in way.text


def test_uruguay_calls_her_first() -> None:
    uruguay = PROFILES.by_name["uruguay"]
    actions = uruguay.procedures["proximity"]["pre_alert"]
    assert actions == ("call_protected", "call_wearer", "send_patrol")
    assert uruguay.levels["proximity"]["pre_alert"].tier == 3  # a warning and not a breach


def order(profile: str, **rings: float) -> Order:
    return Order(
        id="o1",
        agency="centre",
        wearer="he",
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        profile=profile,
        conditions=(Proximity(id="c1", protected="she", **rings),),
    )


@pytest.mark.parametrize(
    ("profile", "rings", "problem"),
    [
        ("france", {"alert_m": 2000.0}, ""),
        ("france", {"alert_m": 2000.0, "pre_alert_m": 4000.0}, ""),
        ("france", {"alert_m": 2000.0, "pre_alert_m": 5000.0}, "exactly 4000"),
        ("france", {"alert_m": 500.0}, "at least 1000"),
        ("france", {"alert_m": 11_000.0}, "at most 10000"),
        ("france", {"alert_m": 1500.0}, "multiple of 1000"),
        ("default", {"alert_m": 321.0, "pre_alert_m": 400.0}, ""),
        ("uruguay", {"alert_m": 100.0}, "at least 200"),
    ],
)
def test_rings_the_law_does_not_know_are_named(
    profile: str, rings: dict[str, float], problem: str
) -> None:
    found = list(ring_problems(order(profile, **rings), PROFILES.by_name[profile]))
    assert bool(found) == bool(problem)
    assert all("order o1, condition c1" in text for text in found)
    assert problem in "\n".join(found)


@pytest.mark.parametrize("profile", ALL, ids=name_of)
def test_every_profile_explains_itself(profile: Profile) -> None:
    said = explain(profile, "fr")
    for level in LEVELS:
        assert level in said
    assert profile.version in said
    assert "supervisor 1 by push or sms" in said
    assert all(source in said for source in profile.sources)


def test_a_language_with_a_region_is_served_by_the_language() -> None:
    default = PROFILES.by_name["default"]
    assert default.text("panic", "panic", "es-UY") == default.text("panic", "panic", "es")
    assert default.text("panic", "panic", "de") == default.text("panic", "panic", "en")
