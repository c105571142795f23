"""What the page states in a real browser: figures, ages, troubles, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from console.views import PartView, RefusalView, UnassignedView
from devices.instants import MICROSECONDS, to_iso
from tests.console.desk import Desk, lane
from tests.console.fake import alert, device, panic, service, watch

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_live_positions_change_the_figures_of_an_alert(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    row = lane(page, "Needs action")
    await expect(row).to_contain_text("243 m")
    desk.hub.publish_positions(desk.backend.devices, [watch(distance_m=187.0, low_m=170.0)])
    await expect(row).to_contain_text("187 m (95 %: 170 to 266 m)")
    await expect(row).not_to_contain_text("Last fix")


async def test_a_returned_alert_is_marked_and_keeps_its_last_figures(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    desk.hub.publish_positions(desk.backend.devices, [watch(level="clear", distance_m=900.0)])
    desk.publish(alert("a1", version=2, state="returned", level="clear", distance_m=700.0))
    row = lane(page, "Needs action")
    await expect(row.get_by_text("Returned", exact=True)).to_be_visible()
    await expect(row).to_contain_text("Was: inside alert ring")
    await expect(row).to_contain_text("Last: 700 m")
    await expect(row).to_contain_text("acknowledging closes it")


async def test_the_age_of_each_fix_stands_beside_what_rests_on_old_ones(desk: Desk) -> None:
    desk.backend.devices = [
        device("tag-1", fix_time=to_iso(desk.backend.time() - 240 * MICROSECONDS)),
        *desk.backend.devices[1:],
    ]
    desk.backend.watches = [watch(level="unknown")]
    page = await desk.open()
    desk.publish(alert("a1", level="unknown"))
    row = lane(page, "Needs action")
    await expect(row).to_contain_text("Nearness cannot be excluded")
    await expect(row).to_contain_text("243 m between the last fixes")
    await expect(row).not_to_contain_text("95 %")
    await expect(row).to_contain_text("Last fix: Marek D.: 4 min ago; Ms K.: ")
    moved = [device("tag-1", fix_time=to_iso(desk.backend.time())), *desk.backend.devices[1:]]
    desk.hub.publish_positions(moved, [watch()])
    desk.publish(alert("a1", version=2))
    await expect(row).not_to_contain_text("Last fix")


async def test_the_interval_of_a_zone_says_which_side_it_is_on(desk: Desk) -> None:
    zone: dict[str, Any] = {
        "key": "z1/tag-1",
        "condition": "exclusion",
        "handset": None,
        "distance_m": 3.0,
    }
    desk.backend.watches = [watch(**zone, low_m=-25.0, high_m=31.0)]
    page = await desk.open()
    desk.publish(alert("a1", condition="exclusion", watch="z1/tag-1"))
    row = lane(page, "Needs action")
    await expect(row).to_contain_text("3.0 m outside (95 %: 25 m inside to 31 m outside)")
    inside = zone | {"distance_m": -30.0}
    desk.hub.publish_positions(desk.backend.devices, [watch(**inside, low_m=-40.0, high_m=-20.0)])
    await expect(row).to_contain_text("30 m inside (95 %: 20 to 40 m)")


async def test_refusals_are_told_in_plain_words(desk: Desk) -> None:
    asked: dict[str, Any] = {"device": "tag-1", "last_time": to_iso(desk.backend.time())}
    desk.backend.rows = [
        RefusalView(**asked, code="out_of_range", reason="$.lat: <= 90.", count=3, item=1),
        RefusalView(**asked, code="broker_closed", reason="Too large.", count=1),
    ]
    page = await desk.open()
    await page.get_by_role("button", name="Refused").click()
    rows = page.get_by_label("Refused messages").get_by_role("row")
    await expect(rows.nth(1)).to_contain_text("outside what is possible: latitude")
    await expect(rows.nth(1)).to_contain_text("Marek D.")
    await expect(rows.nth(1).get_by_role("cell").nth(2)).to_have_text("3")
    await expect(rows.nth(2)).to_contain_text("The connection was cut")
    await expect(rows.nth(2)).to_contain_text("Too large.")


async def test_devices_that_nobody_carries_stand_below_the_refusals(desk: Desk) -> None:
    at = to_iso(desk.backend.time())
    desk.backend.strangers = [
        UnassignedView(device="jane__phone", reports=12, first_time=at, last_time=at)
    ]
    page = await desk.open()
    await page.get_by_role("button", name="Refused").click()
    pane = page.get_by_label("Refused messages")
    await expect(pane.get_by_role("heading", name="Not assigned")).to_be_visible()
    row = pane.get_by_role("row").filter(has_text="jane__phone")
    await expect(row.get_by_role("cell").nth(1)).to_have_text("12")


async def test_a_time_that_is_that_of_arrival_says_so(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(panic("p1", onset_doubted=True))
    await expect(lane(page, "Needs action")).to_contain_text("Panic")
    await page.keyboard.press("j")
    await expect(page.get_by_label("Selected")).to_contain_text("when it arrived, as the device")


async def test_the_service_and_its_troubles_are_shown(desk: Desk) -> None:
    page = await desk.open()
    desk.hub.publish_service(
        service(
            database=PartView(state="down", detail="Alerts go on; history waits."),
            stored_lag=42,
            counts={"refused": 7},
        )
    )
    parts = page.get_by_role("list", name="Service")
    await expect(parts).to_contain_text("Database down")
    await expect(parts).to_contain_text("42 to store")
    await expect(page.get_by_role("button", name="Refused 7")).to_be_visible()
    await expect(page.locator("#banner")).to_contain_text("Alerts go on; history waits.")


async def test_what_people_wrote_is_text_and_never_markup(desk: Desk) -> None:
    name = "<img src=x onerror=alert(1)><b>bold</b>"
    desk.backend.devices = [device("tag-1", name=name)]
    desk.backend.zones = []
    desk.backend.rows = [
        RefusalView(device=name, code="c", reason=name, count=1, last_time="2026-11-23T00:00:00Z")
    ]
    page = await desk.open()
    desk.publish(alert("a1", protected=None))
    await expect(lane(page, "Needs action")).to_contain_text(name)
    await page.keyboard.press("j")
    await expect(page.get_by_label("Selected")).to_contain_text(name)
    await page.get_by_role("button", name="Refused").click()
    await expect(page.get_by_label("Refused messages")).to_contain_text(name)
    assert await page.locator("b").count() == 0
    desk.witness.found_nothing(desk.origin)
