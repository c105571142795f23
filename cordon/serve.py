"""``cordon serve``: servers, service and console until told to stop."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

import msgspec

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.logs import configure_logs
from cordon.servers import running_servers
from cordon.service import Service
from cordon.settings import Operator, Settings
from cordon.signals import stopping_on_signals
from cordon.terminal import Steps


def run_serve(settings: Settings) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logs(settings.logs)
    with Steps() as steps, running_servers(settings, steps.tell) as servers:
        settings, token = with_an_operator(settings)
        steps.tell("Starting the service (the first start compiles the engine)")
        return asyncio.run(_serve(settings, servers.endpoints, steps, token))


async def _serve(settings: Settings, endpoints: Endpoints, steps: Steps, token: str) -> int:
    service = Service(endpoints, settings, wall_clock_us)
    async with stopping_on_signals() as stop, asyncio.TaskGroup() as group:
        running = group.create_task(service.run(), name="service")
        ready = group.create_task(service.wait_ready())
        asking = group.create_task(stop.wait())
        await asyncio.wait({ready, asking}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            announce(steps, service, endpoints, token)
        await stop.wait()
        ready.cancel()
        running.cancel()
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
    """Settings with at least one operator; the token of the one that had to be made, or ''."""
    if settings.console.operators:
        return settings, ""
    token = secrets.token_urlsafe(24)
    operator = Operator(name="operator", token_sha256=hashlib.sha256(token.encode()).hexdigest())
    console = msgspec.structs.replace(settings.console, operators=(operator,))
    return msgspec.structs.replace(settings, console=console), token
