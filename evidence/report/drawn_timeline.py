"""The timeline: when each device was heard of, its silences, and what became of alerts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from reportlab.graphics.shapes import Circle, Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor

from devices.instants import to_iso
from evidence.export_gaps import SILENCE_S
from evidence.report.drawn_map import OTHERS_MOST, VERDICT_COLOURS, WIDTH, colours, thinned
from evidence.views.facts import Facts, Fix, OthersEvent

_LEFT = 92.0
_BAND = 22.0
_TICKS = 6
FILES_MOST = 8
"""Files of others that have a row of their own."""

_INK, _GREY, _SILENT = HexColor(0x333333), HexColor(0xBBBBBB), HexColor(0xF3D9A4)
_ALERT = HexColor(0x8A1538)


class _Axis:
    """Instants to points."""

    def __init__(self, start_us: int, end_us: int) -> None:
        self.start_us, self.span_us = start_us, max(end_us - start_us, 1)

    def at(self, time_us: int) -> float:
        part = (time_us - self.start_us) / self.span_us
        return _LEFT + min(max(part, 0.0), 1.0) * (WIDTH - _LEFT - 8)


def drawn_timeline(facts: Facts) -> Drawing:
    """The drawing, over the window that was asked for."""
    files = _files(facts)
    rows = [*sorted(facts.tracks), *(story.alert_id for story in facts.alerts[:12]), *files]
    height = _BAND * len(rows) + 26
    drawing = Drawing(WIDTH, height)
    axis = _Axis(*facts.window_us)
    _ticks(drawing, axis, height)
    by_colour = colours(facts)
    y = height - _BAND
    for device, track in sorted(facts.tracks.items()):
        drawing.add(String(0, y + 5, device[:18], fontSize=7.5, fillColor=_INK))
        _silences(drawing, axis, track, y)
        for fix in thinned(track):
            x = axis.at(fix.time_us)
            drawing.add(Line(x, y + 3, x, y + 13, strokeColor=by_colour[device], strokeWidth=0.6))
        y -= _BAND
    for story in facts.alerts[:12]:
        drawing.add(String(0, y + 5, f"alert {story.alert_id[:11]}", fontSize=7.5, fillColor=_INK))
        times = [axis.at(record.time_us) for record in story.steps]
        if times:
            drawing.add(Line(times[0], y + 8, times[-1], y + 8, strokeColor=_ALERT))
        for x in times:
            drawing.add(Circle(x, y + 8, 2.2, fillColor=_ALERT, strokeColor=None))
        y -= _BAND
    for name, events in files.items():
        drawing.add(String(0, y + 5, f"others: {name[:15]}", fontSize=7.5, fillColor=_INK))
        for event in events:
            _stated(drawing, axis, event, y)
        y -= _BAND
    return drawing


def _files(facts: Facts) -> dict[str, list[OthersEvent]]:
    """Events of others by the file that they are in."""
    found: dict[str, list[OthersEvent]] = {}
    for event in facts.others[:OTHERS_MOST]:
        found.setdefault(event.file, []).append(event)
    return dict(itertools.islice(found.items(), FILES_MOST))


def _stated(drawing: Drawing, axis: _Axis, event: OthersEvent, y: float) -> None:
    """A square at its time, a bar over the time that the source's clock leaves open."""
    colour = VERDICT_COLOURS[event.verdict]
    start, end = (axis.at(event.time_us + sign * event.error_us) for sign in (-1, 1))
    x = axis.at(event.time_us)
    drawing.add(Line(start, y + 8, end, y + 8, strokeColor=colour, strokeWidth=1))
    drawing.add(Rect(x - 2, y + 6, 4, 4, fillColor=None, strokeColor=colour, strokeWidth=0.9))


def _silences(drawing: Drawing, axis: _Axis, track: Sequence[Fix], y: float) -> None:
    times = [axis.start_us, *(fix.time_us for fix in track), axis.start_us + axis.span_us]
    for before, after in itertools.pairwise(times):
        if after - before >= SILENCE_S * 1e6:
            x, end = axis.at(before), axis.at(after)
            drawing.add(Rect(x, y + 1, end - x, 14, fillColor=_SILENT, strokeColor=None))


def _ticks(drawing: Drawing, axis: _Axis, height: float) -> None:
    for number in range(_TICKS + 1):
        time_us = axis.start_us + axis.span_us * number // _TICKS
        x = axis.at(time_us)
        drawing.add(Line(x, 16, x, height, strokeColor=_GREY, strokeWidth=0.3))
        text = to_iso(time_us)[11:19]
        anchor = "start" if number == 0 else "end" if number == _TICKS else "middle"
        drawing.add(String(x, 5, text, fontSize=7, fillColor=_INK, textAnchor=anchor))
    drawing.add(String(0, 5, to_iso(axis.start_us)[:10], fontSize=7, fillColor=_INK))
