"""What the console draws, put together from the worker's state. Holds only what passes by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import shapely
from pyproj import Geod
from shapely import affinity
from shapely.geometry import LineString, mapping

from console.views import DeviceView, WatchView, ZoneView
from cordon.errors import CordonError
from devices.caseload import (
    Circle,
    Condition,
    Corridor,
    Exclusion,
    Inclusion,
    Person,
    Proximity,
)
from devices.compiler import rings_m
from devices.geometry import read_line, read_zone
from devices.health_state import DeviceHealth
from devices.instants import to_iso
from devices.reports import MISSING, ORDINARY, Batch
from devices.synthetic import is_synthetic
from devices.watches import Bearer, Watch
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.picture import TrackPicture, WatchPicture

CIRCLE_CORNERS = 64
MAX_DEVICES_HEARD = 100_000
"""Devices whose battery and presence are remembered; more than any console can draw."""

NO_HEALTH: Mapping[str, DeviceHealth] = MappingProxyType({})

_geod = Geod(ellps="WGS84")


def circle_geometry(circle: Circle) -> dict[str, Any]:
    """A circle as a GeoJSON polygon whose corners lie on it (geodesic, WGS84)."""
    turns = [360.0 * i / CIRCLE_CORNERS for i in range(CIRCLE_CORNERS)]
    many = [circle.lon] * CIRCLE_CORNERS, [circle.lat] * CIRCLE_CORNERS
    lons, lats, _ = _geod.fwd(*many, turns, [circle.radius_m] * CIRCLE_CORNERS)
    # Beside the antimeridian the corners must not jump around the world.
    near = [circle.lon + (lon - circle.lon + 180.0) % 360.0 - 180.0 for lon in lons]
    ring = [[round(lon, 7), round(lat, 7)] for lon, lat in zip(near, lats, strict=True)]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def zone_geometry(zone: Exclusion | Inclusion) -> dict[str, Any]:
    """The zone's shape as GeoJSON, its corridors cut out."""
    if zone.circle is not None:
        whole = circle_geometry(zone.circle)
    else:
        assert zone.geometry is not None, "the rules let no zone without a shape into a caseload"
        whole = zone.geometry
    return _less_corridors(whole, zone.corridors) if zone.corridors else whole


def _less_corridors(whole: dict[str, Any], corridors: tuple[Corridor, ...]) -> dict[str, Any]:
    """To be looked at: widths are right at the zone's middle, and to 3 % 100 km north of it at 60."""
    area = read_zone(whole)
    middle = area.centroid
    degree_m = _geod.inv(middle.x, middle.y - 0.5, middle.x, middle.y + 0.5)[2]
    scale = math.cos(math.radians(middle.y)) * degree_m, degree_m
    place = affinity.scale(area, *scale, origin=middle)
    for corridor in corridors:
        line = read_line(corridor.geometry)
        line[:, 0] += 360.0 * np.round((middle.x - line[:, 0].mean()) / 360.0)
        way = affinity.scale(LineString(line), *scale, origin=middle)
        place = place.difference(way.buffer(corridor.width_m / 2))
    degrees = affinity.scale(place, 1 / scale[0], 1 / scale[1], origin=middle)
    return dict(mapping(shapely.set_precision(degrees, 1e-7)))


class Heard:
    """What devices said besides where they are: battery and presence, the newest of each.

    Attributes:
        refused: Messages and items refused, since the start of the process; without `ORDINARY`
            ones.
    """

    def __init__(self) -> None:
        self.refused = 0
        self.battery_pct: dict[str, int] = {}
        self.online: dict[str, bool] = {}

    def note(self, batch: Batch) -> None:
        """Take in a batch."""
        self.refused += sum(refusal.code not in ORDINARY for refusal in batch.refusals)
        # Plain loops: most batches hold a few fixes, for which arrays cost more than they save.
        told = zip(batch.fixes["device"].tolist(), batch.fixes["battery_pct"].tolist(), strict=True)
        for index, battery_pct in told:
            device = batch.devices[index]
            if battery_pct == MISSING:
                continue
            if device in self.battery_pct or len(self.battery_pct) < MAX_DEVICES_HEARD:
                self.battery_pct[device] = battery_pct
        for device in batch.devices:  # phones say when they go, and not that they are back
            if device in self.online:
                self.online[device] = True
        for status in batch.statuses:
            if status.device in self.online or len(self.online) < MAX_DEVICES_HEARD:
                self.online[status.device] = status.online


def device_views(
    seen: TrackPicture,
    tracks: tuple[str, ...],
    bearers: Mapping[str, Bearer],
    people: Mapping[str, Person],
    heard: Heard,
    health: Mapping[str, DeviceHealth] = NO_HEALTH,
) -> list[DeviceView]:
    """Every device that somebody carries or that has a place, in the order of their ids."""
    index = {device: i for i, device in enumerate(tracks)}
    views = []
    for device, bearer in sorted(bearers.items()):
        i = index.get(device)
        if i is None and bearer.person is None:
            continue
        known = i is not None and seen.time_us[i] != UNKNOWN_TIME_US
        person = people.get(bearer.person or "")
        views.append(
            DeviceView(
                id=device,
                kind=bearer.kind,
                person=bearer.person,
                name=person.name or person.id if person else "",
                role=bearer.role,
                lat=float(seen.lat_deg[i]) if known else None,
                lon=float(seen.lon_deg[i]) if known else None,
                accuracy_m=_known(float(seen.accuracy_m[i])) if known else None,
                fix_time=to_iso(int(seen.time_us[i])) if known else None,
                fix_interval_s=bearer.fix_interval_s,
                battery_pct=heard.battery_pct.get(device),
                online=heard.online.get(device),
                health=tuple(health[device].spells) if device in health else (),
            )
        )
    return views


def watch_views(
    stands: WatchPicture,
    keys: tuple[str, ...],
    watches: Mapping[str, Watch],
    conditions: Mapping[str, Condition],
) -> list[WatchView]:
    """Every watch of the plan, in the plan's order."""
    views = []
    for i, key in enumerate(keys):
        watch = watches[key]
        if is_synthetic(watch.condition_id):
            continue
        condition = conditions[watch.condition_id]
        rings = rings_m(condition) if isinstance(condition, Proximity) else (None, None, None)
        views.append(
            WatchView(
                key=key,
                condition=watch.condition,
                name=watch.name,
                wearer=watch.wearer,
                protected=watch.protected,
                tag=watch.tag,
                handset=watch.handset,
                level=Level(int(stands.level[i])).label,
                distance_m=_known(float(stands.distance_m[i])),
                low_m=_known(float(stands.distance_low_m[i])),
                high_m=_known(float(stands.distance_high_m[i])),
                probability=_known(float(stands.probability[i])),
                contact_m=rings[0],
                alert_m=rings[1],
                pre_alert_m=rings[2],
            )
        )
    return views


def zone_views(
    stands: WatchPicture,
    keys: tuple[str, ...],
    watches: Mapping[str, Watch],
    conditions: Mapping[str, Condition],
) -> list[ZoneView]:
    """The shape of every zone in force."""
    views = []
    for i, key in enumerate(keys):
        zone = conditions[watches[key].condition_id]
        if isinstance(zone, Proximity):
            continue
        kind: Literal["exclusion", "inclusion"] = (
            "exclusion" if isinstance(zone, Exclusion) else "inclusion"
        )
        views.append(
            ZoneView(
                key=key,
                name=zone.name,
                kind=kind,
                geometry=zone_geometry(zone),
                buffer_m=zone.buffer_m,
                level=Level(int(stands.level[i])).label,
            )
        )
    return views


def read_basemap(file: str) -> bytes | None:
    """The ground to draw people on, if the settings name one.

    Raises:
        CordonError: It cannot be read.
    """
    try:
        return Path(file).read_bytes() if file else None
    except OSError as error:
        raise CordonError(
            f"The map file {file} cannot be read: {error.strerror}. Correct console.basemap in the "
            "settings (CORDON_CONSOLE_BASEMAP), or leave it empty for a plain ground."
        ) from error


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
