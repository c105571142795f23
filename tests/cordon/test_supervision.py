"""A part that fails is started again, and that is counted."""

from __future__ import annotations

import asyncio

from cordon.supervision import Supervisor


async def test_a_failing_part_is_started_again_until_cancelled() -> None:
    supervisor = Supervisor()
    ran = 0
    thrice = asyncio.Event()

    async def part() -> None:
        nonlocal ran
        ran += 1
        if ran == 3:
            thrice.set()
            await asyncio.Event().wait()
        if ran == 2:
            return  # a part that just ends is started again as well
        raise RuntimeError("broken")

    task = asyncio.create_task(supervisor.keep("part", part))
    await asyncio.wait_for(thrice.wait(), 30)
    assert supervisor.restarts["part"] == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_a_part_that_cancels_itself_is_started_again() -> None:
    supervisor = Supervisor()
    ran = 0
    twice = asyncio.Event()

    async def part() -> None:
        nonlocal ran
        ran += 1
        if ran == 2:
            twice.set()
            await asyncio.Event().wait()
        raise asyncio.CancelledError

    task = asyncio.create_task(supervisor.keep("part", part))
    await asyncio.wait_for(twice.wait(), 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_a_part_that_fails_while_being_cancelled_is_not_started_again() -> None:
    supervisor = Supervisor()
    runs = asyncio.Event()

    async def part() -> None:
        runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("could not clean up")

    task = asyncio.create_task(supervisor.keep("part", part))
    await asyncio.wait_for(runs.wait(), 30)
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    assert not supervisor.restarts
