"""Finding and starting a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Playwright

DEBIAN_CHROMIUM = "/usr/lib/chromium/chromium"
"""The program itself; the wrapper in /usr/bin adds a flag that makes software drawing slow."""

ARGUMENTS = ("--disable-gpu-compositing", "--enable-unsafe-swiftshader")


class Witness:
    """Sees where pages turn to and what goes wrong on them."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def found_nothing(self, origin: str) -> None:
        """Fail if anything went wrong, or anybody but the console was asked for anything."""
        assert self.requests
        for address in self.requests:
            assert address.startswith((f"{origin}/", f"blob:{origin}/", "data:")), address
        assert self.complaints == []


async def launch_chromium(playwright: Playwright) -> Browser:
    """The browser of CORDON_CHROMIUM, Debian's, or Playwright's own, whichever is there first.

    Skips the test when there is none.
    """
    named = os.environ.get("CORDON_CHROMIUM", DEBIAN_CHROMIUM)
    found = _first_file(named, playwright.chromium.executable_path)
    if found is None:
        pytest.skip(
            "no Chromium: install Debian's chromium, or name one in CORDON_CHROMIUM, or run"
            " `playwright install chromium`"
        )
    # Chromium's sandbox refuses to start as root.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return await playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS, *as_root])


def _first_file(*paths: str) -> str | None:
    return next((path for path in paths if Path(path).is_file()), None)
