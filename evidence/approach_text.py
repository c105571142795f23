"""A summary of repeated approaches for people: Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from devices.instants import MICROSECONDS, to_datetime
from evidence.approaches import Encounter, Summary

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

CANNOT_TELL = (
    "Distances are those of decisions, which are made when a level changes: within one level he can "
    "have come nearer. In the times listed at the end nothing can be said, neither that he came nor that "
    "he did not. Nothing here says why anybody was where he was. Not for the wearer's side: instants "
    "and distances beside his own track tell where she was."
)


def text_of(found: Summary, zone: tzinfo) -> str:
    """The whole page."""
    return "\n".join(
        [*_head(found, zone), *_encounters(found, zone), *_counts(found), *_gaps(found, zone), ""]
    )


def _head(found: Summary, zone: tzinfo) -> list[str]:
    span = f"{_moment(found.from_us, zone)} to {_moment(found.to_us, zone)}"
    levels = ", ".join(f"{count} {_words(level)}" for level, count in found.levels.items())
    many = f"{len(found.encounters)} encounter{'' if len(found.encounters) == 1 else 's'}"
    counts = (
        f"**{many}** ({levels}); {found.explained} of them explained by staff, "
        f"{found.predicted} only predicted. For {_length(found.gap_s)} of {_length(_span_s(found))} "
        "nothing can be said."
    )
    title = f"# Approaches of {_cell(found.wearer)} to {_cell(found.protected)}"
    return [title, "", f"{span}, times in {found.zone}.", "", counts, "", CANNOT_TELL]


def _encounters(found: Summary, zone: tzinfo) -> list[str]:
    rows = [_row(number, one, zone) for number, one in enumerate(found.encounters, 1)]
    head = ("", "began", "lasted", "level", "nearest, m (95 %)", "rests on", "staff say")
    return (
        ["", "## Encounters", "", *_table(head, rows)] if rows else ["", "There is no encounter."]
    )


def _row(number: int, one: Encounter, zone: tzinfo) -> tuple[str, ...]:
    lasted = (
        "goes on" if one.ended_us is None else _length((one.ended_us - one.began_us) / MICROSECONDS)
    )
    nearest = "not measured"
    if one.nearest is not None:
        low_m, high_m = one.nearest.low_m, one.nearest.high_m
        nearest = f"{one.nearest.distance_m:.0f} ({low_m:.0f} to {high_m:.0f})"
    rests = (
        "his tag heard her device"
        if one.heard
        else "positions"
        if one.is_measured
        else "prediction"
    )
    outcome = ", ".join(one.outcomes).replace("_", " ") or "nothing yet"
    said = f"{outcome}: explained" if one.is_explained else outcome
    return f"{number}", _moment(one.began_us, zone), lasted, _words(one.level), nearest, rests, said


def _counts(found: Summary) -> list[str]:
    hours = [hour for hour in range(24) if any(day[hour] for day in found.hours)]
    if not hours:
        return []
    by_day = [
        (DAYS[day], *(_count(counts[hour]) for hour in hours), f"{sum(counts)}")
        for day, counts in enumerate(found.hours)
    ]
    weeks = [(one.name, f"{one.encounters}", _count(one.explained)) for one in found.weeks]
    return [
        *("", "## By day and hour of their beginning", ""),
        *_table(("", *(f"{hour:02}" for hour in hours), "all"), by_day),
        *("", "## By week", ""),
        *_table(("week", "encounters", "explained"), weeks),
    ]


def _gaps(found: Summary, zone: tzinfo) -> list[str]:
    rows = [
        (_moment(start, zone), _moment(end, zone), _length((end - start) / MICROSECONDS))
        for start, end in found.gaps
    ]
    title = ["", "## Times in which nothing can be said", ""]
    if not rows:
        return [*title, "None was decided to be so. Before the first decision nobody was watched."]
    return [*title, *_table(("from", "to", "lasting"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cut = "|---" * len(head) + "|"
    return [_line(head), cut, *(_line([_cell(cell) for cell in row]) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """Nothing in an id or a note makes markup."""
    plain = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\|`*_<>[]#" else sign for sign in plain)


def _words(level: str) -> str:
    return level.replace("_", "-")


def _count(count: int) -> str:
    return f"{count}" if count else ""


def _span_s(found: Summary) -> float:
    return (found.to_us - found.from_us) / MICROSECONDS


def _moment(at_us: int, zone: tzinfo) -> str:
    moment: datetime = to_datetime(at_us).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _length(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest_s, "s"))
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2]) or "0 s"
