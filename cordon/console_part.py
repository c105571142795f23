"""The console as a part of the service: where it listens, how it is served, and what it is shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

from console.access import Access, Operator
from console.app import create_app
from console.server import bind, serve_console
from cordon import __version__
from cordon.backend import ServiceBackend
from cordon.console_memory import SessionFile, bind_console
from cordon.errors import CordonError
from cordon.metrics import Metrics
from cordon.parts import Parts
from cordon.sections import Console
from devices.instants import Clock

POSITIONS_EVERY_S = 1.0


class ConsolePart:
    """Listens from the start, so that its address is known before anything runs.

    Args:
        settings: Of the console.
        home: Folder for the port it had and for its sessions.
        clock: The time.

    Raises:
        CordonError: The port cannot be had.
    """

    def __init__(self, settings: Console, home: Path, clock: Clock) -> None:
        self._settings = settings
        self._home = home
        self._clock = clock
        home.mkdir(parents=True, exist_ok=True)
        try:
            self._bound = bind_console(settings.host, settings.port, home / "console.port")
        except OSError as error:
            raise CordonError(
                f"The console cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "Choose another port with console.port, or 0 for any free one."
            ) from error
        self._at: tuple[str, int] = self._bound.getsockname()[:2]

    @property
    def address(self) -> str:
        """Where it is, for a browser on this machine."""
        host, port = self._at
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def serve(self, parts: Parts, backend: ServiceBackend) -> None:
        """Serve until cancelled."""
        operators = [
            Operator(name=one.name, token_sha256=one.token_sha256)
            for one in self._settings.operators
        ]
        access = Access(
            operators,
            self._clock,
            allowed_hosts=self._settings.allowed_hosts,
            store=SessionFile(self._home / "sessions.json"),
        )
        metrics = Metrics(parts)
        app = create_app(backend, parts.hub, access, metrics.text, version=__version__)
        if self._bound.fileno() < 0:  # serving closes it: after a failure there has to be a new one
            self._bound = bind(*self._at)
        parts.hub.open()
        await serve_console(app, self._bound)

    async def show_positions(self, parts: Parts, backend: ServiceBackend) -> None:
        """Once a second, to whoever looks: where everybody is, and how the service is."""
        while True:
            await asyncio.sleep(POSITIONS_EVERY_S)
            if len(parts.hub):
                picture = backend.picture()
                parts.hub.publish_positions(picture.devices, picture.watches)
                parts.hub.publish_service(picture.service)
