"""A plan as the kernels read it: pairs and zones as watches of one kind, and who touches what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.plan import FloatArray, IntArray, Pairs, Plan, ZoneKind, Zones
from geofence.planes import Planes, lay_flat
from geofence.rules import Rules, in_microseconds

RINGS = 3
"""Columns of the rings: pre-alert, alert, contact. Ring r belongs to level r + 1."""

ALERT_RING = 1
CONTACT_RING = 2
NO_TRACK = -1


class Layout(NamedTuple):
    """W watches (P pairs, then Z zones) of T tracks.

    A watch measures one number, its *depth*: the distance of a pair, or the signed distance to
    the forbidden side of a zone (that is outside, for an inclusion zone). The smaller, the worse.

    Attributes:
        pair_count: P.
        first, second: (W,) tracks; `NO_TRACK` as second of a zone.
        enter_m: (W, 3) rings in terms of the depth; NaN where a watch has no such ring.
        hold_m: (W, 3) the same, widened for leaving.
        overdue_us: (W,) how long a watch may go without a decision.
        depth_sign: (Z,) 1 for exclusion, -1 for inclusion: depth = sign times signed distance.
        planes: The zones' outlines and corridors.
        track_start: (T + 1,) offsets into `track_watch`.
        track_watch: Watches of each track, growing.
    """

    pair_count: int
    first: IntArray
    second: IntArray
    enter_m: FloatArray
    hold_m: FloatArray
    overdue_us: IntArray
    depth_sign: FloatArray
    planes: Planes
    track_start: IntArray
    track_watch: IntArray


def lay_out(plan: Plan, rules: Rules) -> Layout:
    """Arrange a plan for the kernels.

    Raises:
        ValueError: A track or watch is named twice, a watch points at no track, a pair compares a
            track with itself, or a zone cannot be laid out (see `geofence.planes`).
    """
    pairs, zones = plan.pairs, plan.zones
    _check(plan)
    pair_enter, pair_hold = _pair_rings(pairs, rules)
    zone_enter, zone_hold = _zone_rings(zones, rules)
    inclusion = zones.kind == ZoneKind.INCLUSION
    overdue_us = np.full(len(plan.watch_keys), in_microseconds(rules.stale_after_s), np.int64)
    overdue_us[pairs.a.size :][inclusion] = in_microseconds(rules.inclusion_stale_after_s)
    first = np.concatenate([pairs.a, zones.track]).astype(np.int64)
    second = np.concatenate([pairs.b, np.full(zones.track.size, NO_TRACK)]).astype(np.int64)
    track_start, track_watch = _adjacency(first, second, len(plan.tracks))
    return Layout(
        pair_count=pairs.a.size,
        first=first,
        second=second,
        enter_m=np.concatenate([pair_enter, zone_enter]),
        hold_m=np.concatenate([pair_hold, zone_hold]),
        overdue_us=overdue_us,
        depth_sign=np.where(inclusion, -1.0, 1.0),
        planes=lay_flat(zones),
        track_start=track_start,
        track_watch=track_watch,
    )


def _check(plan: Plan) -> None:
    for what, names in (("track", plan.tracks), ("watch", plan.watch_keys)):
        if len(set(names)) != len(names):
            raise ValueError(f"plan {plan.version!r} names a {what} twice")
    used = np.concatenate([plan.pairs.a, plan.pairs.b, plan.zones.track])
    if used.size and (used.min() < 0 or used.max() >= len(plan.tracks)):
        raise ValueError(f"plan {plan.version!r} watches a track that it does not have")
    if np.any(plan.pairs.a == plan.pairs.b):
        raise ValueError(f"plan {plan.version!r} compares a track with itself")


def _pair_rings(pairs: Pairs, rules: Rules) -> tuple[FloatArray, FloatArray]:
    enter = np.stack([pairs.pre_alert_m, pairs.alert_m, pairs.contact_m], axis=1)
    enter = np.where(enter > 0, enter, np.nan)
    return enter, enter * rules.clear_factor


def _zone_rings(zones: Zones, rules: Rules) -> tuple[FloatArray, FloatArray]:
    enter = np.full((zones.track.size, RINGS), np.nan)
    enter[:, 0] = np.where(zones.buffer_m > 0, zones.buffer_m, np.nan)
    enter[:, ALERT_RING] = 0.0
    return enter, enter + rules.clear_margin_m


def _adjacency(first: IntArray, second: IntArray, track_count: int) -> tuple[IntArray, IntArray]:
    """Watches by track, as offsets and one flat list; the watches of a track are growing."""
    watches = np.arange(first.size, dtype=np.int64)
    has_second: NDArray[np.bool_] = second != NO_TRACK
    track = np.concatenate([first, second[has_second]])
    watch = np.concatenate([watches, watches[has_second]])
    order = np.lexsort((watch, track))
    start = np.zeros(track_count + 1, np.int64)
    np.cumsum(np.bincount(track, minlength=track_count), out=start[1:])
    return start, watch[order]
