"""GeoJSON (RFC 7946): a point per fix, a polygon per zone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from devices.instants import to_iso
from evidence.views import NOTE
from evidence.views.facts import Facts, Fix, Zone


def geojson(facts: Facts) -> str:
    """The document. `note` says that it is a view."""
    features = [_point(fix) for track in facts.tracks.values() for fix in track]
    features += [_polygon(zone) for zone in facts.zones]
    document = {
        "type": "FeatureCollection",
        "note": NOTE,
        "case": facts.case,
        "features": features,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def properties(fix: Fix) -> dict[str, Any]:
    """What a fix says beside its place, instants as text."""
    found = asdict(fix)
    for name in ("lat_e7", "lon_e7", "time_us", "received_us"):
        del found[name]
    return {
        "time": to_iso(fix.time_us),
        "received": to_iso(fix.received_us),
        **found,
    }


def _point(fix: Fix) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": list(fix.place)}
    return {"type": "Feature", "geometry": geometry, "properties": properties(fix)}


def _polygon(zone: Zone) -> dict[str, Any]:
    geometry = {"type": "MultiPolygon", "coordinates": zone.polygons}
    about = {"zone": zone.id, "name": zone.name, "type": zone.type}
    return {"type": "Feature", "geometry": geometry, "properties": about}
