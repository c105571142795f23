"""Her choices and who looked at her, as a client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alerts.conduct import DAY_US, patterns_of
from alerts.conduct_rules import ConductRules
from alerts.looks import REMEMBERED_LIMIT, REMEMBERED_S, Look, Looks
from alerts.reality import Reality
from tests.alerts.builders import START_US
from tests.alerts.conduct_stories import SUBJECT
from tests.alerts.conduct_stories import act as conduct_act
from tests.console.application import SAME_ORIGIN, World
from tests.console.fake import NOW_US, OPERATOR

CHOICES = "/api/v1/protected/p1/choices"
NIGHT = {"quiet": {"from": "22:00", "to": "07:00"}, "zone": "Europe/Madrid"}


@pytest.fixture
def inside() -> Iterator[World]:
    made = World()
    with made.client:
        made.enter()
        yield made


def send(world: World, **body: Any) -> httpx.Response:
    return world.client.post(CHOICES, json=body, headers=SAME_ORIGIN)


def test_without_a_session_nothing_of_hers_is_served() -> None:
    world = World()
    with world.client:
        assert world.client.get(CHOICES).status_code == 401
        assert world.client.get("/api/v1/protected/p1/looked").status_code == 401
    assert world.backend.her.seen == []


def test_staff_set_what_she_asked_for_in_their_name_and_with_her_words(inside: World) -> None:
    answer = send(inside, choices=NIGHT, note="asked me on the phone")
    assert answer.status_code == 200
    assert (answer.json()["by"], answer.json()["note"]) == (OPERATOR, "asked me on the phone")
    found = inside.client.get(CHOICES).json()
    assert found["choices"]["quiet"] == {"from": "22:00", "to": "07:00"}


def test_what_cannot_be_chosen_is_refused_in_words(inside: World) -> None:
    inside.backend.her.refuses = True
    answer = send(inside, choices={"topics": {"inner_ring": "off"}}, note="asked me")
    assert answer.status_code == 422
    assert "for your safety" in answer.json()["error"]


def test_without_her_words_or_with_an_unknown_field_nothing_is_set(inside: World) -> None:
    assert send(inside, choices=NIGHT).status_code in {400, 422}
    assert send(inside, choices=NIGHT, note="").status_code in {400, 422}
    assert send(inside, choices={"loud": True}, note="x").status_code in {400, 422}


def test_nobody_of_this_id_is_said_so(inside: World) -> None:
    answer = inside.client.get("/api/v1/protected/nobody/choices")
    assert answer.status_code == 404
    assert "caseload" in answer.json()["what_to_do"]


def test_reading_where_people_are_is_recorded_with_who_and_what_for(inside: World) -> None:
    inside.client.get("/api/v1/picture", headers={"Cordon-Purpose": "alert a1"})
    inside.client.get("/api/v1/alerts")
    inside.client.get("/api/v1/refusals")
    assert inside.backend.her.seen == [
        (OPERATOR, "operator", "map", "*", "alert a1"),
        (OPERATOR, "operator", "alerts", "*", ""),
    ]


def test_reading_courses_of_conduct_is_recorded_for_both_people(inside: World) -> None:
    acts = [conduct_act("approach", day) for day in (0, 1, 2)]
    found = patterns_of(SUBJECT, acts, ConductRules(), START_US + 3 * DAY_US)
    inside.backend.conduct = found
    why = {"Cordon-Purpose": "case 4711"}
    inside.client.get("/api/v1/conduct", headers=why)
    assert inside.client.get("/api/v1/conduct/nothing", headers=why).status_code == 404
    inside.client.get(f"/api/v1/conduct/{found[0].pattern_id}", headers=why)
    assert inside.backend.her.seen == [
        (OPERATOR, "operator", "conduct", person, "case 4711")
        for person in ("*", SUBJECT.wearer, SUBJECT.protected)
    ]


def test_she_can_be_told_who_looked(inside: World) -> None:
    one = Look(id="l1", time="t", who="Kim", role="operator", subject="*", what="map")
    inside.backend.her.rows = [one]
    [found] = inside.client.get("/api/v1/protected/p1/looked").json()
    assert (found["who"], found["what"], found["role"]) == ("Kim", "map", "operator")


def test_was_that_real_is_answered_with_reasons(inside: World) -> None:
    inside.backend.her.answers["a1"] = Reality(
        alert_id="a1",
        open=False,
        verdict="real",
        reasons=("Kim closed it",),
        title="It was real",
        text="We looked into it.",
    )
    found = inside.client.get("/api/v1/alerts/a1/was-real").json()
    assert (found["verdict"], found["reasons"]) == ("real", ["Kim closed it"])
    assert inside.client.get("/api/v1/alerts/a9/was-real").status_code == 404


def test_the_page_is_for_those_who_are_signed_in(inside: World) -> None:
    page = inside.client.get("/her")
    assert page.status_code == 200
    assert "/static/her.js" in page.text
    assert inside.client.get("/static/her.js").status_code == 200
    with World().client as stranger:
        assert stranger.get("/her").status_code == 401


def test_the_same_reading_within_the_hour_is_one() -> None:
    looks = Looks()

    def note(at_s: float, who: str = "Kim", what: str = "map") -> bool:
        now_us = NOW_US + int(at_s * 1_000_000)
        return looks.note(who, what, "*", now_us, role="operator") is not None

    assert note(0)
    assert not note(1)
    assert note(2, "Ada")
    assert note(3, what="alerts")
    assert not note(REMEMBERED_S - 1)
    assert note(REMEMBERED_S)
    for number in range(REMEMBERED_LIMIT):
        assert note(REMEMBERED_S, f"operator {number}")
    assert note(REMEMBERED_S + 1)  # forgotten, so recorded once more
