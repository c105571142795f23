"""``cordon serve``: servers, service and console until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import sys
from pathlib import Path

import msgspec

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.console_memory import kept_token
from cordon.errors import CordonError
from cordon.logs import configure_logs
from cordon.sections import Operator
from cordon.servers import Servers, running_servers
from cordon.service import Service
from cordon.settings import Settings
from cordon.signals import ended, stopping_on_signals, unless_stopped
from cordon.terminal import Steps


def run_serve(settings: Settings, *, standby: bool = False) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit code.

    Args:
        settings: See `cordon.settings`.
        standby: Take charge only when the service that is in charge is gone.

    Raises:
        CordonError: It cannot be run like this; the text says what to do.
    """
    configure_logs(settings.logs)
    if standby and not (settings.broker.nats_url and settings.database.url):
        raise CordonError(
            "A service that stands by needs the broker and the database of the one in charge: name "
            "both in the settings (broker.nats_url, database.url). Embedded ones end with it."
        )
    # Standard error carries the log, one JSON object a line.
    with Steps(sys.stdout) as steps, running_servers(settings, steps.tell) as servers:
        settings, token = with_an_operator(settings)
        if standby:
            steps.say("  Standing by: this one takes over when the service in charge is gone")
        else:
            steps.tell("Starting the service (the first start compiles the engine)")
        service = Service(
            servers.endpoints, settings, wall_clock_us, standby=standby, backroom=True
        )
        return asyncio.run(_serve(service, servers, steps, token))


async def _serve(service: Service, servers: Servers, steps: Steps, token: str) -> int:
    async with stopping_on_signals() as stop, contextlib.AsyncExitStack() as stack:
        running = asyncio.create_task(service.run(), name="service")
        stack.push_async_callback(ended, running)
        keeping = asyncio.create_task(servers.keep_alive(), name="servers")
        stack.push_async_callback(ended, keeping)
        if await unless_stopped(service.wait_ready(), stop, running):
            # What is there now stays: no collection has to go over it, which takes tens of ms.
            gc.collect()
            gc.freeze()
            announce(steps, service, servers.endpoints, token)
            await unless_stopped(stop.wait(), stop, running)
    return 0


def announce(steps: Steps, service: Service, endpoints: Endpoints, token: str) -> None:
    """Say where everything is."""
    address = service.console_address
    steps.say()
    steps.say(f"  Console   {address}{f'/enter?token={token}' if token else ''}")
    steps.say(f"  MQTT      {endpoints.mqtt_host}:{endpoints.mqtt_port}")
    steps.say(f"  Metrics   {address}/metrics")
    steps.say("  Stop      Ctrl-C")
    steps.say()


def with_an_operator(settings: Settings) -> tuple[Settings, str]:
    """Settings with at least one operator; the token of the one that had to be made, or ''.

    It is made once and kept, so that a page that is open, or a bookmark, outlives a restart.
    """
    if settings.console.operators:
        return settings, ""
    token = kept_token(Path(settings.state_directory) / "console.token")
    operator = Operator(name="operator", token_sha256=hashlib.sha256(token.encode()).hexdigest())
    console = msgspec.structs.replace(settings.console, operators=(operator,))
    return msgspec.structs.replace(settings, console=console), token
