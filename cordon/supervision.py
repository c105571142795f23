"""Keep the parts of the service running.

A part that fails is told about loudly and started again: it rebuilds itself from the journal, so
a restart loses nothing, while a part left dead would lose protection in silence.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("supervision")

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
SETTLED_S = 30.0
"""A part that ran this long before failing is started again at once."""


class Supervisor:
    """Runs named parts, and counts how often each had to be started again."""

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self.failing: set[str] = set()

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run()` again and again until cancelled.

        A part may end by itself only by failing: one that returns is started again as well.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        delay_s = FIRST_DELAY_S
        while True:
            started_s = loop.time()
            try:
                await run()
                log.error("part_ended", part=name)
            except asyncio.CancelledError:
                if task.cancelling():
                    raise
                # Nobody cancelled us: a cancelled future inside the part got out of it.
                log.exception("part_cancelled_itself", part=name)
            except Exception:
                log.exception("part_failed", part=name)
            if (
                task.cancelling()
            ):  # it failed while it was being cancelled: that is no reason to stay
                raise asyncio.CancelledError
            if loop.time() - started_s > SETTLED_S:
                delay_s = FIRST_DELAY_S
            self.restarts[name] += 1
            self.failing.add(name)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            self.failing.discard(name)
