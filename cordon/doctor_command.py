"""``cordon doctor``: what is wrong with this installation, and what to do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import click
import msgspec
import nats.errors
from nats.aio.client import Client as NatsClient

from cordon.checks import broker, broker_settings, identity, record, storage
from cordon.checks.findings import Check, Finding, Patient
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.servers import known_endpoints
from cordon.settings import Settings

CHECKS: tuple[Check, ...] = (
    *broker.CHECKS,
    *broker_settings.CHECKS,
    *identity.CHECKS,
    *storage.CHECKS,
    *record.CHECKS,
)
CHECK_LIMIT_S = 30.0
CONNECT_S = 5
_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Look at a running installation: what is wrong, what it means, what to do.

    Ends with 1 when something has failed.
    """
    findings = asyncio.run(examine(settings, known_endpoints(settings)))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.state]}  {finding.name:14} {finding.meaning}")
            if finding.state != "ok" and finding.advice:
                click.echo(f"{'':20} {finding.advice}")
    sys.exit(any(finding.state == "fail" for finding in findings))


async def examine(settings: Settings, endpoints: Endpoints) -> list[Finding]:
    """What all checks find, in their order."""
    async with (
        _connected(endpoints.nats_url) as (service, why),
        _connected(endpoints.system_url) as (system, _),
    ):
        patient = Patient(settings, endpoints, wall_clock_us(), service, system, why)
        return [finding for check in CHECKS for finding in await _carried_out(check, patient)]


async def _carried_out(check: Check, patient: Patient) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            found = await check(patient)
    except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from us
        said = str(error) or type(error).__name__
        return [Finding(check.__name__, "fail", f"It could not be looked at: {said}")]
    return [found] if isinstance(found, Finding) else found


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[tuple[NatsClient | None, str]]:
    """A connection that does not try for long; without one, why not."""
    if not url:
        yield None, "no address"
        return
    nc, said = NatsClient(), ""

    async def note(error: Exception) -> None:
        nonlocal said
        said = str(error) or type(error).__name__

    connected = False
    try:
        # The last two govern the first connection, too, whatever `allow_reconnect` says.
        await nc.connect(
            url,
            allow_reconnect=False,
            connect_timeout=CONNECT_S,
            error_cb=note,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
        )
        connected = True
    except (nats.errors.Error, OSError) as error:
        said = said or str(error) or type(error).__name__
    try:
        yield (nc, "") if connected else (None, said)
    finally:
        with suppress(AssertionError):  # an address that cannot be one: it has not even begun
            await nc.close()
