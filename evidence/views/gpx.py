"""GPX 1.1: a track per device, cut where it was silent."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from devices.instants import to_iso
from evidence.export_gaps import SILENCE_S
from evidence.views import NOTE
from evidence.views.facts import Facts, Fix
from evidence.views.xml_text import add, degrees, document

_SPACE = "http://www.topografix.com/GPX/1/1"


def gpx(facts: Facts) -> str:
    """The document."""
    root = ET.Element("gpx", {"version": "1.1", "creator": "Cordon", "xmlns": _SPACE})
    metadata = add(root, "metadata")
    add(metadata, "name", facts.case)
    add(metadata, "desc", NOTE)
    for device, track in facts.tracks.items():
        parent = add(root, "trk")
        add(parent, "name", device)
        segment, before_us = None, 0
        for fix in track:
            if segment is None or fix.time_us - before_us >= SILENCE_S * 1e6:
                segment = add(parent, "trkseg")
            _point(segment, fix)
            before_us = fix.time_us
    return document(root)


def _point(segment: ET.Element, fix: Fix) -> None:
    """A point; GPX has no place for accuracy and time of receipt, so they are said in words."""
    point = add(segment, "trkpt", lat=degrees(fix.lat_e7), lon=degrees(fix.lon_e7))
    if fix.altitude_m is not None:
        add(point, "ele", f"{fix.altitude_m:.1f}")
    add(point, "time", to_iso(fix.time_us))
    accuracy = "unknown" if fix.accuracy_m is None else f"{fix.accuracy_m:.2f} m"
    add(point, "desc", f"accuracy {accuracy}; received {to_iso(fix.received_us)}; {fix.kind}")
    if fix.satellites is not None:
        add(point, "sat", str(fix.satellites))
    if fix.hdop is not None:
        add(point, "hdop", f"{fix.hdop:.2f}")
