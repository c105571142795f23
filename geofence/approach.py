"""Closest approach of two people between their fixes.

Between two fixes each is taken to move straight on at an even speed. The difference of their
positions then moves so too, from a at the beginning of the interval to b at its end:

    p(t) = a + t u      u = b - a      t from 0 to 1

and what is asked is how near p comes to the origin, and when it lies within a radius of it. The
foot of the perpendicular from the origin lies at t0 = -(a . u) / |u|^2, at the distance
d = |p(t0)|; within the radius R of the origin lies

    t0 - w <= t <= t0 + w      w = sqrt((R - d) (R + d)) / |u|

(any textbook on vectors; for collision tests, C. Ericson, "Real-Time Collision Detection", sections
5.1.2 and 5.3.2). The familiar d^2 = |a|^2 - (a . u)^2 / |u|^2, and the quadratic formula with it,
lose half of all digits where long ways pass at small distances: 10 km and 0.1 mm. Here p(t0) is
computed as a place, from the end that is nearer to the origin. Then every distance is right to a
few roundings of that end's coordinates: nanometres at 1000 km. A fraction is right to as much, seen
as a place on the way.

Positions are Cartesian, in metres: Earth-centred (see `geofence.distance.to_cartesian_m`), or on a
plane with 0 for the third. Distances are straight. On the way from one fix to the next the straight
line dips below the surface by L^2 / (8 R): 2 cm for 1 km, 2 m for 10 km. That is next to nothing
against what people do between their fixes; and the two dip alike when they move alike.

All is NaN where a coordinate is.
"""

from __future__ import annotations

import math

from geofence.kernel import kernel
from geofence.plan import FloatArray


@kernel
def closest_approach(
    ax_m: float, ay_m: float, az_m: float, bx_m: float, by_m: float, bz_m: float
) -> tuple[float, float]:
    """Least distance in metres on the way from difference a to difference b, and where.

    Returns:
        The least distance, never more than at either end; and the fraction of the interval, 0 to
        1, at which it is reached. When neither moves against the other the fraction is 0.
    """
    nearer, ahead, least_m, _ = _foot(ax_m, ay_m, az_m, bx_m, by_m, bz_m)
    if math.isnan(ahead):
        return math.nan, math.nan
    start_m = _length_m(ax_m, ay_m, az_m)
    end_m = _length_m(bx_m, by_m, bz_m)
    # Not by the sum, which may be 0 or 1 by rounding and the foot still lie on the way.
    if ahead <= -nearer:
        return start_m, 0.0
    if ahead >= 1.0 - nearer:
        return end_m, 1.0
    return min(least_m, start_m, end_m), nearer + ahead


@kernel
def stay_inside(
    ax_m: float, ay_m: float, az_m: float, bx_m: float, by_m: float, bz_m: float, radius_m: float
) -> tuple[float, float]:
    """Between which fractions of the interval the distance is at most `radius_m`.

    Returns:
        Entry and exit, 0 to 1; NaN for both if the distance is always greater. Entry is exactly 0
        where the start is inside, exit exactly 1 where the end is. They agree with
        `closest_approach`: there is a stay just when the least distance is at most the radius, and
        the fraction of it lies between them.
    """
    least_m, fraction = closest_approach(ax_m, ay_m, az_m, bx_m, by_m, bz_m)
    if not least_m <= radius_m:
        return math.nan, math.nan
    nearer, ahead, distance_m, way_m = _foot(ax_m, ay_m, az_m, bx_m, by_m, bz_m)
    if way_m == 0.0:
        return 0.0, 1.0
    # By rounding, the foot may lie outside when the nearer end is inside.
    half_m = math.sqrt(max(0.0, radius_m - distance_m) * (radius_m + distance_m))
    foot = nearer + ahead
    entry, exit_ = 0.0, 1.0
    if _length_m(ax_m, ay_m, az_m) > radius_m:
        entry = min(max(foot - half_m / way_m, 0.0), fraction)
    if _length_m(bx_m, by_m, bz_m) > radius_m:
        exit_ = max(min(foot + half_m / way_m, 1.0), fraction)
    return entry, exit_


@kernel
def closest_approaches(
    start_m: FloatArray, end_m: FloatArray, out_m: FloatArray, out_fraction: FloatArray
) -> None:
    """`closest_approach` of n intervals.

    Args:
        start_m: (n, 3) differences of position at the beginning.
        end_m: (n, 3) differences at the end.
        out_m: (n,) takes the least distances.
        out_fraction: (n,) takes the fractions at which they are reached.
    """
    for i in range(out_m.size):
        out_m[i], out_fraction[i] = closest_approach(
            start_m[i, 0], start_m[i, 1], start_m[i, 2], end_m[i, 0], end_m[i, 1], end_m[i, 2]
        )


@kernel
def stays_inside(
    start_m: FloatArray,
    end_m: FloatArray,
    radius_m: FloatArray,
    out_entry: FloatArray,
    out_exit: FloatArray,
) -> None:
    """`stay_inside` of n intervals.

    Args:
        start_m: (n, 3) differences of position at the beginning.
        end_m: (n, 3) differences at the end.
        radius_m: (n,) radii.
        out_entry: (n,) takes the fractions of entry.
        out_exit: (n,) takes the fractions of exit.
    """
    for i in range(out_entry.size):
        out_entry[i], out_exit[i] = stay_inside(
            start_m[i, 0],
            start_m[i, 1],
            start_m[i, 2],
            end_m[i, 0],
            end_m[i, 1],
            end_m[i, 2],
            radius_m[i],
        )


@kernel
def _length_m(x_m: float, y_m: float, z_m: float) -> float:
    return math.sqrt(x_m * x_m + y_m * y_m + z_m * z_m)


@kernel
def _foot(
    ax_m: float, ay_m: float, az_m: float, bx_m: float, by_m: float, bz_m: float
) -> tuple[float, float, float, float]:
    """Where the whole line through a and b is nearest to the origin, seen from its nearer end.

    Returns:
        The fraction of that end, 0 or 1; what is to be added to it, without limit where the foot
        is not on the way; the distance of the foot from the origin; and |b - a|.
    """
    x_m, y_m, z_m, nearer = ax_m, ay_m, az_m, 0.0
    if _length_m(bx_m, by_m, bz_m) < _length_m(ax_m, ay_m, az_m):
        x_m, y_m, z_m, nearer = bx_m, by_m, bz_m, 1.0
    ux_m, uy_m, uz_m = bx_m - ax_m, by_m - ay_m, bz_m - az_m
    way2 = ux_m * ux_m + uy_m * uy_m + uz_m * uz_m
    if way2 == 0.0:
        return 0.0, 0.0, _length_m(ax_m, ay_m, az_m), 0.0
    ahead = -(x_m * ux_m + y_m * uy_m + z_m * uz_m) / way2
    distance_m = _length_m(x_m + ahead * ux_m, y_m + ahead * uy_m, z_m + ahead * uz_m)
    return nearer, ahead, distance_m, math.sqrt(way2)
