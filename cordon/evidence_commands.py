"""``cordon evidence``: the tamper-evident log, its keys, its checks and its exports."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, asks
from cordon.instant_option import FROM, TO, intervals
from cordon.logs import configure_logs
from cordon.seal import guard_of, sealer_of, witnesses_of
from cordon.settings import Settings
from evidence import seal_reader
from evidence.access import AccessDeniedError
from evidence.audit import Audit, audit
from evidence.case_records import Custody
from evidence.database import describe
from evidence.export import Exported, Signers, export
from evidence.log.notes import Checkpoint, parse_checkpoint
from evidence.log.signing import VerifierKey
from evidence.overlays import subject_of
from evidence.pack_vectors import vectors_text
from evidence.readings import Claim, Extent, open_reading, people_of_case, people_of_device
from evidence.seal_store import Connection
from evidence.sealing import RestoredError, recover
from evidence.selection import Asked, ExportError
from evidence.sides import Side
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


@evidence.command("export")
@asks
@click.option("--device", help="The records of this device alone, not everything of the order.")
@FROM
@TO
@click.option("--recipient", required=True, help="Who is given it.")
@click.option(
    "--side",
    type=click.Choice(get_args(Side)),
    default="court",
    help="Whose side it is for: the wearer's holds nothing of where she was.",
)
@click.option("--charged", multiple=True, metavar="ALERT", help="For the wearer's side: charged.")
@click.option(
    "--withhold",
    multiple=True,
    metavar="FROM/TO",
    callback=intervals,
    help="Show only the places of records between these instants, not their content.",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export_command(settings: Settings, /, folder: Path, claim: Claim, **given: Any) -> None:
    """Write what concerns a case into FOLDER, with proofs, a report and a verifier.

    Whoever gets the folder needs nothing of ours to check it. Within it no record can have been
    left out or altered unseen. What is not of this window and stands between is withheld: its
    place shows, its content does not. Who takes it out, what for and for whom is itself recorded
    and sealed, before anything is read; say in --note under what authority. It takes a grant of
    everybody whom the order is about, or who carried the device.

    \b
    Example:
      cordon evidence export --case order-1 --from 2026-11-23T18:00:00Z --to 2026-11-24T00:00:00Z \\
        --actor "Sgt Kim" --purpose disclosure --note "trial 26/118, production order" \\
        --recipient "Crown Court" out
    """  # noqa: D301
    guard, witnesses = guard_of(settings), witnesses_of(settings)
    witness_keys = [key for witness in witnesses for key in witness.keys]

    async def act(connection: Connection) -> Exported:
        logs = await seal_reader.all_logs(connection)
        log_keys = [key for state in logs for key in guard.pair(state.origin).keys]
        signers = Signers(log_keys, witness_keys, settings.evidence.quorum)
        asked = _asked(given, claim, claim.reader(connection))
        await open_reading(connection, claim, await _extent(connection, claim, asked))
        return await export(connection, asked, folder, signers, wall_clock_us)

    done = run_on_connection(settings, act, ExportError, AccessDeniedError)
    click.echo(
        f"{folder} holds {done.shown} records and the places of {done.withheld} withheld ones."
    )
    if done.older:
        click.echo(
            f"{done.older} records of this window were stored before there was a log. They are not "
            "in it: nothing proves them.",
            err=True,
        )
    if not done.witnessed:
        click.echo(
            "Too few witnesses have signed: this proves what we signed, not that we did not "
            "rewrite it. Name witnesses in evidence.witnesses.",
            err=True,
        )


def _asked(given: Mapping[str, Any], claim: Claim, reader: str) -> Asked:
    """What the options of `export` ask for."""
    device = given["device"] or ""
    custody = Custody(
        disclosure=str(uuid.uuid4()),
        case=f"device/{device}" if device else claim.case,
        actor=reader,
        purpose=": ".join(filter(None, (claim.purpose, claim.note))),
        recipient=given["recipient"],
        side=given["side"],
        from_us=given["from_us"],
        to_us=given["to_us"],
    )
    return Asked(custody, device, given["withhold"], frozenset(given["charged"]))


async def _extent(connection: Connection, claim: Claim, asked: Asked) -> Extent:
    """Whom an export is about; where nobody is known, the device or the case itself."""
    window, detail = asked.window, f"disclosure {asked.custody.disclosure}"
    if asked.device:
        people = await people_of_device(connection, asked.device, *window)
        subjects = people or [f"device:{asked.device}"]
        return Extent("export", subjects, *window, f"device {asked.device}, {detail}")
    subjects = await people_of_case(connection, claim.case) or [subject_of(claim.case)]
    return Extent("export", subjects, *window, detail)


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
