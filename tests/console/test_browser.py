"""The page in a real browser, over a fake service: what an operator sees and does."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from playwright.async_api import expect

from console.files import MAP_LIBRARY, read_static
from devices.instants import to_iso
from tests.console.desk import Desk, act_on, lane
from tests.console.fake import (
    OPERATOR,
    TOKEN,
    alert,
    make_hub,
    panic,
    service,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

needs_map = pytest.mark.skipif(
    MAP_LIBRARY not in read_static(),
    reason="the map library is not installed: install the package without CORDON_SKIP_ASSETS=1",
)


@needs_map
async def test_an_alert_appears_and_is_taken_in_hand(desk: Desk) -> None:
    page = await desk.open()
    await expect(page.locator("#map")).to_have_attribute("data-map", "ready", timeout=20_000)
    await expect(page.locator("#map")).to_have_attribute("data-devices", "2")
    await expect(lane(page, "Needs action")).to_have_count(0)

    desk.publish(alert("a1"))
    row = lane(page, "Needs action")
    await expect(row).to_contain_text("Inside alert ring")
    await expect(row).to_contain_text("Marek D. \u2192 Ms K.")
    await expect(row).to_contain_text("243 m (95 %: 221 to 266 m)")
    await expect(row.get_by_role("img")).to_have_accessible_name("Tier 2, high")

    await act_on(row, "Acknowledge")
    await expect(lane(page, "Needs action")).to_have_count(0)
    taken = lane(page, "In hand")
    await expect(taken).to_contain_text(f"In hand: {OPERATOR}, since ")
    await expect(taken).to_contain_text("Closes by itself when it is over")
    await expect(taken.get_by_role("button", name="Resolve")).to_be_hidden()
    assert desk.backend.calls == [("acknowledge", "a1", OPERATOR)]

    assert page.url == f"{desk.origin}/"
    desk.witness.found_nothing(desk.origin)


async def test_what_a_device_told_of_is_closed_with_a_note(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(panic("a1"))
    await act_on(lane(page, "Needs action"), "Acknowledge")
    await act_on(lane(page, "In hand"), "Resolve")
    outcome = page.get_by_label("Outcome")
    await expect(outcome).to_be_focused()
    await outcome.select_option("help_given")
    note = page.get_by_label("Note for the resolution")
    for nothing in ("", "   "):
        await note.fill(nothing)
        await note.press("Enter")
        await expect(note).to_be_focused()
    await note.fill("Both spoken to.")
    await page.get_by_label("Selected").get_by_role("button", name="Resolve").click()
    await expect(lane(page, "In hand")).to_have_count(0)
    assert desk.backend.calls == [
        ("acknowledge", "a1", OPERATOR),
        ("resolve", "a1", OPERATOR, "Both spoken to."),
    ]


async def test_shelved_dispatched_checked_and_closed(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(
        panic("a1", condition="tamper", level="case_open", highest_level="case_open", tier=2)
    )
    await lane(page, "Needs action").get_by_role("button", name="Case open").first.click()
    pane = page.get_by_label("Selected")
    await expect(pane.get_by_role("button", name="Resolve")).to_be_hidden()
    await pane.get_by_label("For how long").select_option("30")
    await pane.get_by_label("Reason for shelving").fill("known")
    await pane.get_by_role("button", name="Shelve").click()
    await expect(lane(page, "On the shelf")).to_contain_text(f"{OPERATOR} shelved it until")
    await pane.get_by_role("button", name="Take off the shelf").click()
    await expect(lane(page, "On the shelf")).to_have_count(0)
    await pane.get_by_label("Who is sent").fill("unit 7")
    await pane.get_by_role("button", name="Dispatch").click()
    await expect(lane(page, "In hand")).to_contain_text("Sent: unit 7")
    await pane.get_by_label("Checked how").select_option("inspected")
    await pane.get_by_label("What the check found").fill("case whole")
    await pane.get_by_role("button", name="Note check").click()
    await pane.get_by_label("Outcome").select_option("device_at_fault")
    await pane.get_by_label("Note for the resolution").fill("worn latch")
    await pane.get_by_role("button", name="Resolve").click()
    await expect(lane(page, "In hand")).to_have_count(0)
    steps = [call[0] for call in desk.backend.calls]
    assert steps == ["shelve", "unshelve", "dispatch", "check", "resolve"]


async def test_in_a_flood_tier_1_stands_in_front_even_when_it_is_over(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1", tier=1, level="contact", state="returned"))
    desk.publish(alert("a2", tier=3, level="pre_alert"))
    first = lane(page, "Needs action").first
    await expect(first).to_have_attribute("data-key", "a2")
    desk.hub.publish_service(service(flood_since=to_iso(desk.backend.time())))
    await expect(first).to_have_attribute("data-key", "a1")
    await expect(page.locator("#parts")).to_contain_text("Flood since")
    await page.get_by_role("button", name="Load", exact=True).click()
    pane = page.get_by_label("Load of alerts")
    await expect(pane).to_contain_text("fewer than 1 (EEMUA 191)")


async def test_a_conflict_says_who_acted_and_shows_the_alert_as_it_is(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    row = lane(page, "Needs action")
    await expect(row).to_have_count(1)
    # A colleague was faster, and the news of it is still on its way.
    desk.backend.alerts["a1"] = alert(
        "a1", version=2, acknowledged_by="Ben", acknowledged_at=to_iso(desk.backend.time())
    )
    await act_on(row, "Acknowledge")
    await expect(page.locator("#message")).to_contain_text("acknowledged by Ben")
    await expect(lane(page, "In hand")).to_contain_text("In hand: Ben")


async def test_keys_act_on_the_selected_alert_whatever_arrives(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1", tier=2))
    desk.publish(panic("a2", tier=3))
    await expect(lane(page, "Needs action")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    chosen = page.locator("[aria-current=true]")
    await expect(chosen).to_have_attribute("data-key", "a2")
    desk.publish(alert("a0", tier=1, level="contact"))
    await expect(lane(page, "Needs action").first).to_have_attribute("data-key", "a0")
    await expect(chosen).to_have_attribute("data-key", "a2")
    await page.keyboard.press("a")
    await expect(lane(page, "In hand")).to_have_attribute("data-key", "a2")
    assert desk.backend.calls == [("acknowledge", "a2", OPERATOR)]
    await page.keyboard.press("r")
    await expect(page.get_by_label("Outcome")).to_be_focused()
    await page.keyboard.type("Pressed")
    await page.keyboard.press("Tab")
    await page.keyboard.type("jakes note")
    await page.keyboard.press("Enter")
    await expect(lane(page, "In hand")).to_have_count(0)
    assert desk.backend.calls[-1] == ("resolve", "a2", OPERATOR, "jakes note")


async def test_older_news_never_overwrites_newer(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1", version=3, level="contact"))
    await expect(lane(page, "Needs action")).to_contain_text("Contact")
    desk.hub.publish_alert(alert("a1", version=2, level="pre_alert"), "level")
    desk.publish(alert("a2", version=1))
    await expect(lane(page, "Needs action")).to_have_count(2)
    await expect(lane(page, "Needs action").first).to_contain_text("Contact")


async def test_a_lost_feed_is_said_and_a_returning_one_catches_up(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    await expect(lane(page, "Needs action")).to_have_count(1)
    port = int(desk.origin.rpartition(":")[2])
    await desk.stop()
    await expect(page.locator("#banner")).to_contain_text("No data since", timeout=15_000)
    await expect(page.locator("body")).to_have_attribute("data-feed", "lost")
    # It comes back as another run of the service, with other alerts than the page knows.
    desk.hub = make_hub(desk.backend.time, beat_s=0.5)
    desk.hub.boot = "boot2"
    desk.backend.alerts = {"a2": alert("a2", level="contact")}
    await desk.serve(port)
    await expect(page.locator("#feed")).to_have_text("Live", timeout=15_000)
    await expect(lane(page, "Needs action")).to_have_count(1)
    await expect(lane(page, "Needs action")).to_have_attribute("data-key", "a2")
    await expect(page.locator("#banner")).to_be_hidden()


@pytest.mark.parametrize("refused_at_first", [False, True])
async def test_a_broken_line_is_taken_up_where_it_broke(
    desk: Desk, *, refused_at_first: bool
) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    await expect(lane(page, "Needs action")).to_have_count(1)
    # An alert that only the stream's memory has, not the picture: it must come by the replay.
    # A browser takes up a broken line by itself, but after an error answer the page must.
    limit = desk.hub._limit
    desk.hub._limit = 0 if refused_at_first else limit
    desk.hub.close()
    async with asyncio.timeout(5):
        while len(desk.hub):  # noqa: ASYNC110 - nobody tells us when the last stream has ended
            await asyncio.sleep(0.01)
    desk.hub.closed = False
    desk.hub.publish_alert(alert("a2"), "raised")
    if refused_at_first:
        await expect(page.locator("#feed")).to_have_text("Not live", timeout=15_000)
        desk.hub._limit = limit
    await expect(lane(page, "Needs action")).to_have_count(2, timeout=15_000)
    assert desk.hub.counts.replays == 1


async def test_a_changed_caseload_is_fetched(desk: Desk) -> None:
    page = await desk.open()
    desk.backend.devices = [
        msgspec.structs.replace(view, name=f"New {view.name}") for view in desk.backend.devices
    ]
    desk.publish(alert("a1"))
    await expect(lane(page, "Needs action")).to_contain_text("Marek D.")
    desk.hub.publish_plan()
    await expect(lane(page, "Needs action")).to_contain_text("New Marek D.")


async def test_without_webgl_the_queue_works(desk: Desk) -> None:
    page = await desk.browser.new_page()
    desk.pages.append(page)
    await page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    await page.goto(f"{desk.origin}/enter?token={TOKEN.replace(' ', '%20')}")
    await expect(page.locator("#map-notice")).to_contain_text("no WebGL")
    desk.publish(alert("a1"))
    await act_on(lane(page, "Needs action"), "Acknowledge")
    await expect(lane(page, "In hand")).to_have_count(1)


async def test_signing_out_ends_the_page(desk: Desk) -> None:
    page = await desk.open()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


async def test_an_ended_session_is_said_on_the_open_page(desk: Desk) -> None:
    page = await desk.open()
    desk.backend.time.pass_s(desk.access.session_s)
    await expect(page.locator("#banner")).to_contain_text("signed out", timeout=15_000)


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_texts_can_be_read_in_both_schemes(desk: Desk, scheme: str) -> None:
    page = await desk.open(color_scheme=scheme)
    desk.publish(alert("a1"))
    desk.publish(alert("a2", tier=1, acknowledged_by="Ben", acknowledged_at="2026-11-23T00:00:00Z"))
    await expect(lane(page, "In hand")).to_have_count(1)
    await page.keyboard.press("j")
    colours = await page.evaluate(
        """() => [...document.querySelectorAll(
            ".title, .who, .facts, .hand, .age, .act, .feed, .parts li, .clock, dt, dd, h1, h2, .keys"
        )].filter((node) => node.textContent).map((node) => {
            let ground = node;
            while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") {
                ground = ground.parentElement;
            }
            return [node.className || node.tagName, getComputedStyle(node).color,
                getComputedStyle(ground).backgroundColor];
        })"""
    )
    assert len(colours) > 15
    for name, text, ground in colours:
        assert contrast(text, ground) >= 4.5, (name, text, ground)


def contrast(one: str, two: str) -> float:
    """Contrast ratio of two CSS rgb() colours, by the formula of WCAG 2."""
    darker, lighter = sorted((luminance(one), luminance(two)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
