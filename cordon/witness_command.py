"""``cordon witness``: what another organisation runs, so that nobody can rewrite the record."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from cordon.clock import wall_clock_us
from cordon.errors import CordonError
from cordon.logs import configure_logs
from cordon.settings import Settings
from evidence.keys import KeyFileError, load_seeds
from evidence.log.notes import NoteFormatError, check_name
from evidence.log.signing import COSIGNATURE_ED25519, KeyPair, VerifierKey
from evidence.witness_server import WitnessDesk, WitnessMemory, WitnessServer


@click.command()
@click.option("--name", required=True, help="Name of this witness, as witness.example.org/w1.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where its keys and what it has signed are kept. Back it up; never go back to an old copy.",
)
@click.option(
    "--logs",
    "logs_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Public keys of the logs it watches, one a line, as `cordon evidence key` prints them.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8088, show_default=True)
@click.pass_obj
def witness(
    settings: Settings, name: str, directory: Path, logs_file: Path | None, host: str, port: int
) -> None:
    """Watch over the log of somebody else.

    A witness remembers the newest head of a log, and signs the next one only if it continues it. So
    whoever keeps the log cannot rewrite what it has signed, not even with all keys of their own.
    It learns a number and a hash, and nothing about anybody.

    Run it where those who keep the log have no access. Without --logs it prints its keys, which
    they need, and ends.
    """
    configure_logs(settings.logs)
    pair = _pair(name, directory)
    for key in pair.keys:
        click.echo(key.text)
    if logs_file is None:
        return
    memory = WitnessMemory(directory / "witness.sqlite")
    desk = WitnessDesk(pair, _logs(logs_file), memory, wall_clock_us)
    try:
        server = WitnessServer((host, port), desk)
    except OSError as error:
        raise CordonError(
            f"The witness cannot listen on {host}:{port}: {error.strerror}."
        ) from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        click.echo(f"Listening on http://{host}:{server.server_address[1]}")
        server.serve_forever()
    memory.close()


def _pair(name: str, directory: Path) -> KeyPair:
    try:
        check_name(name)
        return load_seeds(directory / "witness.keys").pair(name, COSIGNATURE_ED25519)
    except (KeyFileError, NoteFormatError) as error:
        raise CordonError(str(error)) from error


def _logs(file: Path) -> dict[str, list[VerifierKey]]:
    logs: dict[str, list[VerifierKey]] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.strip():
            try:
                key = VerifierKey.parse(line.strip())
            except NoteFormatError as error:
                raise CordonError(f"{file}, line {number}: {error}.") from error
            logs.setdefault(key.name, []).append(key)
    if not logs:
        raise CordonError(f"{file} names no log.")
    return logs
