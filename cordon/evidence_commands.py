"""``cordon evidence``: the tamper-evident log, its keys, its checks and its exports."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON
from cordon.logs import configure_logs
from cordon.seal import guard_of, sealer_of, witnesses_of
from cordon.settings import Settings
from evidence import seal_reader
from evidence.audit import Audit, audit
from evidence.database import describe
from evidence.log.notes import Checkpoint, parse_checkpoint
from evidence.log.signing import VerifierKey
from evidence.pack_vectors import vectors_text
from evidence.seal_store import Connection
from evidence.sealing import RestoredError, recover
from evidence.single_file import verifier_text
from evidence.witness_client import WitnessError


@click.group()
def evidence() -> None:
    """The record that stands without us: sealed, witnessed, exported, verified.

    docs/evidence.md says what is proven against whom, and how to check it without this program.
    """


@evidence.command("key")
@click.pass_obj
def key_command(settings: Settings) -> None:
    """Print the public keys of the log, one a line, for witnesses and verifiers."""

    async def names(connection: Connection) -> list[str]:
        return [state.origin for state in await seal_reader.all_logs(connection)]

    origins = run_on_connection(settings, names)
    if not origins:
        raise CordonError("There is no log yet: it begins with the first batch that is sealed.")
    guard = guard_of(settings)
    for origin in origins:
        for key in guard.pair(origin).keys:
            click.echo(key.text)


@evidence.command("seal")
@click.option("--once", is_flag=True, help="Seal what is stored now, have it witnessed, and end.")
@click.pass_obj
def seal_command(settings: Settings, *, once: bool) -> None:
    """Seal apart from the service, until told to stop.

    Set evidence.sealer to "apart" for the service, and run this beside it: as another user of the
    system, or on another machine, it can hold keys that the service cannot read.
    """
    configure_logs(settings.logs)
    sealer = sealer_of(settings, dsn_of(settings), wall_clock_us)

    async def turn() -> None:
        try:
            await sealer.turn()
        except (psycopg.Error, RuntimeError, ValueError) as error:
            raise CordonError(f"Nothing was sealed: {describe_refusal(error)}") from error

    if once:
        asyncio.run(turn())
        click.echo(
            f"Sealed: {sealer.progress.size} batches, "
            f"witnessed up to {sealer.progress.cosigned_size}."
        )
        return
    try:
        asyncio.run(sealer.run())
    except KeyboardInterrupt:
        click.echo("Stopped.")


@evidence.command("recover")
@click.option("--actor", required=True, help="Who decides.")
@click.option("--reason", required=True, help="What happened, for the record.")
@click.pass_obj
def recover_command(settings: Settings, actor: str, reason: str) -> None:
    """Begin a new log after an older state of the database had to be restored.

    Only when no newer state can be had: what the old log sealed after that state cannot be proven
    any more. The record of it is the first thing the new log covers. Tell the witnesses, who have
    to accept the new log's keys: `cordon evidence key` prints them.
    """
    guard = guard_of(settings)

    async def act(connection: Connection) -> str:
        state = await recover(connection, guard, wall_clock_us(), actor, reason)
        return state.origin

    try:
        click.echo(f"The log {run_on_connection(settings, act)} has begun.")
    except RestoredError as error:
        raise CordonError(str(error)) from error


@evidence.command("check")
@AS_JSON
@click.pass_obj
def check_command(settings: Settings, *, as_json: bool) -> None:
    """Check the whole database against its log, and the log against its witnesses.

    Every leaf is derived anew; takes half a minute for a million rows. Ends with 1 if anything is
    not as it was sealed.
    """
    guard, witnesses = guard_of(settings), witnesses_of(settings)

    async def check(connection: Connection) -> Audit:
        logs = await seal_reader.all_logs(connection)
        keys: list[VerifierKey] = []
        heads: list[tuple[str, Checkpoint]] = []
        for state in logs:
            keys += guard.pair(state.origin).keys
            seen = guard.seen(state.origin)
            heads.append(("the key's guard", Checkpoint(state.origin, seen.size, seen.root)))
            for witness in witnesses:
                note = await asyncio.to_thread(witness.newest, state.origin)
                if note is not None:
                    heads.append((f"the witness {witness.name}", parse_checkpoint(note.text)))
        return await audit(connection, keys, heads)

    try:
        found = run_on_connection(settings, check)
    except WitnessError as error:
        raise CordonError(f"A witness does not answer, so nothing is proven: {error}") from error
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for finding in found.findings:
            click.echo(f"WRONG: {finding}")
        click.echo(
            f"{found.rows - found.erased} rows in {found.batches} batches are as they were sealed, "
            f"{found.erased} more were erased, each under a record; "
            f"{found.waiting} wait to be sealed, {found.uncovered} are older than the log."
        )
    sys.exit(bool(found.findings))


@evidence.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--keys", type=click.Path(path_type=Path, exists=True), help="Keys that you trust.")
@click.option("--witnesses", type=click.IntRange(0), help="How many must have signed.")
@click.option("--table", type=click.Path(path_type=Path), help="Write the proven fixes as CSV.")
@AS_JSON
def verify_command(
    folder: Path, keys: Path | None, witnesses: int | None, table: Path | None, *, as_json: bool
) -> None:
    """Check an export in FOLDER, with the verifier that every export holds.

    Ends with 0: all is proven; 1: something was altered or is missing; 2: this is no export;
    3: too few witnesses signed, or no trusted keys were named.
    """
    options = {"--keys": keys, "--witnesses": witnesses, "--table": table}
    named = [str(part) for pair in options.items() if pair[1] is not None for part in pair]
    named += ["--json"] if as_json else []
    command = [sys.executable, "-I", "-", str(folder), *named]
    done = subprocess.run(command, input=verifier_text(), text=True, check=False)  # noqa: S603 - our own program
    sys.exit(done.returncode)


@evidence.command("vectors")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def vectors_command(file: Path) -> None:
    """Write test vectors for verifiers of packs to FILE: whole packs, and forgeries.

    docs/vectors/README.md says how to test a verifier of your own with them.
    """
    file.write_text(vectors_text(file.read_text() if file.exists() else ""))


def describe_refusal(error: Exception) -> str:
    """Why a step of the sealer was not taken, for people."""
    return describe(error) if isinstance(error, psycopg.Error) else str(error)
