"""What a database does to who asks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

import psycopg
import pytest


@contextlib.contextmanager
def never_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[asyncio.Future[psycopg.AsyncConnection]]:
    """No statement is answered meanwhile. Gives the connection on which the first one was asked."""
    asked: asyncio.Future[psycopg.AsyncConnection] = asyncio.get_running_loop().create_future()

    async def execute(connection: psycopg.AsyncConnection, *_: Any, **__: Any) -> NoReturn:
        if not asked.done():
            asked.set_result(connection)
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "execute", execute)
        yield asked
