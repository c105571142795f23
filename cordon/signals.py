"""Ending in order when asked to."""

from __future__ import annotations

import asyncio
import signal


class stopping_on_signals:  # noqa: N801 - used as a block, like a function
    """Inside the block the first SIGINT or SIGTERM sets the event; a second one is not caught."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()

    async def __aenter__(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        return self._stop

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        asyncio.get_running_loop().remove_signal_handler(number)
        self._stop.set()
