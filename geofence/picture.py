"""How everything stands, as arrays for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geofence.distance import ECCENTRICITY2
from geofence.layout import Layout
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.memory import RowArray
from geofence.plan import FloatArray, IntArray
from geofence.proximity import SIGMAS_PER_R68
from geofence.track import TrackArray
from geofence.watch import WatchArray, describe_all


@dataclass(frozen=True, slots=True)
class TrackPicture:
    """Where devices are: (T,) arrays in the order of `Plan.tracks`.

    Attributes:
        time_us: Time of the last fix used; `UNKNOWN_TIME_US` where there is none.
        lat_deg, lon_deg: Where the device is believed to have been then; NaN where there is none.
        accuracy_m: Radius of 68 % of that belief, whatever the device stated; NaN where there is
            none.
    """

    time_us: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray
    accuracy_m: FloatArray


@dataclass(frozen=True, slots=True)
class WatchPicture:
    """How things stand: (W,) arrays in the order of `Plan.watch_keys`.

    Attributes:
        level: Values of `Level`.
        distance_m, distance_low_m, distance_high_m, probability: As in `Transition`, NaN without
            a position.
        onset_us: Of the present episode; `UNKNOWN_TIME_US` while clear.
    """

    level: IntArray
    distance_m: FloatArray
    distance_low_m: FloatArray
    distance_high_m: FloatArray
    probability: FloatArray
    onset_us: IntArray


@dataclass(frozen=True, slots=True)
class Picture:
    """The state of everything at one instant, as copies."""

    tracks: TrackPicture
    watches: WatchPicture


def take_tracks(tracks: TrackArray) -> TrackPicture:
    """Copy where devices are out of tracks, all or some."""
    seen = tracks["time_us"] != UNKNOWN_TIME_US
    x, y, z = tracks["here_m"].T
    # On the ellipsoid, where the track is to within metres of height, this is exact.
    lat_deg = np.degrees(np.arctan2(z, (1 - ECCENTRICITY2) * np.hypot(x, y)))
    return TrackPicture(
        time_us=tracks["time_us"].copy(),
        lat_deg=np.where(seen, lat_deg, np.nan),
        lon_deg=np.where(seen, np.degrees(np.arctan2(y, x)), np.nan),
        accuracy_m=np.where(seen, tracks["here_sigma_m"] / SIGMAS_PER_R68, np.nan),
    )


def take_picture(
    tracks: TrackArray, watches: WatchArray, layout: Layout, limits: RowArray, scratch: RowArray
) -> Picture:
    """Copy the present state out of the engine's arrays."""
    numbers = np.empty((watches.size, 4))
    describe_all(tracks, watches, layout, limits, scratch, numbers)
    level = np.where(watches["unknown"] != 0, int(Level.UNKNOWN), watches["held"])
    return Picture(
        take_tracks(tracks),
        WatchPicture(
            level=level,
            distance_m=numbers[:, 0].copy(),
            distance_low_m=numbers[:, 1].copy(),
            distance_high_m=numbers[:, 2].copy(),
            probability=numbers[:, 3].copy(),
            onset_us=np.where(level == Level.CLEAR, UNKNOWN_TIME_US, watches["onset_us"]),
        ),
    )
