"""With very many alerts open the page stays usable, and with a degraded service it says so."""

from __future__ import annotations

import msgspec
import pytest
from playwright.async_api import expect

from alerts.model import Alert
from console.views import DegradedView
from devices.instants import MICROSECONDS, to_iso
from tests.console.desk import Desk, act_on, lane
from tests.console.fake import NOW_US, alert, service

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 3_000
ROWS = 200
PATIENCE_MS = 20_000
"""For a browser on a busy machine that is given a thousand alerts in a second."""


def fill(desk: Desk, count: int = MANY) -> None:
    """So many alerts, the worst raised last."""
    for number in range(count):
        one = made(number, tier=3 if number < count - 5 else 1)
        desk.backend.alerts[one.alert_id] = one


def made(number: int, tier: int) -> Alert:
    raised_at = to_iso(NOW_US - (MANY - number) * MICROSECONDS)
    return alert(f"a{number:06}", tier=tier, raised_at=raised_at)


async def test_the_most_urgent_are_listed_and_the_others_counted(desk: Desk) -> None:
    fill(desk)
    page = await desk.open()
    rows = lane(page, "Needs action")
    await expect(rows).to_have_count(ROWS)
    for place in range(5):
        await expect(rows.nth(place)).to_have_attribute("data-tier", "1")
    await expect(rows.nth(5)).to_have_attribute("data-tier", "3")
    await expect(page.locator("#more-alerts")).to_contain_text(f"{MANY - ROWS} more alerts")
    await act_on(rows.first, "Acknowledge")
    await expect(lane(page, "In hand")).to_have_count(1)


async def test_a_new_tier_1_stands_in_front_of_all_of_them(desk: Desk) -> None:
    fill(desk)
    page = await desk.open()
    rows = lane(page, "Needs action")
    await expect(rows).to_have_count(ROWS)
    desk.publish(
        alert("worst", tier=1, wearer="w9", raised_at=to_iso(NOW_US - MANY * MICROSECONDS))
    )
    await expect(rows.first).to_contain_text("w9")


async def test_a_page_that_hears_of_very_many_keeps_the_most_urgent(desk: Desk) -> None:
    page = await desk.open()
    for number in range(1_300):
        desk.publish(made(number, tier=4))
        if number % 100 == 0:  # a reader is given time, as in life
            await page.wait_for_timeout(20)
    desk.publish(made(2_000, tier=1))
    rows = lane(page, "Needs action")
    await expect(rows.first).to_have_attribute("data-tier", "1", timeout=PATIENCE_MS)
    await expect(rows).to_have_count(ROWS)


async def test_what_is_degraded_stands_in_the_banner_until_it_is_over(desk: Desk) -> None:
    page = await desk.open()
    late = DegradedView(name="engine", detail="behind; alerts are late", since=to_iso(NOW_US))
    silent = DegradedView(name="fleet", detail="40 devices fell silent", since=to_iso(NOW_US))
    desk.hub.publish_service(msgspec.structs.replace(service(), degraded=(late, silent)))
    banner = page.locator("#banner")
    await expect(banner).to_contain_text("Alerts late since")
    await expect(banner).to_contain_text("40 devices fell silent")
    desk.hub.publish_service(service())
    await expect(banner).to_be_hidden()
