"""The console with a fake service behind it and a page of a real browser open."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from alerts.model import Alert
from console.app import create_app
from console.server import bind, serve_console
from tests.console.browsing import Witness
from tests.console.fake import TOKEN, FakeBackend, grid_town, make_access, make_hub


class Desk:
    """The console with a page open, and everything that went wrong on it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.backend = FakeBackend()
        self.backend.map = grid_town(51.752, -1.2577, blocks=6)
        self.access = make_access(self.backend.time)
        self.hub = make_hub(self.backend.time, beat_s=0.5)
        self.witness = Witness()
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
        self.witness.watch(page)
        token = TOKEN.replace(" ", "%20")
        await page.goto(f"{self.origin}/enter?token={token}")
        await expect(page.locator("#feed")).to_have_text("Live")
        return page

    def publish(self, changed: Alert, kind: str = "raised") -> None:
        self.backend.alerts[changed.alert_id] = changed
        self.hub.publish_alert(changed, kind)


def lane(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name=name, exact=True).get_by_role("listitem")


async def act_on(row: Locator, name: str) -> None:
    await row.get_by_role("button", name=name).click()
