"""The page for her choices and who looked, in a real browser."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from alerts.looks import Look
from devices.choices import Choices
from tests.console.desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_staff_set_for_her_what_she_asked_for_and_read_who_looked(desk: Desk) -> None:
    look = Look(
        id="l1", time="2026-11-24T08:00:00Z", who="Ada", role="operator", subject="*", what="map"
    )
    desk.backend.her.rows = [look]
    page = await desk.open()
    await page.goto(f"{desk.origin}/her?person=p1")
    await expect(page.get_by_label("Who looked")).to_contain_text("Ada (operator) read the map")
    await page.get_by_label("He is in the outer ring").select_option("digest")
    await page.get_by_label("Quiet from").fill("22:00")
    await page.get_by_label("Quiet to").fill("07:00")
    await page.get_by_label("Once a day at").fill("08:00")
    await page.get_by_label("Her time zone").fill("Europe/Madrid")
    await page.get_by_label("How she asked for it").fill("on the phone")
    await page.get_by_role("button", name="Set").click()
    # It is drawn anew: until then nothing can be typed that would be lost.
    await page.get_by_label("How she asked for it").fill("again")
    await expect(page.get_by_label("How she asked for it")).to_have_value("again")
    await expect(page.get_by_label("Quiet from")).to_have_value("22:00")
    chosen = desk.backend.her.chosen
    assert chosen.topics == {"outer_ring": "digest"}
    assert chosen.quiet is not None
    assert (chosen.quiet.from_, chosen.zone, chosen.digest_at) == (
        "22:00",
        "Europe/Madrid",
        "08:00",
    )

    desk.backend.her.refuses = True
    await page.get_by_role("button", name="Set").click()
    await expect(page.get_by_role("alert")).to_contain_text("for your safety")
    await expect(page.get_by_label("How she asked for it")).to_be_enabled()
    await expect(page.get_by_label("How she asked for it")).to_have_value("again")


async def test_nothing_can_be_typed_while_it_is_being_set(desk: Desk) -> None:
    page = await desk.open()
    await page.goto(f"{desk.origin}/her?person=p1")
    answer = asyncio.Event()

    async def later(route: Route) -> None:
        if route.request.method == "POST":
            await answer.wait()
        await route.continue_()

    await page.route("**/choices", later)
    note = page.get_by_label("How she asked for it")
    await note.fill("on the phone")
    await page.get_by_role("button", name="Set").click()
    await expect(note).to_be_disabled()
    await expect(note).to_have_value("on the phone")
    answer.set()
    await expect(note).to_be_enabled()
    await expect(note).to_have_value("")


async def test_a_pause_goes_on_until_somebody_ends_it(desk: Desk) -> None:
    until_time = "2099-01-01T00:00:00Z"
    desk.backend.her.chosen = Choices(paused_until=until_time)
    page = await desk.open()
    await page.goto(f"{desk.origin}/her?person=p1")
    note, end = page.get_by_label("How she asked for it"), page.get_by_label("End the pause")
    await expect(page.get_by_label("Choices")).to_contain_text("Paused until")
    for ended, expected in ((False, until_time), (True, None)):
        await note.fill("on the phone")
        await end.set_checked(ended)
        await page.get_by_role("button", name="Set").click()
        await expect(note).to_have_value("")
        assert desk.backend.her.chosen.paused_until == expected
    await expect(end).to_have_count(0)
