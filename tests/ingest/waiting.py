"""Waiting for a condition, with a limit, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any


async def until(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Returns once the condition holds; fails naming `what` otherwise."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while not condition():
        if loop.time() > end_s:
            raise AssertionError(f"not within {limit_s} s: {what}")
        await asyncio.sleep(0.01)


async def freeze(pid: int | None) -> None:
    """Stops a process where it stands; its connections stay open and answer nothing."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")

    def stopped() -> bool:  # the signal returns before the last thread has seen it
        states = [(task / "stat").read_text().rpartition(")")[2] for task in threads.iterdir()]
        return all(state.split()[0] == "T" for state in states)

    await until(stopped, "the process stands still")


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """The coroutine as a task that is cancelled at the end; its own failure is raised."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
