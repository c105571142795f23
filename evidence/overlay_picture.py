"""The picture of a comparison: a map, and below it the time line; as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Circle, Drawing, Group, Line, Path, Rect, String
from reportlab.lib.colors import Color, HexColor

from devices.instants import MICROSECONDS, to_iso
from evidence.overlay_area import area_of
from evidence.overlay_compare import Beside, Finding
from evidence.overlay_reading import Comparison
from evidence.report.drawn_map import HEIGHT, WIDTH, Plane, scale_bar
from evidence.views.xml_text import text_of

DRAWN_MOST = 1_500
"""Events drawn; of more, every n-th, and the picture says so."""

ROWS_MOST = 20
"""Files that have a row of their own on the time line."""

NAMED_MOST = 40
"""Events up to which their names stand on the map."""

_NAME_CHARS = 16
_INK, _FAINT = HexColor(0x333333), HexColor(0xDDDDDD)
_COLOURS = {
    "supports": HexColor(0x1F5FA8),
    "contradicts": HexColor(0xB3401F),
    "says nothing": HexColor(0x777777),
}
_PERSON = HexColor(0x3B7D3B)
_LEFT, _ROW, _HEAD, _FOOT = 120.0, 16.0, 40.0, 44.0
_TICKS = 5
_PAD = 8.0


def picture(found: Comparison) -> str:
    """The text of an SVG file. Both verdicts are drawn as strongly."""
    step = max(1, math.ceil(len(found.findings) / DRAWN_MOST))
    findings = found.findings[::step]
    rows = list(dict.fromkeys(one.overlay_id for one in findings))[:ROWS_MOST]
    below = _ROW * (len(rows) + 1) + _FOOT
    height = _HEAD + HEIGHT + below
    drawing = Drawing(WIDTH + 2 * _PAD, height)
    drawing.add(
        Rect(0, 0, WIDTH + 2 * _PAD, height, fillColor=HexColor(0xFFFFFF), strokeColor=None)
    )
    _head(drawing, found, height, step)
    drawing.add(_shifted(_map(findings), _PAD, below))
    drawing.add(_shifted(_timeline(found, findings, rows), _PAD, 0))
    return text_of(renderSVG.drawToString(drawing))


def _shifted(group: Group, x: float, y: float) -> Group:
    group.translate(x, y)
    return group


def _head(drawing: Drawing, found: Comparison, height: float, step: int) -> None:
    title = f"Case {found.case} beside the positions of {found.person}"
    if step > 1:
        title += f" (one of {step} events is drawn)"
    drawing.add(String(_PAD, height - 16, title, fontSize=10, fillColor=_INK))
    x = _PAD
    for name, colour in (*_COLOURS.items(), (f"positions of {found.person}", _PERSON)):
        drawing.add(Rect(x, height - 32, 8, 8, fillColor=colour, strokeColor=None))
        drawing.add(String(x + 12, height - 31, name, fontSize=7.5, fillColor=_INK))
        x += 30 + 4.4 * len(name)


def _map(findings: Sequence[Finding]) -> Group:
    group = Group()
    group.add(Rect(0, 0, WIDTH, HEIGHT, fillColor=HexColor(0xF7F7F4), strokeColor=None))
    outlines = [(one, area_of(one.kind, one.event).outline()) for one in findings]
    fixes = {fix.time_us: fix for one in findings for fix in (one.before, one.after) if fix}
    places = [place for _, outline in outlines for place in outline]
    places += [(fix.lon, fix.lat) for fix in fixes.values()]
    if places:
        plane = Plane(places, 0.0)
        for one, outline in sorted(outlines, key=lambda pair: -pair[0].area_m2):
            group.add(_outlined(one, outline, plane, named=len(findings) <= NAMED_MOST))
        for fix in fixes.values():
            group.add(_fix(fix, plane))
        group.add(scale_bar(plane))
    group.add(Rect(0, 0, WIDTH, HEIGHT, fillColor=None, strokeColor=_INK, strokeWidth=0.5))
    return group


def _outlined(
    one: Finding, outline: Sequence[tuple[float, float]], plane: Plane, *, named: bool
) -> Group:
    colour = _COLOURS[one.verdict]
    faint = Color(colour.red, colour.green, colour.blue, 0.08)
    group = Group()
    path = Path(fillColor=faint, strokeColor=colour, strokeWidth=0.8)
    for number, place in enumerate(outline):
        (path.lineTo if number else path.moveTo)(*plane.at(place))
    path.closePath()
    group.add(path)
    x, y = plane.at((one.event.lon, one.event.lat))
    group.add(Rect(x - 1.8, y - 1.8, 3.6, 3.6, fillColor=colour, strokeColor=None))
    if named:
        group.add(String(x + 3, y + 3, one.event.name[:_NAME_CHARS], fontSize=6, fillColor=_INK))
    return group


def _fix(fix: Beside, plane: Plane) -> Group:
    x, y = plane.at((fix.lon, fix.lat))
    group = Group()
    faint = Color(_PERSON.red, _PERSON.green, _PERSON.blue, 0.10)
    radius = fix.sigma_m * 2.45 * plane.scale  # holds 95 %
    group.add(Circle(x, y, radius, fillColor=faint, strokeColor=_PERSON, strokeWidth=0.3))
    group.add(Circle(x, y, 1.4, fillColor=_PERSON, strokeColor=None))
    return group


class _Axis:
    """Instants to points."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        starts = [_reach(one)[0] for one in findings]
        ends = [_reach(one)[1] for one in findings]
        self.start_us = min(starts, default=0)
        self.span_us = max(max(ends, default=1) - self.start_us, MICROSECONDS)

    def at(self, time_us: int) -> float:
        part = (time_us - self.start_us) / self.span_us
        return _LEFT + min(max(part, 0.0), 1.0) * (WIDTH - _LEFT - 10)


def _reach(one: Finding) -> tuple[int, int]:
    error_us = round(one.event.clock_error_s * MICROSECONDS)
    return one.event.time_us - error_us, one.event.time_us + error_us


def _timeline(found: Comparison, findings: Sequence[Finding], rows: Sequence[UUID]) -> Group:
    group, axis = Group(), _Axis(findings)
    top = _FOOT + _ROW * (len(rows) + 1)
    for tick in range(_TICKS if findings else 0):
        at_us = axis.start_us + axis.span_us * tick // (_TICKS - 1)
        x = axis.at(at_us)
        group.add(Line(x, _FOOT - 8, x, top - 4, strokeColor=_FAINT, strokeWidth=0.5))
        text = String(
            x, _FOOT - 17, to_iso(at_us)[5:19].replace("T", " "), fontSize=6.5, fillColor=_INK
        )
        text.textAnchor = "end" if tick == _TICKS - 1 else "middle"
        group.add(text)
    names = {one.overlay_id: f"{one.kind}: {one.name}" for one in found.overlays}
    y = {overlay: top - _ROW * (number + 1) for number, overlay in enumerate(rows)}
    for overlay, row in y.items():
        group.add(String(0, row + 3, names[overlay][:26], fontSize=7, fillColor=_INK))
    for one in findings:
        if one.overlay_id in y:
            group.add(_mark(one, axis, y[one.overlay_id]))
    row = top - _ROW * (len(rows) + 1)
    group.add(String(0, row + 3, "positions beside events", fontSize=7, fillColor=_INK))
    for at_us in {fix.time_us for one in findings for fix in (one.before, one.after) if fix}:
        if axis.start_us <= at_us <= axis.start_us + axis.span_us:
            x = axis.at(at_us)
            group.add(Line(x, row + 1, x, row + 10, strokeColor=_PERSON, strokeWidth=0.6))
    note = "UTC. A bar is the time that the source's clock leaves open. Circles around positions hold 95 %."
    group.add(String(0, 8, note, fontSize=7, fillColor=_INK))
    return group


def _mark(one: Finding, axis: _Axis, row: float) -> Group:
    colour, group = _COLOURS[one.verdict], Group()
    start, end = (axis.at(at_us) for at_us in _reach(one))
    group.add(Rect(start, row + 3, max(end - start, 0.6), 5, fillColor=colour, strokeColor=None))
    group.add(
        Circle(axis.at(one.event.time_us), row + 5.5, 2.6, fillColor=colour, strokeColor=None)
    )
    return group
