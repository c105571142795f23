"""``cordon caseload``: check, load and show who is protected from whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from alerts.rings import ring_problems
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.policy import Policy
from cordon.settings import Settings
from devices.caseload import Caseload
from devices.loader import CaseloadError, read_caseload
from devices.store import CaseloadStore

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def caseload() -> None:
    """People, devices, orders and conditions: who is protected from whom.

    The caseload is one JSON or YAML document; docs/caseload.md describes it with an example.
    Loading adds and changes what the file names and leaves the rest; loading it twice changes
    nothing. A running service takes a change over at once.
    """


@caseload.command("check")
@click.argument("file", type=FILE)
@click.pass_obj
def check_command(settings: Settings, file: Path) -> None:
    """Say what is wrong with FILE, by line and field, without loading it."""
    try:
        read = read_caseload(file.read_bytes(), str(file))
    except CaseloadError as error:
        raise CordonError(str(error)) from error
    conditions = sum(len(order.conditions) for order in read.orders)
    click.echo(
        f"{file} is sound. People: {len(read.people)}, devices: {len(read.devices)}, "
        f"orders: {len(read.orders)}, conditions: {conditions}."
    )
    _measure_by_profiles(settings, read)


@caseload.command("load")
@click.argument("file", type=FILE)
@click.pass_obj
def load_command(settings: Settings, file: Path) -> None:
    """Check FILE and bring it into force.

    It may refer to what is in force already, so a file with one new order is enough to add it.
    """
    data = file.read_bytes()

    async def load(store: CaseloadStore) -> None:
        in_force = (await store.load()).caseload
        read = read_caseload(data, str(file), below=in_force)
        _measure_by_profiles(settings, read)
        saved = await store.save(read)
        if saved.changed:
            click.echo(f"{file} is in force as version {saved.version}.")
        else:
            click.echo(f"{file} changes nothing; version {saved.version} stays in force.")

    _with_store(settings, load)


@caseload.command("show")
@click.pass_obj
def show_command(settings: Settings) -> None:
    """Print the caseload in force as JSON that `load` takes back."""
    import msgspec  # noqa: PLC0415 - only when asked for

    async def show(store: CaseloadStore) -> None:
        stored = await store.load()
        click.echo(msgspec.json.format(msgspec.json.encode(stored.caseload), indent=2))

    _with_store(settings, show)


def _measure_by_profiles(settings: Settings, read: Caseload) -> None:
    """Say so when an order names a profile that is not there: it gets the default one.

    Raises:
        CordonError: An order's rings break what its profile says of them.
    """
    profiles = Policy(settings.alerts).profiles
    known = profiles.by_name
    for order in read.orders:
        if order.profile not in known:
            click.echo(
                f"Order {order.id} names the profile {order.profile!r}, which is not there: "
                f"the default applies. There are: {', '.join(sorted(known))}.",
                err=True,
            )
    problems = [
        problem
        for order in read.orders
        for problem in ring_problems(order, profiles.find(order.profile))
    ]
    if problems:
        raise CordonError("Rings that the law does not know:\n  - " + "\n  - ".join(problems))


def _with_store(settings: Settings, act: Callable[[CaseloadStore], Awaitable[None]]) -> None:
    """Do something with the caseload of the database that the settings name."""
    dsn = dsn_of(settings)

    async def run() -> None:
        store = CaseloadStore(dsn)
        try:
            await store.migrate()
            await act(store)
        finally:
            await store.close()

    try:
        run_on_database(settings, run())
    except CaseloadError as error:
        raise CordonError(str(error)) from error
