"""A plan as the kernels read it: pairs and zones as watches of one kind, and who touches what."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.durations import in_microseconds
from geofence.memory import new_rows, on_lines
from geofence.plan import FloatArray, IntArray, Pairs, Plan, ZoneKind, Zones
from geofence.planes import Planes, lay_flat
from geofence.proximity import RICE_ERROR
from geofence.sensitivity import HOLDING

RINGS = 3
"""Columns of the rings: pre-alert, alert, contact. Ring r belongs to level r + 1."""

ALERT_RING = 1
CONTACT_RING = 2
NO_ZONE = -1

TERMS_DTYPE = on_lines(
    [
        # What tells that nothing is near comes first, close together.
        ("first", np.int64),  # track
        ("second", np.int64),  # track; of a zone the same as the first
        ("zone", np.int64),  # row of `Planes.zones`; NO_ZONE for a pair
        ("widest_m", np.float64),  # of all rings: farther away, nothing is decided by the place
        ("far_sigmas", np.float64),  # so many away from a ring, it is not entered,
        ("ahead_s", np.float64),  # how far ahead is looked; 0 for a zone
        ("overdue_us", np.int64),  # how long it may go without a decision
        ("soon_sigmas", np.float64),  # nor does a prediction speak for it,
        ("calm_sigmas", np.float64),  # and so many away from one that is held, it is calm
        ("depth_sign", np.float64),  # depth = sign times signed distance: -1 for an inclusion zone
        ("enter_m", np.float64, (RINGS,)),  # in terms of the depth; NaN: it has no such ring
        ("hold_m", np.float64, (RINGS,)),  # the same, widened for leaving
        ("enter_probability", np.float64),  # as in `Sensitivity`
        ("sparse_probability", np.float64),
        ("lasting_s", np.float64),
        ("lasting_probability", np.float64),
        ("sure_probability", np.float64),
        ("clear_probability", np.float64),
        ("clear_dwell_us", np.int64),
        ("warn_ahead_s", np.float64),
        ("contact_ahead_s", np.float64),
    ]
)
"""What a watch asks, in one place: of the devices it is about, of its rings, of its policy."""

TermsArray = NDArray[np.void]
"""(W,) of `TERMS_DTYPE`."""

_POLICY = ("enter_probability", "sparse_probability", "lasting_s", "lasting_probability",
           "sure_probability", "clear_probability", "warn_ahead_s", "contact_ahead_s")  # fmt: skip
"""Taken from `Sensitivity` as they are."""


class Layout(NamedTuple):
    """W watches (P pairs, then Z zones) of T tracks.

    A watch measures one number, its *depth*: the distance of a pair, or the signed distance to
    the forbidden side of a zone (that is outside, for an inclusion zone). The smaller, the worse.

    Attributes:
        terms: (W,) of `TERMS_DTYPE`.
        planes: The zones' outlines and corridors.
        track_start: (T + 1,) offsets into `track_watch`.
        track_watch: Watches of each track, growing.
    """

    terms: TermsArray
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
    _check(plan)
    terms = _terms(plan)
    track_start, track_watch = _adjacency(terms["first"], terms["second"], len(plan.tracks))
    return Layout(terms, lay_flat(plan.zones), track_start, track_watch)


def _terms(plan: Plan) -> TermsArray:
    pairs, zones = plan.pairs, plan.zones
    count, zone_count = pairs.a.size, zones.track.size
    terms = new_rows(count + zone_count, TERMS_DTYPE)
    inclusion = np.concatenate([np.zeros(count, np.bool_), zones.kind == ZoneKind.INCLUSION])
    terms["first"] = np.concatenate([pairs.a, zones.track])
    terms["second"] = np.concatenate([pairs.b, zones.track])
    terms["zone"] = np.concatenate([np.full(count, NO_ZONE), np.arange(zone_count)])
    terms["depth_sign"] = np.where(inclusion, -1.0, 1.0)
    sets, of_watch = plan.sensitivities, _policies(plan)
    for name in _POLICY:
        terms[name] = np.array([getattr(one, name) for one in sets])[of_watch]
    for name, share, of_what in (
        ("far_sigmas", 1.0, "sparse_probability"),
        ("soon_sigmas", HOLDING, "sparse_probability"),
        ("calm_sigmas", 1.0, "clear_probability"),
    ):
        sigmas = [_sigmas_outside(share * getattr(one, of_what)) for one in sets]
        terms[name] = np.array(sigmas)[of_watch]
    ahead_s = np.maximum(terms["warn_ahead_s"], terms["contact_ahead_s"])
    terms["ahead_s"] = np.where(terms["zone"] == NO_ZONE, ahead_s, 0.0)
    dwell_us = np.array([in_microseconds(one.clear_dwell_s) for one in sets])
    stale_us = np.array([in_microseconds(one.stale_after_s) for one in sets])
    inclusion_us = np.array([in_microseconds(one.inclusion_stale_after_s) for one in sets])
    terms["clear_dwell_us"] = dwell_us[of_watch]
    terms["overdue_us"] = np.where(inclusion, inclusion_us[of_watch], stale_us[of_watch])
    terms["enter_m"] = np.concatenate([_pair_rings(pairs), _zone_rings(zones)])
    factor = np.array([one.clear_factor for one in sets])[of_watch[:count]]
    margin_m = np.array([one.clear_margin_m for one in sets])[of_watch[count:]]
    terms["hold_m"] = terms["enter_m"]
    terms["hold_m"][:count] *= factor[:, None]
    terms["hold_m"][count:] += margin_m[:, None]
    terms["widest_m"] = np.fmax.reduce(terms["hold_m"], axis=1, initial=0.0)
    return terms


def _sigmas_outside(probability: float) -> float:
    """How far outside a ring, in standard deviations, being inside is less probable than this.

    A disc lies within a half-plane, so it is at most as probable as that. What is reckoned may be
    too large by `RICE_ERROR`.
    """
    return -NormalDist().inv_cdf(max(probability - 2.0 * RICE_ERROR, 1e-12))


def _policies(plan: Plan) -> IntArray:
    count = len(plan.watch_keys)
    if not plan.sensitivity.size:
        return np.zeros(count, np.int64)
    policy_of = np.array(plan.sensitivity, np.int64)
    known = policy_of.shape == (count,) and 0 <= policy_of.min() <= policy_of.max()
    if not known or policy_of.max() >= len(plan.sensitivities):
        raise ValueError(f"plan {plan.version!r} has a watch without a set of parameters")
    return policy_of


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
    has_second: NDArray[np.bool_] = second != first
    track = np.concatenate([first, second[has_second]])
    watch = np.concatenate([watches, watches[has_second]])
    order = np.lexsort((watch, track))
    start = np.zeros(track_count + 1, np.int64)
    np.cumsum(np.bincount(track, minlength=track_count), out=start[1:])
    return start, watch[order]
