"""``cordon conduct``: courses of conduct, as the console shows them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import click
import msgspec
import psycopg

from alerts.conduct import MIXED, Act, Pattern
from alerts.looks import EVERYBODY
from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.instants import MICROSECONDS, to_datetime
from evidence.inquiries import About, Inquiry, note_inquiry
from evidence.reader import HistoryUnavailableError, Reader

ResultT = TypeVar("ResultT")

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_STATES = {"going_on": "goes on", "over": "over", "withdrawn": "withdrawn"}


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say who asks, why and in which case: handed on as an `Inquiry`."""
    case = click.option("--case", required=True, help="In which case.")
    purpose = click.option("--purpose", required=True, help="Why, for the record.")
    actor = click.option("--actor", required=True, help="Who asks.")

    @functools.wraps(command)
    def asked(*args: object, actor: str, purpose: str, case: str, **options: object) -> None:
        command(*args, inquiry=Inquiry(actor, purpose, case), **options)

    return actor(purpose(case(asked)))


@click.group()
def conduct() -> None:
    """Courses of conduct: acts over days that are much together, each with what it rests on.

    docs/conduct.md says what counts as an act, and why. A pattern is no alert. Who asks, why and in
    which case is recorded before anything is shown; whom it is about can be told.
    """


@conduct.command("list")
@click.option("--limit", default=50, show_default=True, help="Most to print.")
@_asking
@_AS_JSON
@click.pass_obj
def list_command(settings: Settings, limit: int, inquiry: Inquiry, *, as_json: bool) -> None:
    """Name the courses of conduct, those that go on first."""
    patterns = _answer(settings, _listed(dsn_of(settings), inquiry, limit))
    if as_json:
        click.echo(msgspec.json.encode(patterns).decode())
        return
    if not patterns:
        click.echo("No course of conduct has been recognised.")
    for pattern in patterns:
        click.echo(f"{pattern.pattern_id}  {_headline(pattern)}")


@conduct.command("show")
@click.argument("pattern_id")
@_asking
@_AS_JSON
@click.pass_obj
def show_command(settings: Settings, pattern_id: str, inquiry: Inquiry, *, as_json: bool) -> None:
    """Print one with every act, its times, and the ids that it rests on."""
    pattern = _answer(settings, _shown(dsn_of(settings), inquiry, pattern_id))
    if as_json:
        click.echo(msgspec.json.encode(pattern).decode())
    else:
        click.echo("\n".join(_lines(pattern)))


def _answer(settings: Settings, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    try:
        return run_on_database(settings, work)
    except (HistoryUnavailableError, ValueError) as error:
        raise CordonError(str(error)) from error


async def _listed(dsn: str, inquiry: Inquiry, limit: int) -> list[Pattern]:
    await _note(dsn, inquiry, About("conduct", [EVERYBODY]))
    return [one.pattern() for one in await Reader(dsn).patterns(limit)]


async def _shown(dsn: str, inquiry: Inquiry, pattern_id: str) -> Pattern:
    found = await Reader(dsn).pattern(pattern_id)
    if found is None:
        raise CordonError(
            f"There is no course of conduct {pattern_id}. `cordon conduct list` names them."
        )
    pattern = found.pattern()
    people = filter(None, (pattern.subject.wearer, pattern.subject.protected))
    await _note(dsn, inquiry, About("conduct", people, pattern.began_us, pattern.last_us))
    return pattern


async def _note(dsn: str, inquiry: Inquiry, about: About) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await note_inquiry(connection, inquiry, about, wall_clock_us())


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
