"""``cordon authorize``: more of those who let devices in, in processes and on machines of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping

import click
import structlog
from nats.aio.client import Client as NatsClient

from cordon.broker_refusals import BrokerRefusals
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints, connect_nats, while_open
from cordon.errors import CordonError
from cordon.identity.doorkeeper import Doorkeeper
from cordon.identity.registry_feed import RegistryCopy, RegistryFeed
from cordon.identity.tokens import Issuer, TokenError
from cordon.keep import Keep
from cordon.logs import configure_logs
from cordon.servers import known_endpoints
from cordon.settings import Settings
from cordon.signals import ended, stopping_on_signals, unless_stopped
from cordon.supervision import Supervisor
from devices.credential_store import CredentialStore
from ingest.journal import JournalWriter

log = structlog.get_logger("authorize")


@click.command()
@click.option(
    "--new-key", is_flag=True, help="Only make a key for a server of yours, and print it."
)
@click.pass_obj
def authorize(settings: Settings, *, new_key: bool) -> None:
    """Let devices in beside the service, until told to stop.

    The service does so itself. With this one running too, devices that reconnect are let in while
    the service is being restarted. Works without the database; with it, changes made meanwhile are
    taken over too.
    """
    if new_key:
        issuer = Issuer(secrets.token_bytes(32))
        click.echo(f"In nats-server's configuration, as issuer of auth_callout: {issuer.public}")
        click.echo(f"In Cordon's settings, secret:  broker.issuer_seed = {issuer.seed}")
        return
    endpoints = known_endpoints(settings)
    if not endpoints.authorization_url:
        raise CordonError(
            "There is nothing to authorize: broker.devices is open, or broker.authorization_url is "
            "not set, so the broker lets devices in by its own rules."
        )
    configure_logs(settings.logs)
    try:
        asyncio.run(_authorize(endpoints))
    except TokenError as error:
        raise CordonError(f"broker.issuer_seed in the settings: {error}.") from error


async def _authorize(endpoints: Endpoints) -> None:
    nc = await connect_nats(endpoints.nats_url, "authorize")
    try:
        keep = await Keep.look(nc.jetstream())
        if keep is None:
            raise CordonError(
                "The broker holds no registry yet: start the service once, it puts it there."
            )
        name = f"authorizer-{secrets.token_hex(4)}"
        refusals = BrokerRefusals(JournalWriter(nc), wall_clock_us, name=name)
        registry = RegistryCopy(keep, nc)
        door = Doorkeeper(endpoints, registry, refusals, wall_clock_us)
        runs = door.runs() | {"broker-refusals": refusals.run, "registry": registry.run}
        if endpoints.dsn:  # so that revoking works while the service is away
            runs["credentials"] = RegistryFeed(CredentialStore(endpoints.dsn), keep, nc).run
        async with stopping_on_signals() as stop:
            running = asyncio.create_task(_run(nc, runs), name="authorize")
            log.info("authorizing", name=name)
            await unless_stopped(stop.wait(), stop, running)
            await ended(running)
    finally:
        await nc.close()


async def _run(nc: NatsClient, runs: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    supervisor = Supervisor()
    async with asyncio.TaskGroup() as group:
        for name, run in runs.items():
            group.create_task(supervisor.keep(name, run), name=name)
        group.create_task(while_open(nc), name="connections")
