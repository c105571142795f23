"""A story and what it came to, as a table: plain, to be read and compared, or for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alerts.stories import Story
from alerts.told import CENTRE, HERSELF, Told
from devices.instants import MICROSECONDS

NOBODY = "nobody has acted"

_Moment = tuple[int, str, list[Told]]


def plain(story: Story, told: Iterable[Told], start_us: int) -> str:
    """What happens, and below it who is told what. Ends with a line break."""
    lines: list[str] = []
    for second, says, rows in _moments(story, told, start_us):
        lines.append(f"{_clock(second):>6}  {says}")
        lines += [f"        {one.who:<18} {one.by:<8} {one.what}" for one in rows]
    return "\n".join(lines) + "\n"


def markdown(story: Story, told: Iterable[Told], start_us: int) -> str:
    """The same for a page."""
    rings = f"{story.alert_m:g} m and {story.pre_alert_m:g} m"
    lines = [
        f"**{story.profile}** (rings of {rings}; she reads `{story.language}`)",
        "",
        "| at | what happens | who is told | by | what |",
        "|---|---|---|---|---|",
    ]
    for second, says, rows in _moments(story, told, start_us):
        for index, one in enumerate(rows or [None]):
            head = f"| {_clock(second)} | {says} " if index == 0 else "| | "
            cells = "| | | |" if one is None else f"| {one.who} | {one.by} | {one.what} |"
            lines.append(head + cells)
    return "\n".join(lines) + "\n"


def _moments(story: Story, told: Iterable[Told], start_us: int) -> Iterator[_Moment]:
    """By second: what happens in it, and what is told. What one hears by one channel, in order."""
    says: dict[int, list[str]] = {}
    rows: dict[int, list[Told]] = {}
    for beat in story.beats:
        says.setdefault(beat.at_s, []).append(beat.says)
    for one in told:
        rows.setdefault((one.at_us - start_us) // MICROSECONDS, []).append(one)
    for second in sorted(says.keys() | rows.keys()):
        found = sorted(rows.get(second, []), key=_rank)
        yield second, "; ".join(says.get(second, [NOBODY])), found


def _rank(one: Told) -> tuple[bool, bool, str, str]:
    return one.who != HERSELF, one.who != CENTRE, one.who, one.by


def _clock(second: int) -> str:
    return f"{second // 60}:{second % 60:02}"
