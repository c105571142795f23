"""The page in a real browser, over a fake service: what an operator sees and does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from alerts.model import Alert
from console.app import create_app
from console.files import MAP_LIBRARY, read_static
from console.server import bind, serve_console
from console.views import PartView, RefusalView
from devices.instants import to_iso
from tests.console.fake import (
    OPERATOR,
    TOKEN,
    FakeBackend,
    alert,
    device,
    grid_town,
    make_access,
    make_hub,
    service,
    watch,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

needs_map = pytest.mark.skipif(
    MAP_LIBRARY not in read_static(),
    reason="the map library is not installed: install the package without CORDON_SKIP_ASSETS=1",
)


class Desk:
    """The console with a page open, and everything that went wrong on it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.backend = FakeBackend()
        self.backend.map = grid_town(51.752, -1.2577, blocks=6)
        self.access = make_access(self.backend.time)
        self.hub = make_hub(self.backend.time, beat_s=0.5)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.pages: list[Page] = []
        self.origin = ""
        self.task: asyncio.Task[None] | None = None

    async def serve(self, port: int = 0) -> None:
        bound = bind("127.0.0.1", port)
        self.origin = f"http://127.0.0.1:{bound.getsockname()[1]}"
        app = create_app(self.backend, self.hub, self.access, lambda: b"")
        self.task = asyncio.create_task(serve_console(app, bound))

    async def close_pages(self) -> None:
        for page in self.pages:
            await page.context.close()

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def open(self, **options: Any) -> Page:
        page = await self.browser.new_page(**options)
        self.pages.append(page)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type == "error" else None
            ),
        )
        token = TOKEN.replace(" ", "%20")
        await page.goto(f"{self.origin}/enter?token={token}")
        await expect(page.locator("#feed")).to_have_text("Live")
        return page

    def publish(self, changed: Alert, kind: str = "raised") -> None:
        self.backend.alerts[changed.alert_id] = changed
        self.hub.publish_alert(changed, kind)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser) -> AsyncIterator[Desk]:
    made = Desk(browser)
    await made.serve()
    yield made
    await made.close_pages()
    await made.stop()


def lane(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name=name, exact=True).get_by_role("listitem")


async def act_on(row: Locator, name: str) -> None:
    await row.get_by_role("button", name=name).click()


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
    await expect(lane(page, "In hand")).to_contain_text(f"In hand: {OPERATOR}")
    assert desk.backend.calls == [("acknowledge", "a1", OPERATOR)]

    await act_on(lane(page, "In hand"), "Resolve")
    note = page.get_by_label("Note for the resolution")
    await expect(note).to_be_focused()
    await note.fill("Both spoken to.")
    await page.get_by_label("Selected").get_by_role("button", name="Resolve").click()
    await expect(lane(page, "In hand")).to_have_count(0)
    assert desk.backend.calls[-1] == ("resolve", "a1", OPERATOR, "Both spoken to.")

    assert page.url == f"{desk.origin}/"
    assert desk.requests
    for address in desk.requests:
        assert address.startswith((desk.origin, f"blob:{desk.origin}", "data:")), address
    assert desk.complaints == []


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
    desk.publish(alert("a2", tier=3))
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
    assert desk.complaints == []


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


async def test_live_positions_change_the_figures_of_an_alert(desk: Desk) -> None:
    page = await desk.open()
    desk.publish(alert("a1"))
    row = lane(page, "Needs action")
    await expect(row).to_contain_text("243 m")
    desk.hub.publish_positions(desk.backend.devices, [watch(distance_m=187.0, low_m=170.0)])
    await expect(row).to_contain_text("187 m (95 %: 170 to 266 m)")


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
