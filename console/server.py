"""Runs applications inside the event loop that is already there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

import structlog
import uvicorn
from litestar import Litestar

from console.context import Console

log = structlog.get_logger("console")

SHUTDOWN_S = 2
"""How long open requests may take to end. Streams end at once, since the hub is closed first."""

BACKLOG = 128

KEEP_ALIVE_S = 15


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process that embeds it has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that the address is known before the server starts; port 0 = free.

    Whoever connects before the server runs waits in the backlog.

    Raises:
        OSError: The address is in use or is not this machine's.
        OverflowError: There is no such port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


async def serve_console(app: Litestar, bound: socket.socket) -> None:
    """Serve the console until cancelled, then end within about `SHUTDOWN_S`, open pages or not.

    Args:
        app: From `create_app`.
        bound: From `bind`; closed at the end.
    """
    console = app.state["console"]
    assert isinstance(console, Console)
    await serve(app, bound, name="console", at_end=console.hub.close)


async def serve(
    app: Litestar,
    bound: socket.socket,
    *,
    name: str,
    at_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve an application until cancelled.

    Args:
        app: What to serve.
        bound: From `bind`; closed at the end.
        name: For the log.
        at_end: Ends the streams that would go on for ever.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        access_log=False,  # it would hold sign-in tokens
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
        ws="none",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name=name)
    host, port = bound.getsockname()[:2]
    log.info("listening", what=name, host=host, port=port)
    try:
        await asyncio.shield(serving)
    finally:
        at_end()
        server.should_exit = True
        await serving
        bound.close()
