"""The whole chain with a person at its end: devices, broker, database, service, and Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import msgspec
import pytest
from playwright.async_api import Page, async_playwright, expect

from console.access import sha256_hex
from cordon.embedded.broker import EmbeddedBroker
from cordon.sections import Operator
from cordon.settings import Settings
from tests.conftest import Database
from tests.console.browsing import Witness, launch_chromium
from tests.console.desk import act_on, lane
from tests.console.fake import OPERATOR
from tests.cordon.running import one_pair, settings_for_tests, until, world

pytestmark = pytest.mark.timeout(240)

TOKEN = "a-token-of-this-test-alone"
LIMIT_MS = 30_000


def settings_with_operator() -> Settings:
    """Those of all tests of the service, and somebody who may sign in."""
    settings = settings_for_tests()
    operator = Operator(name=OPERATOR, token_sha256=sha256_hex(TOKEN))
    console = msgspec.structs.replace(settings.console, operators=(operator,))
    return msgspec.structs.replace(settings, console=console)


@contextlib.asynccontextmanager
async def page_of(origin: str) -> AsyncIterator[Page]:
    """A page that is signed in; at the end, nothing may have gone wrong or elsewhere."""
    witness = Witness()
    async with async_playwright() as playwright:
        browser = await launch_chromium(playwright)
        page = await browser.new_page()
        witness.watch(page)
        await page.goto(f"{origin}/enter?token={TOKEN}")
        yield page
        await browser.close()
    witness.found_nothing(origin)


async def test_an_approach_is_seen_and_taken_in_hand(
    broker: EmbeddedBroker, database: Database
) -> None:
    settings = settings_with_operator()
    async with (
        world(broker, database.dsn, one_pair(), headless=False, settings=settings) as seen,
        page_of(seen.service.console_address) as page,
    ):
        await expect(page.locator("#feed")).to_have_text("Live", timeout=LIMIT_MS)
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 900)
        await expect(page.locator("#parts")).not_to_contain_text("not yet located")
        await expect(lane(page, "Needs action")).to_have_count(0)

        await seen.fix("tag-1", 150)
        row = lane(page, "Needs action")
        await expect(row).to_contain_text("Inside alert ring", timeout=LIMIT_MS)
        await expect(row).to_contain_text("He \u2192 She")
        await expect(row).to_contain_text("150 m (95 %")
        # Nearer within the same ring: no change of the alert, but of what is shown.
        nearer = None
        for north_m in [*range(148, 120, -4), *[120] * 60]:
            await seen.fix("tag-1", north_m)
            nearer = re.search(r"\b1[123]\d\sm\s\(95\s%", await row.inner_text())
            if nearer:
                break
            await asyncio.sleep(0.3)
        assert nearer

        assert not seen.events("acknowledged")
        await act_on(row, "Acknowledge")
        await expect(lane(page, "In hand")).to_contain_text(f"In hand: {OPERATOR}")
        [event] = await until(lambda: seen.events("acknowledged"), "the agency is told")
        assert event["actor"] == OPERATOR
        assert event["data"]["acknowledged_by"] == OPERATOR
        assert event["subject"] == seen.events("raised")[0]["subject"]

        await seen.publish("tag-1", "fix", b"nonsense")
        await page.get_by_role("button", name="Refused").click()
        refused = page.get_by_label("Refused messages")
        await expect(refused).to_contain_text("cannot be read", timeout=LIMIT_MS)
        await expect(refused).to_contain_text("tag-1")
