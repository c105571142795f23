"""``cordon conduct``: courses of conduct, as the console shows them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from alerts.conduct import MIXED, Act, Pattern
from alerts.looks import EVERYBODY
from cordon.database_access import dsn_of, run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import asks
from cordon.settings import Settings
from devices.instants import MICROSECONDS, to_datetime
from evidence.access import AccessDeniedError, Connection
from evidence.conduct import KeptPattern, people_of_pattern
from evidence.reader import HistoryUnavailableError, Reader
from evidence.readings import Claim, Extent, open_reading

_REFUSALS = (AccessDeniedError, HistoryUnavailableError, ValueError)
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_STATES = {"going_on": "goes on", "over": "over", "withdrawn": "withdrawn"}


@click.group()
def conduct() -> None:
    """Courses of conduct: acts over days that are much together, each with what it rests on.

    docs/conduct.md says what counts as an act, and why. A pattern is no alert. It takes a grant, and
    the reading is recorded before anything is read; whom it is about can be told.
    """


@conduct.command("list")
@click.option("--limit", default=50, show_default=True, help="Most to print.")
@asks
@_AS_JSON
@click.pass_obj
def list_command(settings: Settings, limit: int, claim: Claim, *, as_json: bool) -> None:
    """Name the courses of conduct, those that go on first.

    They are of everybody: it takes a grant of an investigator with the subject *.
    """

    async def act(connection: Connection) -> list[Pattern]:
        await open_reading(connection, claim, Extent("conduct", [EVERYBODY]))
        return [one.pattern() for one in await Reader(dsn_of(settings)).patterns(limit)]

    patterns = run_on_connection(settings, act, *_REFUSALS)
    if as_json:
        click.echo(msgspec.json.encode(patterns).decode())
        return
    if not patterns:
        click.echo("No course of conduct has been recognised.")
    for pattern in patterns:
        click.echo(f"{pattern.pattern_id}  {_headline(pattern)}")


@conduct.command("show")
@click.argument("pattern_id")
@asks
@_AS_JSON
@click.pass_obj
def show_command(settings: Settings, pattern_id: str, claim: Claim, *, as_json: bool) -> None:
    """Print one with every act, its times, and the ids that it rests on.

    It takes a grant of both people whom it is about.
    """

    async def act(connection: Connection) -> KeptPattern | None:
        people = await people_of_pattern(connection, pattern_id)
        if not people:
            return None
        await open_reading(connection, claim, Extent("conduct", people, detail=pattern_id))
        return await Reader(dsn_of(settings)).pattern(pattern_id)

    found = run_on_connection(settings, act, *_REFUSALS)
    if found is None:
        raise CordonError(
            f"There is no course of conduct {pattern_id}. `cordon conduct list` names them."
        )
    pattern = found.pattern()
    if as_json:
        click.echo(msgspec.json.encode(pattern).decode())
    else:
        click.echo("\n".join(_lines(pattern)))


def _headline(pattern: Pattern) -> str:
    towards = f" towards {pattern.subject.protected}" if pattern.subject.protected else ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in pattern.occasions.items())
    lasting = ", more than two weeks" if pattern.persistent else ""
    return (
        f"{pattern.subject.wearer}{towards}: {kinds or 'nothing counts any more'}; "
        f"{_time(pattern.began_us)} to {_time(pattern.last_us)}{lasting}; {_STATES[pattern.state]}"
    )


def _lines(pattern: Pattern) -> Iterator[str]:
    yield _headline(pattern)
    yield f"version {pattern.version}, thresholds of the profile {pattern.subject.profile}:"
    for reason in pattern.reasons:
        what = "occasions of several kinds" if reason.kind == MIXED else f"of {reason.kind}"
        yield (
            f"  {reason.needed} {what} within {reason.within_days} days: reached from "
            f"{_time(reason.from_us)} to {_time(reason.to_us)}; {reason.found} in all"
        )
    for number, act in enumerate(pattern.acts):
        yield from _act(act)
        if number == 0 and pattern.left_out:
            yield f"... {pattern.left_out} acts are left out here"


def _act(act: Act) -> Iterator[str]:
    until = "goes on" if act.ended_us is None else _length(act.ended_us - act.began_us)
    measures = [
        ("nearest {:.0f} m", act.closest_m),
        ("{:.0f} s after her", act.lag_s),
        ("over {:.0f} m", act.moved_m),
    ]
    said = "".join(", " + text.format(value) for text, value in measures if value is not None)
    explained = f" [explained: {act.explained}; counts for nothing]" if act.explained else ""
    yield f"{_time(act.began_us)}  {act.kind}, {until}{said}{explained}"
    yield from (f"    {rest.kind:8} {rest.id}  {_time(rest.at_us)}" for rest in act.rests)


def _length(span_us: int) -> str:
    minutes, seconds = divmod(span_us // MICROSECONDS, 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _time(at_us: int) -> str:
    return to_datetime(at_us).strftime("%Y-%m-%d %H:%M:%SZ")
