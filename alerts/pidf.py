"""A position as PIDF-LO (RFC 4119, 5491): a circle that holds the truth with 95 % (RFC 7459).

What is kept is the radius of 68 %. Of an error that is normal and the same in all directions, the radius
grows with the root of the logarithm of what is left outside: 1.62 times that for 95 %.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from devices.instants import to_iso

CONFIDENCE_PCT = 95
RADIUS_FACTOR = math.sqrt(math.log(1 - CONFIDENCE_PCT / 100) / math.log(1 - 0.68))

_WGS84 = "urn:ogc:def:crs:EPSG::4326"
_METRE = "urn:ogc:def:uom:EPSG::9001"


class Place(NamedTuple):
    """Where a device was when it last knew.

    Attributes:
        lat_deg, lon_deg: WGS84.
        accuracy_m: Radius of 68 %; None for unknown.
        fix_us: When it was there.
    """

    lat_deg: float
    lon_deg: float
    accuracy_m: float | None
    fix_us: int


def pidf_lo(place: Place, entity: str, device: str) -> str:
    """The document.

    Args:
        place: Where.
        entity: ``pres:`` and whom it speaks of; no person's name.
        device: XML id of the device: letters, digits, ``-``, ``_``, beginning with a letter.
    """
    at = f"{place.lat_deg:.6f} {place.lon_deg:.6f}"
    if place.accuracy_m is None:
        shape = f'<gml:Point srsName="{_WGS84}"><gml:pos>{at}</gml:pos></gml:Point>'
        confidence = "<con:confidence>unknown</con:confidence>"
    else:
        radius = f"{place.accuracy_m * RADIUS_FACTOR:.1f}"
        shape = (
            f'<gs:Circle srsName="{_WGS84}"><gml:pos>{at}</gml:pos>'
            f'<gs:radius uom="{_METRE}">{radius}</gs:radius></gs:Circle>'
        )
        confidence = f'<con:confidence pdf="normal">{CONFIDENCE_PCT}</con:confidence>'
    return (
        '<presence xmlns="urn:ietf:params:xml:ns:pidf"'
        ' xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
        ' xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"'
        ' xmlns:gs="http://www.opengis.net/pidflo/1.0"'
        ' xmlns:gml="http://www.opengis.net/gml"'
        ' xmlns:con="urn:ietf:params:xml:ns:geopriv:conf"'
        f" entity={quoteattr(entity)}><dm:device id={quoteattr(device)}><gp:geopriv>"
        f"<gp:location-info>{shape}{confidence}</gp:location-info><gp:usage-rules/></gp:geopriv>"
        f"<dm:timestamp>{escape(to_iso(place.fix_us))}</dm:timestamp></dm:device></presence>"
    )
