"""``cordon evidence hand-over`` and ``take-over``: everything that is stored, to another keeper."""

from __future__ import annotations

from pathlib import Path

import click
import psycopg

from alerts.looks import EVERYBODY
from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_connection
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.store import update_tables
from evidence.handover_export import hand_over
from evidence.handover_import import take_over
from evidence.handover_tables import HandoverError, Manifest
from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry
from evidence.store import Store

Connection = psycopg.AsyncConnection


@click.command("hand-over")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--actor", required=True, help="Who takes it out.")
@click.option("--purpose", required=True, help="What for, and under what authority.")
@click.option("--recipient", required=True, help="Who is given it.")
@click.pass_obj
def hand_over_command(
    settings: Settings, folder: Path, actor: str, purpose: str, recipient: str
) -> None:
    """Write everything that is stored into FOLDER, for another keeper.

    Fixes, messages as received, decisions, alerts, the log with its salts, the caseload with its
    history: plain tables, described in docs/handover.md. Stop the service first. If it is
    interrupted, give the command again: it goes on. Who takes it out, what for and for whom is
    recorded before anything is read.

    What the log's key has signed is not in it: hand the key's files over by another way.
    """
    if not recipient.strip():
        raise CordonError("Name the recipient: who is given it stays in the record.")

    async def act(connection: Connection) -> Manifest:
        async def record() -> None:
            now_us = wall_clock_us()
            about = About("hand-over", [EVERYBODY], 0, now_us, f"for {recipient}")
            await note_inquiry(connection, Inquiry(actor, purpose, EVERYBODY), about, now_us)

        return await hand_over(connection, folder, record, _tell)

    manifest = run_on_connection(settings, act, HandoverError, InquiryError)
    click.echo(f"{folder} holds {sum(file.rows for file in manifest.files)} rows.")


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def import_command(settings: Settings, folder: Path) -> None:
    """Take over everything in FOLDER, which `cordon evidence hand-over` wrote, into an empty database.

    Every file is checked first; if one is damaged, nothing is imported. If it is interrupted, give
    the command again: it goes on. Afterwards `cordon evidence check` derives the whole log anew.
    """

    async def act(connection: Connection) -> Manifest:
        store = Store(dsn_of(settings))
        await store.migrate()
        await store.close()
        await update_tables(connection)
        return await take_over(connection, folder, _tell)

    manifest = run_on_connection(settings, act, HandoverError)
    click.echo(f"{sum(file.rows for file in manifest.files)} rows are here, as they were there.")


def _tell(step: str) -> None:
    click.echo(step, err=True)
