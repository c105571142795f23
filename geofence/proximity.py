"""What an error-prone distance is worth: probability, interval, time to contact.

The model is thin and says so. The error of a fix is a Gaussian, the same in every direction and
independent of every other; its size comes from the accuracy the device states, the radius that
holds 68 % of fixes. The distance from the origin of such an error follows Rayleigh's law, so

    0.68 = 1 - exp(-r68^2 / (2 sigma^2))      sigma = r68 / sqrt(-2 ln 0.32) = r68 / 1.5096

per axis. The errors of two devices add: sigma^2 = sigma_a^2 + sigma_b^2. With nothing known
beforehand the true displacement of two devices measured d apart is a Gaussian about the measured
one, and its length, the true distance, follows Rice's law (S. O. Rice, "Mathematical analysis of
random noise", Bell System Technical Journal 24, 1945).
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.plan import FloatArray

SIGMAS_PER_R68 = 1 / math.sqrt(-2 * math.log(1 - 0.68))
QUANTILE_975 = 1.959963984540054
"""Of the standard normal distribution: 2.5 % lie beyond it on each side."""

NEGLIGIBLE_SIGMAS = 6.5
RICE_ERROR = 1e-4
"""No more is `within_radius` off."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@kernel
def normal_cdf(z: float) -> float:
    """Probability that a standard normal variable lies below `z`."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@kernel
def within_radius(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """Probability that the true distance is below `radius_m`, by Rice's law.

    The Gaussian is summed over strips of the disc: a strip at x from its centre, at right angles
    to the line that joins the two, reaches sqrt(R^2 - x^2) to each side and so holds

        phi((x - d) / sigma) / sigma  erf(sqrt(R^2 - x^2) / (sqrt 2 sigma))  dx.

    With x = R cos u this is smooth up to the edge, and 24 Gauss-Legendre nodes over the part that
    matters give it within `RICE_ERROR` (tested against the series for Marcum's Q).

    Args:
        distance_m: Measured distance, at least 0.
        radius_m: Radius asked about; NaN or 0 stands for a ring that is not there.
        sigma_m: Standard deviation per axis of the difference, above 0.
    """
    if not radius_m > 0.0:
        return 0.0
    z = (radius_m - distance_m) / sigma_m
    # The disc lies inside a half-plane that holds less than 1e-10, or holds a disc that misses
    # less than 1e-9: most pairs are far from every ring, and this is all they cost.
    if z < -NEGLIGIBLE_SIGMAS:
        return 0.0
    if z > NEGLIGIBLE_SIGMAS:
        return 1.0
    far = min(1.0, (distance_m + NEGLIGIBLE_SIGMAS * sigma_m) / radius_m)
    near = max(-1.0, (distance_m - NEGLIGIBLE_SIGMAS * sigma_m) / radius_m)
    low = math.acos(far)
    half = 0.5 * (math.acos(near) - low)
    total = 0.0
    for i in range(_NODES.size):
        u = low + half * (1.0 + _NODES[i])
        sin_u = math.sin(u)
        offset = (radius_m * math.cos(u) - distance_m) / sigma_m
        width = radius_m * sin_u / sigma_m
        total += (
            _WEIGHTS[i]
            * width
            * math.exp(-0.5 * offset * offset)
            * math.erf(width / math.sqrt(2.0))
        )
    return min(1.0, max(0.0, total * half / math.sqrt(2.0 * math.pi)))


_EDGES = np.array([0.5, 1.0, 1.6, 2.6])
_SHARES = np.diff([0.0, *(math.erf(edge / math.sqrt(2.0)) for edge in _EDGES), 1.0])
"""Strips of the disc to each side of the line that joins the two, by standard deviations from it, and what
of the Gaussian lies in each; the last share is of what is farther out."""

_DOUBT = 2.0 * RICE_ERROR


@kernel
def side_of(distance_m: float, radius_m: float, sigma_m: float, probability: float) -> int:
    """On which side of a probability `within_radius` surely is: -1 below, 1 above; 0: compute it.

    The edge of the disc is nearest to a half-plane's where it crosses the line that joins the two, and
    draws back from it sideways. Taken as straight within each of some strips, once where it is farthest
    out and once where it is farthest in, it gives a bound from above and one from below: a few error
    functions in place of 24, and three of their kind each. Only few are nearer to the probability than
    these bounds are to each other.

    Args:
        distance_m: As in `within_radius`, and so the next two.
        radius_m: See there.
        sigma_m: See there.
        probability: To be compared with.
    """
    z = (radius_m - distance_m) / sigma_m
    nearest = normal_cdf(z)
    if nearest + _DOUBT < probability:
        return -1
    ring = radius_m / sigma_m
    if not ring > _EDGES[3]:
        return 0
    away = distance_m / sigma_m
    above, below, edge = 0.0, 0.0, ring
    for i in range(_EDGES.size):
        above += _SHARES[i] * nearest
        edge = math.sqrt(ring * ring - _EDGES[i] * _EDGES[i])
        nearest = normal_cdf(edge - away)
        below += _SHARES[i] * nearest
    above += _SHARES[4] * nearest
    if above + _DOUBT < probability:
        return -1
    below -= normal_cdf(-edge - away)  # the far edge
    return 1 if below - _DOUBT > probability else 0


@kernel
def is_within(distance_m: float, radius_m: float, sigma_m: float, probability: float) -> bool:
    """Whether `within_radius` is at least so much."""
    side = side_of(distance_m, radius_m, sigma_m, probability)
    if side != 0:
        return side > 0
    return within_radius(distance_m, radius_m, sigma_m) >= probability


@kernel
def within_radii(
    distance_m: FloatArray, radius_m: FloatArray, sigma_m: FloatArray, out: FloatArray
) -> None:
    """`within_radius` of n cases, written to `out`; all arrays (n,)."""
    for i in range(out.size):
        out[i] = within_radius(distance_m[i], radius_m[i], sigma_m[i])


@kernel
def distance_interval_m(distance_m: float, sigma_m: float) -> tuple[float, float]:
    """Interval that holds the true distance with at least 95 %, metres.

    At most 2.5 % lie below: the disc of that radius lies inside a half-plane that holds so much.
    Above, the measured distance is first raised to sqrt(d^2 + sigma^2), because sideways errors
    only lengthen; that holds 97.5 % or more for every d.
    """
    low = max(0.0, distance_m - QUANTILE_975 * sigma_m)
    high = math.sqrt(distance_m * distance_m + sigma_m * sigma_m) + QUANTILE_975 * sigma_m
    return low, high


@kernel
def time_to_radius_s(distance_m: float, radius_m: float, closing_mps: float) -> float:
    """Seconds until the distance has shrunk to the radius at the present closing speed.

    0 when it is already within; infinity when they are not closing.
    """
    if distance_m <= radius_m:
        return 0.0
    if not closing_mps > 0.0:
        return math.inf
    return (distance_m - radius_m) / closing_mps
