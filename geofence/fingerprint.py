"""What each watch asks, as one number: to tell which watches another plan leaves as they were."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from geofence.layout import NO_ZONE, TERMS_DTYPE, Layout
from geofence.plan import Plan
from geofence.planes import COLUMNS

Fingerprints = NDArray[np.uint64]
"""(W,) one for each watch. Equal ones ask the same of the same devices (but for a chance of 2^-64)."""

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_INDICES = frozenset({"first", "second", "zone"})
"""Fields whose meaning depends on the plan: what they point at counts instead."""


def fingerprints(plan: Plan, layout: Layout) -> Fingerprints:
    """The fingerprint of every watch: devices, rings, parameters, outline and corridors."""
    names = np.array([_digest(name.encode()) for name in plan.tracks] or [0], np.uint64)
    terms = layout.terms
    shape = np.zeros(terms.size, np.uint64)
    shape[terms["zone"] != NO_ZONE] = [
        _digest(_outline(layout, zone)) for zone in range(layout.planes.zones.size)
    ]
    columns = [names[terms["first"]], names[terms["second"]], shape]
    for field in TERMS_DTYPE.names or ():
        if field not in _INDICES:
            columns += [_bits(column) for column in np.atleast_2d(terms[field].T)]
    mixed = np.zeros(terms.size, np.uint64)
    for column in columns:
        mixed = (mixed ^ column) * _PRIME
        mixed ^= mixed >> _HALF
    return mixed


def _outline(layout: Layout, zone: int) -> bytes:
    planes = layout.planes
    row = planes.zones[zone]
    corridors = planes.corridors[row["first_corridor"] : row["end_corridor"]]
    spans = [(row["first_edge"], row["end_edge"])]
    spans += [(corridor["first_edge"], corridor["end_edge"]) for corridor in corridors]
    parts = [planes.edges[COLUMNS * first : COLUMNS * end].tobytes() for first, end in spans]
    place = (*row["middle_m"], *row["east"], *row["north"], row["outer_radius_m"])
    parts += [np.array(place).tobytes(), corridors["half_width_m"].tobytes()]
    return b"".join(parts)


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _bits(column: NDArray[np.float64] | NDArray[np.int64]) -> Fingerprints:
    return np.ascontiguousarray(column).view(np.uint64)
