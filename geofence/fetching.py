"""What the next fixes of a batch will touch, fetched while the present one is worked on."""

from __future__ import annotations

from geofence.kernel import kernel
from geofence.lanes import LANES
from geofence.layout import NO_ZONE, TermsArray
from geofence.memory import fetch
from geofence.plan import IntArray
from geofence.track import TrackArray
from geofence.watch import WatchArray

TRACK_LINES = 8
"""Cache lines of a track up to what is kept of odd fixes (see `geofence.filter.FILTER_FIELDS`); of
a watch and its terms only the first is fetched ahead."""

WATCHES_AHEAD = 8
"""Watches of one device that are fetched ahead, at the most."""


@kernel
def fetch_ahead(
    tracks: TrackArray, watches: WatchArray, terms: TermsArray, track_start: IntArray,
    track_watch: IntArray, track: IntArray, i: int,
) -> None:  # fmt: skip
    """Fetch what the fixes after the one at `i` will touch: the farther ahead, the less is known."""
    last = track.size - 1
    who = track[min(i + 4 + LANES, last)]
    if who >= 0:
        fetch(tracks, who, TRACK_LINES)
        fetch(track_start, who, 1)
    who = track[min(i + 3, last)]
    if who >= 0:
        fetch(track_watch, max(0, min(track_start[who], track_watch.size - 1)), 1)
    who = track[min(i + 2, last)]
    if who >= 0:
        first = track_start[who]
        for k in range(first, min(track_start[who + 1], first + WATCHES_AHEAD)):
            fetch(terms, track_watch[k], 1)
            fetch(watches, track_watch[k], 1)
    who = track[min(i + 1, last)]
    if who >= 0:
        first = track_start[who]
        for k in range(first, min(track_start[who + 1], first + WATCHES_AHEAD)):
            one = terms[track_watch[k]]
            if one["zone"] == NO_ZONE:
                fetch(tracks, one["first"] + one["second"] - who, 2)
