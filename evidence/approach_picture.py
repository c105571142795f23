"""A calendar of approaches: a line a day, an hour as wide as every other; as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, tzinfo

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color, HexColor

from devices.instants import MICROSECONDS, from_datetime, to_datetime
from evidence.approaches import Encounter, Summary
from evidence.keeping import Interval
from evidence.views.xml_text import text_of

WIDTH = 620.0
"""Points."""

_LEFT, _RIGHT, _TOP, _FOOT = 92.0, 44.0, 58.0, 40.0
_HOUR = (WIDTH - _LEFT - _RIGHT) / 24
_ROW = 11.0
_INK, _FAINT, _GAP = HexColor(0x333333), HexColor(0xDDDDDD), HexColor(0xC3CED8)
_LEVELS = {
    "contact": HexColor(0x7B1E3A),
    "alert": HexColor(0xD1495B),
    "pre_alert": HexColor(0xE0A458),
}
_LEAST_WIDTH = 2.0


def calendar(found: Summary, zone: tzinfo) -> str:
    """The picture, as the text of an SVG file.

    Days begin at midnight of the time zone; in one of 23 or 25 hours marks stand where a clock on the
    wall showed them.
    """
    days = _days(found, zone)
    height = _TOP + _ROW * len(days) + _FOOT
    drawing = Drawing(WIDTH, height)
    drawing.add(Rect(0, 0, WIDTH, height, fillColor=HexColor(0xFFFFFF), strokeColor=None))
    rows = {day: height - _TOP - _ROW * (number + 1) for number, day in enumerate(days)}
    title = f"Approaches of {found.wearer} to {found.protected}"
    drawing.add(String(8, height - 18, title, fontSize=11, fillColor=_INK))
    _legend(drawing, height - 34)
    for start, end in found.gaps:
        _bar(drawing, rows, (start, end), zone, _GAP, thin=False)
    _grid(drawing, rows, height)
    for one in found.encounters:
        _encounter(drawing, rows, one, found.to_us, zone)
    _totals(drawing, rows, found.encounters, zone)
    note = f"Hours in {found.zone}. Hollow: explained by staff. Numbers at the right: encounters that began that day."
    drawing.add(String(8, 10, note, fontSize=7, fillColor=_INK))
    return text_of(renderSVG.drawToString(drawing))


def _days(found: Summary, zone: tzinfo) -> list[date]:
    first = to_datetime(found.from_us).astimezone(zone).date()
    last = to_datetime(found.to_us - 1).astimezone(zone).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _grid(drawing: Drawing, rows: dict[date, float], height: float) -> None:
    bottom = min(rows.values())
    for hour in range(0, 25, 3):
        x = _LEFT + hour * _HOUR
        drawing.add(Line(x, bottom, x, height - _TOP, strokeColor=_FAINT, strokeWidth=0.5))
        text = String(x, height - _TOP + 3, f"{hour:02}", fontSize=7, fillColor=_INK)
        text.textAnchor = "middle"
        drawing.add(text)
    for day, y in rows.items():
        weekend = day.weekday() >= 5
        name = day.strftime("%a %Y-%m-%d")
        drawing.add(
            String(
                8, y + 2.5, name, fontSize=7, fillColor=_INK if not weekend else HexColor(0x888888)
            )
        )
        drawing.add(Line(_LEFT, y, WIDTH - _RIGHT, y, strokeColor=_FAINT, strokeWidth=0.3))


def _encounter(
    drawing: Drawing, rows: dict[date, float], one: Encounter, to_us: int, zone: tzinfo
) -> None:
    ended_us = to_us if one.ended_us is None else min(one.ended_us, to_us)
    _bar(
        drawing,
        rows,
        (one.began_us, max(ended_us, one.began_us + 1)),
        zone,
        _LEVELS[one.level],
        thin=True,
        hollow=one.is_explained,
    )


def _bar(
    drawing: Drawing,
    rows: dict[date, float],
    span: Interval,
    zone: tzinfo,
    colour: Color,
    *,
    thin: bool,
    hollow: bool = False,
) -> None:
    inset = 2.0 if thin else 0.0
    for day, start_h, end_h in _parts(span, zone):
        if day in rows:
            wide = max((end_h - start_h) * _HOUR, _LEAST_WIDTH if thin else 0.0)
            drawing.add(
                Rect(
                    _LEFT + start_h * _HOUR,
                    rows[day] + inset,
                    wide,
                    _ROW - 2 * inset,
                    fillColor=None if hollow else colour,
                    strokeColor=colour if hollow else None,
                    strokeWidth=0.9,
                )
            )


def _parts(span: Interval, zone: tzinfo) -> Iterator[tuple[date, float, float]]:
    """The days of a span, each with the hours of the wall between which it lies."""
    at_us, end_us = span
    while at_us < end_us:
        moment = to_datetime(at_us).astimezone(zone)
        midnight = datetime.combine(moment.date() + timedelta(days=1), datetime.min.time(), zone)
        next_us = min(from_datetime(midnight), end_us)
        last = to_datetime(next_us).astimezone(zone)
        end_h = 24.0 if next_us < end_us or last.date() > moment.date() else _hour(last)
        yield moment.date(), _hour(moment), max(end_h, _hour(moment))
        at_us = next_us


def _hour(moment: datetime) -> float:
    seconds = moment.minute * 60 + moment.second + moment.microsecond / MICROSECONDS
    return moment.hour + seconds / 3_600


def _totals(
    drawing: Drawing, rows: dict[date, float], encounters: Iterable[Encounter], zone: tzinfo
) -> None:
    counts = dict.fromkeys(rows, 0)
    for one in encounters:
        day = to_datetime(one.began_us).astimezone(zone).date()
        if day in counts:
            counts[day] += 1
    for day, count in counts.items():
        if count:
            text = String(
                WIDTH - _RIGHT + 8, rows[day] + 2.5, f"{count}", fontSize=7, fillColor=_INK
            )
            drawing.add(text)


def _legend(drawing: Drawing, y: float) -> None:
    x = 8.0
    marks = [(name.replace("_", "-"), colour) for name, colour in _LEVELS.items()]
    for name, colour in (*marks, ("nothing can be said", _GAP)):
        drawing.add(Rect(x, y, 9, 7, fillColor=colour, strokeColor=None))
        drawing.add(String(x + 13, y + 0.5, name, fontSize=7.5, fillColor=_INK))
        x += 30 + 4.2 * len(name)
