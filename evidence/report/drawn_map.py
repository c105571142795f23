"""The map: positions with their accuracy circles, and zones, on a plane around the middle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from reportlab.graphics.shapes import Circle, Drawing, Group, Line, Path, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor

from evidence.views.facts import Facts, Fix, OthersEvent, Zone
from evidence.views.xml_text import degrees

WIDTH, HEIGHT = 470.0, 330.0
"""Points."""

DRAWN_MOST = 1_500
"""Fixes drawn of a device; of more, every n-th, and the caption says so."""

COLOURS = (HexColor(0x1F5FA8), HexColor(0xB3401F), HexColor(0x3B7D3B), HexColor(0x7A4AA0))
ZONE_COLOUR = HexColor(0x8A1538)
VERDICT_COLOURS = {
    "supports": HexColor(0x008080),
    "contradicts": HexColor(0xC97A00),
    "says nothing": HexColor(0x777777),
}
"""Of what others stated: no device and no zone has one of these."""

OTHERS_MOST = 300
OTHERS_REACH_M = 20_000.0
"""Events of others that are drawn: so many, no farther from all else. The tables hold all."""

_INK = HexColor(0x333333)
_METRES_PER_DEGREE = 111_195.0
_LEAST_SPAN_M = 200.0
_MARGIN = 18.0
_ROUND = (1, 2, 5)


class Plane:
    """Degrees to points: equirectangular, true to scale in the middle of what is drawn."""

    def __init__(self, places: Sequence[tuple[float, float]], reach_m: float) -> None:
        lons, lats = [lon for lon, _ in places], [lat for _, lat in places]
        self.middle = ((min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2)
        self._shrink = math.cos(math.radians(self.middle[1]))
        wide_m = (max(lons) - min(lons)) * _METRES_PER_DEGREE * self._shrink + 2 * reach_m
        high_m = (max(lats) - min(lats)) * _METRES_PER_DEGREE + 2 * reach_m
        self.scale = min(
            (WIDTH - 2 * _MARGIN) / max(wide_m, _LEAST_SPAN_M),
            (HEIGHT - 2 * _MARGIN) / max(high_m, _LEAST_SPAN_M),
        )
        """Points per metre."""

    def metres(self, place: tuple[float, float]) -> tuple[float, float]:
        """East and north of the middle."""
        east_m = (place[0] - self.middle[0]) * _METRES_PER_DEGREE * self._shrink
        return east_m, (place[1] - self.middle[1]) * _METRES_PER_DEGREE

    def at(self, place: tuple[float, float]) -> tuple[float, float]:
        """Where a longitude and latitude lies on the drawing."""
        east_m, north_m = self.metres(place)
        return WIDTH / 2 + east_m * self.scale, HEIGHT / 2 + north_m * self.scale


def colours(facts: Facts) -> dict[str, Color]:
    """A colour per device, the same in map and timeline."""
    return {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(sorted(facts.tracks))}


def drawn_map(facts: Facts) -> Drawing | None:
    """The map; None where there is nothing to draw."""
    tracks = {device: thinned(track) for device, track in facts.tracks.items()}
    places = [fix.place for track in tracks.values() for fix in track]
    places += [p for zone in facts.zones for rings in zone.polygons for r in rings for p in r]
    others = others_drawn(facts)
    places += [place for one in others for place in one.outline]
    if not places:
        return None
    accuracies = [fix.accuracy_m or 0.0 for track in tracks.values() for fix in track]
    plane = Plane(places, max(accuracies, default=0.0))
    drawing = Drawing(WIDTH, HEIGHT)
    drawing.add(Rect(0, 0, WIDTH, HEIGHT, fillColor=HexColor(0xF7F7F4), strokeColor=None))
    for zone in facts.zones:
        drawing.add(_zone(zone, plane))
    by_colour = colours(facts)
    for device, track in tracks.items():
        drawing.add(_track(track, plane, by_colour[device]))
    for one in others:
        drawing.add(_others(one, plane))
    drawing.add(scale_bar(plane))
    drawing.add(_legend(facts, by_colour))
    drawing.add(Rect(0, 0, WIDTH, HEIGHT, fillColor=None, strokeColor=_INK, strokeWidth=0.5))
    return drawing


def others_drawn(facts: Facts) -> list[OthersEvent]:
    """Events of others on the map: one that lies elsewhere would make everything else a dot."""
    places = [fix.place for track in facts.tracks.values() for fix in track]
    places += [p for zone in facts.zones for rings in zone.polygons for r in rings for p in r]
    if not places:
        return list(facts.others[:OTHERS_MOST])
    plane = Plane(places, 0.0)
    edge_m = [abs(at) for place in places for at in plane.metres(place)]
    reach_m = max(edge_m) + OTHERS_REACH_M
    near = (one for one in facts.others if max(map(abs, plane.metres(one.middle))) <= reach_m)
    return list(itertools.islice(near, OTHERS_MOST))


def thinned(track: Sequence[Fix]) -> list[Fix]:
    """At most about `DRAWN_MOST` of the fixes, evenly."""
    return list(track[:: max(1, math.ceil(len(track) / DRAWN_MOST))])


def _track(track: Iterable[Fix], plane: Plane, colour: Color) -> Group:
    group, points = Group(), list[float]()
    faint = Color(colour.red, colour.green, colour.blue, 0.10)
    for fix in track:
        x, y = plane.at(fix.place)
        points += (x, y)
        if fix.accuracy_m is None:  # unknown is not perfect: a cross, no circle
            group.add(Line(x - 2, y - 2, x + 2, y + 2, strokeColor=colour, strokeWidth=0.6))
            group.add(Line(x - 2, y + 2, x + 2, y - 2, strokeColor=colour, strokeWidth=0.6))
            continue
        radius = fix.accuracy_m * plane.scale
        circle = Circle(x, y, radius, fillColor=faint, strokeColor=colour, strokeWidth=0.25)
        group.add(circle)
        group.add(Circle(x, y, 1.1, fillColor=colour, strokeColor=None))
    if len(points) > 2:
        group.add(PolyLine(points, strokeColor=colour, strokeWidth=0.5, strokeDashArray=[2, 2]))
    return group


def _zone(zone: Zone, plane: Plane) -> Group:
    group = Group()
    faint = Color(ZONE_COLOUR.red, ZONE_COLOUR.green, ZONE_COLOUR.blue, 0.07)
    for rings in zone.polygons:
        path = Path(fillColor=faint, strokeColor=ZONE_COLOUR, strokeWidth=0.8, fillMode=0)
        for ring in rings:
            for number, place in enumerate(ring):
                (path.lineTo if number else path.moveTo)(*plane.at(place))
            path.closePath()
        group.add(path)
    return group


def _others(one: OthersEvent, plane: Plane) -> Group:
    """The area that an event of others speaks of: dashed, so that nobody takes it for a position or a zone."""
    group, colour = Group(), VERDICT_COLOURS[one.verdict]
    path = Path(fillColor=None, strokeColor=colour, strokeWidth=0.7, strokeDashArray=[4, 2])
    for number, place in enumerate(one.outline):
        (path.lineTo if number else path.moveTo)(*plane.at(place))
    path.closePath()
    group.add(path)
    x, y = plane.at(one.middle)
    group.add(Rect(x - 2, y - 2, 4, 4, fillColor=None, strokeColor=colour, strokeWidth=0.9))
    group.add(String(x + 4, y + 3, one.name[:16], fontSize=6, fillColor=colour))
    return group


def scale_bar(plane: Plane) -> Group:
    """A bar of a round length, which way is north, and where the middle lies."""
    group = Group()
    lengths = [step * 10.0**power for power in range(6) for step in _ROUND]
    length_m = max((m for m in lengths if m * plane.scale <= WIDTH / 4), default=1.0)
    x, y, wide = 12.0, 14.0, length_m * plane.scale
    group.add(Rect(x, y, wide, 3, fillColor=_INK, strokeColor=None))
    text = f"{length_m:g} m" if length_m < 1000 else f"{length_m / 1000:g} km"
    group.add(String(x, y + 6, text, fontSize=7, fillColor=_INK))
    middle = " ".join(degrees(round(d * 1e7)) for d in reversed(plane.middle))
    group.add(String(x + wide + 10, y - 1, f"middle {middle}", fontSize=7, fillColor=_INK))
    group.add(Line(WIDTH - 16, y, WIDTH - 16, y + 22, strokeColor=_INK, strokeWidth=1))
    group.add(Line(WIDTH - 16, y + 22, WIDTH - 19, y + 15, strokeColor=_INK, strokeWidth=1))
    group.add(Line(WIDTH - 16, y + 22, WIDTH - 13, y + 15, strokeColor=_INK, strokeWidth=1))
    group.add(String(WIDTH - 18.5, y + 25, "N", fontSize=8, fillColor=_INK))
    return group


def _legend(facts: Facts, by_colour: dict[str, Color]) -> Group:
    group, y = Group(), HEIGHT - 14.0
    for device, colour in by_colour.items():
        group.add(Circle(14, y + 2.5, 3, fillColor=colour, strokeColor=None))
        text = f"{device}, {len(facts.tracks[device])} positions"
        group.add(String(22, y, text, fontSize=7.5, fillColor=_INK))
        y -= 11
    if facts.zones:
        group.add(Rect(11, y, 6, 6, fillColor=None, strokeColor=ZONE_COLOUR))
        group.add(String(22, y, "zones of the order", fontSize=7.5, fillColor=_INK))
        y -= 11
    for verdict in sorted({one.verdict for one in facts.others}):
        square = Rect(11.5, y + 0.5, 5, 5, fillColor=None, strokeColor=VERDICT_COLOURS[verdict])
        group.add(square)
        text = (
            f"stated by others; the record {verdict}{' of' if verdict == 'says nothing' else ''} it"
        )
        group.add(String(22, y, text, fontSize=7.5, fillColor=_INK))
        y -= 11
    return group
