"""The command line: ``cordon --help``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cordon import __version__
from cordon.added_commands import GroupWithAdded
from cordon.errors import CordonError
from cordon.settings import Settings, describe, load_settings

NAMED = {
    "authorize": "cordon.authorize_commands:authorize",
    "ca": "cordon.ca_commands:ca",
    "caseload": "cordon.caseload_commands:caseload",
    "conduct": "cordon.conduct_commands:conduct",
    "device": "cordon.device_commands:device",
    "doctor": "cordon.doctor_command:doctor",
    "evidence": "cordon.evidence_group:evidence",
    "profile": "cordon.profile_commands:profile",
    "replay": "cordon.replay_command:replay",
    "report": "cordon.report_commands:report",
    "simulate": "cordon.simulate_commands:simulate",
    "who-looked": "cordon.who_looked_command:who_looked",
    "witness": "cordon.witness_command:witness",
}
"""Commands that stand in modules of their own."""


@click.group(
    cls=GroupWithAdded,
    named=NAMED,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with settings. Also: CORDON_SETTINGS.",
)
@click.option(
    "--state",
    "state_directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where embedded servers keep their data. Also: CORDON_STATE_DIRECTORY.",
)
@click.pass_context
def cordon(
    context: click.Context, settings_file: Path | None, state_directory: Path | None
) -> None:
    """Cordon watches over people under protective orders and those they protect.

    \b
    See it work:            cordon demo
    Run it for real:        cordon serve
    Say who is protected:   cordon caseload check FILE, then: cordon caseload load FILE
    Let a device in:        cordon device provision DEVICE
    See what is wrong:      cordon doctor
    Play recorded tracks:   cordon simulate tracks FILE...
    See every setting:      cordon config
    See a policy in words:  cordon profile explain default
    Decide it once more:    cordon replay --case ORDER --purpose investigation
    Measure this version:   cordon bench encounters --file FILE
    """  # noqa: D301 - click's mark for "do not rewrap"
    settings = load_settings(settings_file)
    if state_directory is not None:
        document = {"state_directory": str(state_directory)}
        settings = _replace(settings, document)
    # Read when the engine is imported. Compiled kernels are kept for the next start.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(settings.state_directory) / "compiled"))
    context.obj = settings


def _replace(settings: Settings, changes: dict[str, str]) -> Settings:
    import msgspec  # noqa: PLC0415 - only when asked for

    return msgspec.structs.replace(settings, **changes)


@cordon.command()
@click.option(
    "--tracks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Play these recorded tracks (CSV or GPX) instead of the synthetic town.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=100),
    default=5.0,
    show_default=True,
    help="Play tracks this much faster than they were recorded: who watches should not wait.",
)
@click.option("--headless", is_flag=True, help="No console; for scripts.")
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="End by itself after so long. Without it: until Ctrl-C.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="At the end, print one JSON object with what was published, kept and alerted.",
)
@click.pass_obj
def demo(
    settings: Settings,
    tracks: tuple[Path, ...],
    speed: float,
    for_s: float | None,
    *,
    headless: bool,
    as_json: bool,
) -> None:
    """Start everything on this machine, with simulated people, and show it.

    An embedded broker and database, the service, its console and simulated tags and handsets that
    speak real MQTT. Ctrl-C stops all of it; the data stays in the state directory (.cordon/demo;
    recorded tracks have folders of their own beside it) and is there at the next start.

    \b
    Examples:
      cordon demo
      cordon demo --tracks walks.csv
      cordon demo --headless --for 60 --json
    """  # noqa: D301
    from cordon.demo import DemoOptions, run_demo  # noqa: PLC0415 - heavy: compiles, opens servers

    options = DemoOptions(
        tracks=tracks, speed=speed, for_s=for_s, headless=headless, as_json=as_json
    )
    sys.exit(run_demo(settings, options))


@cordon.command()
@click.option(
    "--standby",
    is_flag=True,
    help="Wait, and take over within about two seconds when the service in charge is gone.",
)
@click.pass_obj
def serve(settings: Settings, *, standby: bool) -> None:
    """Run the service: ingest, engine, alerts, evidence and console.

    Uses the broker and the database that the settings name, and embedded ones where they name
    none. Stops in order on SIGTERM or Ctrl-C.
    """
    from cordon.serve import run_serve  # noqa: PLC0415 - heavy: compiles, opens servers

    sys.exit(run_serve(settings, standby=standby))


@cordon.command()
@click.option("--schema", is_flag=True, help="The JSON schema of the settings file instead.")
@click.pass_obj
def config(settings: Settings, *, schema: bool) -> None:
    """Print every setting with what it means and the value in force.

    The output is a valid settings file: save it, change it, and name it with --settings.
    """
    if schema:
        import msgspec  # noqa: PLC0415 - only when asked for

        click.echo(
            msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Settings)), indent=2)
        )
    else:
        click.echo(describe(settings), nl=False)


@cordon.command()
@click.argument("name")
def operator(name: str) -> None:
    """Make an access token for an operator of the console.

    Prints the token once, for NAME to keep, and the line that lets it in, for the settings file.
    """
    import hashlib  # noqa: PLC0415 - only when asked for
    import json  # noqa: PLC0415 - only when asked for
    import secrets  # noqa: PLC0415 - only when asked for

    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    click.echo(f"Token for {name}, shown only now: {token}")
    click.echo(f"Sign in at <address of the console>/enter?token={token}")
    click.echo("In the settings file, under [console], in place of the line that is there:")
    # A JSON string is a TOML string, whatever quotes are in the name.
    click.echo(
        f'operators = [{{ name = {json.dumps(name, ensure_ascii=False)}, token_sha256 = "{digest}" }}]'
    )


def main() -> None:
    """Entry point: errors meant for people are printed as such, without a traceback."""
    try:
        cordon()
    except CordonError as error:
        click.echo(f"cordon: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
