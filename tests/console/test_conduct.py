"""Courses of conduct on the console: a list apart from the alerts, a picture, what each rests on."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from alerts.conduct import DAY_US, Pattern, Rest, Subject, patterns_of, to_keep
from alerts.conduct_rules import ConductRules
from tests.alerts.conduct_stories import act
from tests.console.desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pattern() -> Pattern:
    subject = Subject(wearer="w1", protected="p1", agency="centre", profile="default")
    acts = [
        act(
            "probing",
            0.0,
            4,
            closest_m=412.0,
            rests=(Rest("alert", "a-1", 1), Rest("decision", "c1/x#1", 2)),
        ),
        act("approach", 2.1, 12, closest_m=88.0, rests=(Rest("alert", "a-2", 1),)),
        act(
            "following",
            3.4,
            25,
            closest_m=41.0,
            lag_s=240.0,
            moved_m=2_300.0,
            rests=(Rest("fixes", "p1", 1), Rest("fixes", "w1", 2)),
        ),
        act("approach", 5.2, 9, explained="no_breach", rests=(Rest("alert", "a-3", 1),)),
        act(
            "tampering",
            6.0,
            0,
            rests=(Rest("alert", "a-4", 1), Rest("event", "tag-1/strap_cut#4", 2)),
        ),
        act("following", 8.3, 31, closest_m=60.0, lag_s=420.0, moved_m=3_900.0),
        act("loitering", 11.7, 55, closest_m=120.0),
        act("approach", 15.9, 20, closest_m=35.0),
    ]
    found = patterns_of(subject, acts, ConductRules(), acts[-1].began_us + DAY_US)
    [kept] = to_keep({}, found)
    return kept


async def test_a_course_of_conduct_is_one_finding_with_all_it_rests_on(desk: Desk) -> None:
    desk.backend.conduct = [pattern()]
    page = await desk.open()
    await page.get_by_role("button", name="Conduct").click()
    pane = page.get_by_label("Courses of conduct")
    row = pane.get_by_role("row").nth(1)
    await expect(row).to_contain_text("Marek D., towards Ms K.")
    await expect(row).to_contain_text("2 \u00d7 approach")
    await expect(row).to_contain_text("goes on; more than two weeks")
    await row.get_by_role("button").click()
    picture = pane.get_by_role("img")
    await expect(picture).to_have_attribute(
        "aria-label", "Timeline: 3 approach, 1 loitering, 2 following, 1 probing, 1 tampering"
    )
    assert await picture.locator("rect.act").count() == 8
    assert await picture.locator("rect.explained").count() == 1
    await expect(pane).to_contain_text("Explained: No breach: explained")
    await expect(pane).to_contain_text("2 occasions within 28 days: was on her way behind her.")
    summary = pane.get_by_text("1 alert, 1 event")
    await summary.click()
    await expect(pane.get_by_text("event tag-1/strap_cut#4")).to_be_visible()
    await pane.get_by_role("button", name="All courses of conduct").click()
    await expect(pane.get_by_role("row")).to_have_count(2)


async def test_no_course_of_conduct_is_said_and_none_is_an_alert(desk: Desk) -> None:
    desk.backend.conduct = []
    page = await desk.open()
    await page.get_by_role("button", name="Conduct").click()
    pane = page.get_by_label("Courses of conduct")
    await expect(pane).to_contain_text("No course of conduct has been recognised.")
    desk.backend.conduct = [pattern()]
    await expect(page.get_by_text("Nothing waits for action.")).to_be_visible()
