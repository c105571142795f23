"""KML 2.2: a folder per device with a point per fix, and the zones."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from devices.instants import to_iso
from evidence.views import NOTE
from evidence.views.facts import Facts, Fix, Ring, Zone
from evidence.views.xml_text import add, degrees, document


def kml(facts: Facts) -> str:
    """The document."""
    root = ET.Element("kml", {"xmlns": "http://www.opengis.net/kml/2.2"})
    top = add(root, "Document")
    add(top, "name", facts.case)
    add(top, "description", NOTE)
    for zone in facts.zones:
        _zone(top, zone)
    for device, track in facts.tracks.items():
        folder = add(top, "Folder")
        add(folder, "name", device)
        for fix in track:
            _point(folder, fix)
    return document(root)


def _point(folder: ET.Element, fix: Fix) -> None:
    place = add(folder, "Placemark")
    accuracy = "unknown" if fix.accuracy_m is None else f"{fix.accuracy_m:.2f} m"
    add(place, "description", f"accuracy {accuracy}; received {to_iso(fix.received_us)}")
    add(add(place, "TimeStamp"), "when", to_iso(fix.time_us))
    add(add(place, "Point"), "coordinates", f"{degrees(fix.lon_e7)},{degrees(fix.lat_e7)}")


def _zone(top: ET.Element, zone: Zone) -> None:
    place = add(top, "Placemark")
    add(place, "name", zone.name or zone.id)
    add(place, "description", f"{zone.type} {zone.id}")
    shapes = add(place, "MultiGeometry")
    for rings in zone.polygons:
        polygon = add(shapes, "Polygon")
        for number, ring in enumerate(rings):
            boundary = add(polygon, "innerBoundaryIs" if number else "outerBoundaryIs")
            add(add(boundary, "LinearRing"), "coordinates", _line(ring))


def _line(ring: Ring) -> str:
    return " ".join(f"{lon:.7f},{lat:.7f}" for lon, lat in ring)
