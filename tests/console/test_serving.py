"""The console on a real socket: streams that begin, break, and end in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest

from console.server import SHUTDOWN_S, bind, serve_console
from tests.console.application import World
from tests.console.fake import TOKEN, alert


class Served(NamedTuple):
    """The application on a real socket, with a client that is signed in."""

    client: httpx.AsyncClient
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.task.cancel()
        async with asyncio.timeout(SHUTDOWN_S + 3):
            with contextlib.suppress(asyncio.CancelledError):
                await self.task


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[Served]:
    bound = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}"
    task = asyncio.create_task(serve_console(world.app, bound))
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        running = Served(client, task)
        try:
            answer = await client.get("/enter", params={"token": TOKEN})
            assert answer.status_code == 303
            yield running
        finally:
            await running.stop()


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


async def read_to_end(reader: AsyncIterator[tuple[str, str, Any]]) -> None:
    async with asyncio.timeout(5):
        async for _ in reader:
            pass


async def test_the_stream_over_a_real_connection_replays_after_a_break() -> None:
    world = World()
    async with served(world) as running:
        client = running.client
        async with client.stream("GET", "/api/v1/stream") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            _, seen, _ = await anext(events(response))
        world.hub.publish_alert(alert("a7"), "raised")
        async with client.stream("GET", f"/api/v1/stream?last={seen}") as response:
            reader = events(response)
            assert (await anext(reader))[0] == "hello"
            name, _, data = await anext(reader)
            assert (name, data["alert"]["alert_id"]) == ("alert", "a7")
            assert (await anext(reader))[0] == "beat"


async def test_a_reader_that_left_is_forgotten() -> None:
    world = World()
    async with served(world) as running:
        async with running.client.stream("GET", "/api/v1/stream") as response:
            await anext(events(response))
            assert len(world.hub) == 1
        async with asyncio.timeout(5):
            while len(world.hub):  # noqa: ASYNC110 - the server notices it, nobody tells us
                await asyncio.sleep(0.01)


async def test_a_stream_ends_with_its_session() -> None:
    world = World()
    async with served(world) as running, running.client.stream("GET", "/api/v1/stream") as response:
        reader = events(response)
        await anext(reader)
        world.backend.time.pass_s(world.access.session_s)
        await read_to_end(reader)


async def test_the_server_stops_in_time_with_streams_open() -> None:
    world = World()
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(served(world))
        streams = [
            await stack.enter_async_context(running.client.stream("GET", "/api/v1/stream"))
            for _ in range(3)
        ]
        readers = [events(response) for response in streams]
        for reader in readers:
            await anext(reader)
        await running.stop()
        assert running.task.cancelled()
        for reader in readers:
            await read_to_end(reader)
        assert len(world.hub) == 0


def test_an_address_in_use_is_an_error_at_once() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", port)
