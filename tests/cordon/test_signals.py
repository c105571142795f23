"""Ending in order."""

from __future__ import annotations

import asyncio

import pytest

import cordon.signals
from cordon.signals import ended


async def test_what_did_not_hear_that_it_is_to_end_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cordon.signals, "PATIENCE_S", 0.02)
    told = 0

    async def deaf() -> None:
        nonlocal told
        while told < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1

    async def service() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(deaf())

    running = asyncio.create_task(service())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await ended(running)
    assert told == 3
