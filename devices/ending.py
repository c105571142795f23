"""Hearing that one is to end.

A task is told so once, by a `CancelledError` where it waits. That can get lost: up to Python 3.11
`asyncio.wait_for` drops it when it comes together with what is waited for (nats-py and psycopg
wait that way), nats-py drops it while it waits for a full socket, and a client that fails while it
takes leave puts its own error in its place. A
loop that goes on then never ends, and whoever waits for it, a stop or a restart, waits for ever.
So loops that run until they are cancelled ask once in each round.
"""

from __future__ import annotations

import asyncio


def end_if_told() -> None:
    """Does nothing unless this task has been cancelled.

    Raises:
        asyncio.CancelledError: It has been, whether or not that was noticed.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
