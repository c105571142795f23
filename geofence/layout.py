"""A plan as the kernels read it: pairs and zones as watches of one kind, and who touches what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.durations import in_microseconds
from geofence.plan import FloatArray, IntArray, Pairs, Plan, ZoneKind, Zones
from geofence.planes import Planes, lay_flat

RINGS = 3
"""Columns of the rings: pre-alert, alert, contact. Ring r belongs to level r + 1."""

ALERT_RING = 1
CONTACT_RING = 2
NO_TRACK = -1


POLICY_DTYPE = np.dtype(
    [
        ("enter_probability", np.float64),
        ("sparse_probability", np.float64),
        ("clear_probability", np.float64),
        ("clear_dwell_us", np.int64),
        ("warn_ahead_s", np.float64),
        ("contact_ahead_s", np.float64),
    ],
    align=True,
)
"""`Sensitivity`, as far as it is not in the rings."""


class Layout(NamedTuple):
    """W watches (P pairs, then Z zones) of T tracks.

    A watch measures one number, its *depth*: the distance of a pair, or the signed distance to
    the forbidden side of a zone (that is outside, for an inclusion zone). The smaller, the worse.

    Attributes:
        pair_count: P.
        first, second: (W,) tracks; `NO_TRACK` as second of a zone.
        enter_m: (W, 3) rings in terms of the depth; NaN where a watch has no such ring.
        hold_m: (W, 3) the same, widened for leaving.
        widest_m: (W,) the widest of both: farther away, nothing is decided by where they are.
        overdue_us: (W,) how long a watch may go without a decision.
        policy: (S,) of `POLICY_DTYPE`.
        policy_of: (W,) index into it.
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
    widest_m: FloatArray
    overdue_us: IntArray
    policy: NDArray[np.void]
    policy_of: IntArray
    depth_sign: FloatArray
    planes: Planes
    track_start: IntArray
    track_watch: IntArray


def lay_out(plan: Plan) -> Layout:
    """Arrange a plan for the kernels.

    Raises:
        ValueError: A track or watch is named twice, a watch points at no track or set of
            parameters, a pair compares a track with itself, or a zone cannot be laid out (see
            `geofence.planes`).
    """
    pairs, zones = plan.pairs, plan.zones
    policy_of = _policies(plan)
    _check(plan)
    inclusion = np.concatenate([np.zeros(pairs.a.size, np.bool_), zones.kind == ZoneKind.INCLUSION])
    of_watch = [plan.sensitivities[index] for index in policy_of.tolist()]
    overdue_s = [
        one.inclusion_stale_after_s if inside else one.stale_after_s
        for one, inside in zip(of_watch, inclusion.tolist(), strict=True)
    ]
    enter = np.concatenate([_pair_rings(pairs), _zone_rings(zones)])
    hold = enter.copy()
    hold[: pairs.a.size] *= np.array(
        [[one.clear_factor] for one in of_watch[: pairs.a.size]]
    ).reshape(-1, 1)
    hold[pairs.a.size :] += np.array(
        [[one.clear_margin_m] for one in of_watch[pairs.a.size :]]
    ).reshape(-1, 1)
    first = np.concatenate([pairs.a, zones.track]).astype(np.int64)
    second = np.concatenate([pairs.b, np.full(zones.track.size, NO_TRACK)]).astype(np.int64)
    track_start, track_watch = _adjacency(first, second, len(plan.tracks))
    return Layout(
        pair_count=pairs.a.size,
        first=first,
        second=second,
        enter_m=enter,
        hold_m=hold,
        widest_m=np.fmax.reduce(hold, axis=1, initial=0.0),
        overdue_us=np.array([in_microseconds(one) for one in overdue_s], np.int64),
        policy=_policy_rows(plan),
        policy_of=policy_of,
        depth_sign=np.where(inclusion[pairs.a.size :], -1.0, 1.0),
        planes=lay_flat(zones),
        track_start=track_start,
        track_watch=track_watch,
    )


def _policies(plan: Plan) -> IntArray:
    count = len(plan.watch_keys)
    if not plan.sensitivity.size:
        return np.zeros(count, np.int64)
    policy_of = np.array(plan.sensitivity, np.int64)
    known = policy_of.shape == (count,) and 0 <= policy_of.min() <= policy_of.max()
    if not known or policy_of.max() >= len(plan.sensitivities):
        raise ValueError(f"plan {plan.version!r} has a watch without a set of parameters")
    return policy_of


def _policy_rows(plan: Plan) -> NDArray[np.void]:
    rows = np.zeros(len(plan.sensitivities), POLICY_DTYPE)
    for row, one in zip(rows, plan.sensitivities, strict=True):
        for name in POLICY_DTYPE.names or ():
            if name != "clear_dwell_us":
                row[name] = getattr(one, name)
        row["clear_dwell_us"] = in_microseconds(one.clear_dwell_s)
    return rows


def _check(plan: Plan) -> None:
    for what, names in (("track", plan.tracks), ("watch", plan.watch_keys)):
        if len(set(names)) != len(names):
            raise ValueError(f"plan {plan.version!r} names a {what} twice")
    used = np.concatenate([plan.pairs.a, plan.pairs.b, plan.zones.track])
    if used.size and (used.min() < 0 or used.max() >= len(plan.tracks)):
        raise ValueError(f"plan {plan.version!r} watches a track that it does not have")
    if np.any(plan.pairs.a == plan.pairs.b):
        raise ValueError(f"plan {plan.version!r} compares a track with itself")


def _pair_rings(pairs: Pairs) -> FloatArray:
    enter = np.stack([pairs.pre_alert_m, pairs.alert_m, pairs.contact_m], axis=1)
    return np.where(enter > 0, enter, np.nan)


def _zone_rings(zones: Zones) -> FloatArray:
    enter = np.full((zones.track.size, RINGS), np.nan)
    enter[:, 0] = np.where(zones.buffer_m > 0, zones.buffer_m, np.nan)
    enter[:, ALERT_RING] = 0.0
    return enter


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
