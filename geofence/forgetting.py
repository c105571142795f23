"""Lets go of places: of whom an engine's state holds where they were at a time, and clearing it.

A state holds more than the newest place of a device: the fix before, fixes that were odd, where it
stood still, a place it could not have reached. Each stands beside its time, and so can be told apart
from what came later. A place without a time is one that was let go of by its time alone: it counts as
held, whenever it was. Where the depth of a zone was measured is the exception: it has no time, it only
saves measuring anew, and `without_measures` takes it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from geofence.anomaly_state import new_anomalies
from geofence.companions import new_companions
from geofence.levels import UNKNOWN_TIME_US
from geofence.snapshot import Snapshot, decode_snapshot, encode_snapshot
from geofence.track import TrackArray, new_tracks

Times = Mapping[str, Sequence[tuple[int, int]]]
"""By device, from an instant to before another, in microseconds since 1970."""

_NEWEST = (("time_us", "time_us", "here_m"),)
_OLDER = (
    ("before_us", "before_us", "before_m"),
    ("odd_us", "odd_us", "odd_m"),
    ("odd_began_us", "odd_began_us", "odd_began_m"),
)
_ODD = (
    ("here_us", "here_us", "here_m"),
    ("prior_us", "prior_us", "prior_m"),
    ("there_us", "there_us", "there_m"),
    ("frozen_since_us", "time_us", "frozen_m"),
)
_COMPANY = (("anchor_us", "last_us", "anchor_m"), ("last_us", "last_us", "last_m"))
"""Places in a row: since when, until when, and where."""


def held(snapshot: Snapshot, times: Times) -> set[str]:
    """The devices of which a state holds a place of these times."""
    tracks, anomalies = snapshot.track_array(), snapshot.anomaly_array()
    found = {
        name
        for index, name in _named(snapshot.track_ids, times)
        if any(_holds(tracks[index], one, times[name]) for one in (*_NEWEST, *_OLDER))
        or any(_holds(anomalies[index], one, times[name]) for one in _ODD)
    }
    companions = snapshot.companion_array()
    return found | {
        name
        for index, pair in enumerate(snapshot.companion_keys)
        for side, name in enumerate(pair)
        if name in times
        and any(_holds(companions[index], one, times[name], side) for one in _COMPANY)
    }


def let_go(data: bytes, times: Times, now_us: int) -> tuple[bytes, set[str]]:
    """A state that holds none of these places.

    A device whose newest place it is has none until its next fix. Of the others only faults of
    their fixes are looked for anew. Levels stay as they are.

    Returns:
        The state, and the devices of which something was let go.

    Raises:
        geofence.snapshot.SnapshotError: The bytes are damaged or of another version.
    """
    snapshot = decode_snapshot(data)
    names = held(snapshot, times)
    tracks, anomalies = snapshot.track_array(), snapshot.anomaly_array().copy()
    for index, name in _named(snapshot.track_ids, names):
        _clear(tracks, index, times[name], now_us)
        anomalies[index] = new_anomalies(1)[0]
    companions = snapshot.companion_array().copy()
    for index, pair in enumerate(snapshot.companion_keys):
        if names.intersection(pair):
            companions[index] = new_companions(1)[0]
    cleared = msgspec.structs.replace(
        snapshot,
        tracks=tracks.tobytes(),
        anomalies=anomalies.tobytes(),
        companions=companions.tobytes(),
    )
    return encode_snapshot(cleared), names


def _clear(tracks: TrackArray, index: int, times: Iterable[tuple[int, int]], now_us: int) -> None:
    track = tracks[index]
    if any(_holds(track, one, times) for one in _NEWEST):
        tracks[index] = new_tracks(1, listening_us=now_us)[0]
        return
    for since, _, place in (one for one in _OLDER if _holds(track, one, times)):
        track[since] = UNKNOWN_TIME_US
        track[place] = 0.0
    if track["before_us"] == UNKNOWN_TIME_US:  # nothing is known of the way from there
        track["path_m"] = track["span_s"] = 0.0
    if UNKNOWN_TIME_US in {track["odd_us"], track["odd_began_us"]}:
        track["odd_count"] = 0


def _named(names: Sequence[str], wanted: Collection[str]) -> list[tuple[int, str]]:
    return [(index, name) for index, name in enumerate(names) if name in wanted]


def _holds(
    row: Any,
    fields: tuple[str, str, str],
    times: Iterable[tuple[int, int]],
    side: int | None = None,
) -> bool:
    since, until, place = (row[name] if side is None else row[name][side] for name in fields)
    if not np.any(place):
        return False
    if since == UNKNOWN_TIME_US:
        return True
    return any(since < end and until >= start for start, end in times)


def without_measures(data: bytes) -> bytes:
    """A state without the places at which depths of zones were measured: it decides the same.

    Raises:
        geofence.snapshot.SnapshotError: The bytes are damaged or of another version.
    """
    snapshot = decode_snapshot(data)
    watches = snapshot.watch_array()
    watches["from_m"] = np.nan
    return encode_snapshot(msgspec.structs.replace(snapshot, watches=watches.tobytes()))
