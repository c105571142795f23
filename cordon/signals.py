"""Ending in order when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from cordon.errors import CordonError

PATIENCE_S = 2.5
"""A little longer than the gateway takes at most to acknowledge what is on its way."""


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


async def unless_stopped(
    waiting: Coroutine[Any, Any, object], stop: asyncio.Event, running: asyncio.Task[None]
) -> bool:
    """Wait for something, unless asked to stop.

    Args:
        waiting: What is waited for.
        stop: Set when somebody asks to stop.
        running: The service.

    Returns:
        Whether it came.

    Raises:
        CordonError: The service ended by itself meanwhile.
        Exception: Whatever ended the service, or whatever `waiting` raised.
    """
    wanted = asyncio.create_task(waiting)
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({wanted, asked, running}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if running.done():
        wanted.cancel()
        running.result()
        raise CordonError("The service ended by itself; what it wrote above says why.")
    if not wanted.done():
        wanted.cancel()
        return False
    wanted.result()
    return True


async def ended(running: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended.

    What has not ended after `PATIENCE_S` (it waits for a broker that hangs, say) is told again,
    wherever it is: every task of the program is, but the one that calls this.
    """
    running.cancel()
    while not (await asyncio.wait({running}, timeout=PATIENCE_S))[0]:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        running.result()
