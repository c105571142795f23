"""Geodesic distance on WGS84, by way of the chord.

The straight chord c between two points is found first. Along a curve of radius R the way over the
surface is then

    s = 2 R asin(c / 2R) = c + c^3 / (24 R^2) + 3 c^5 / (640 R^4) + ...

A normal section of WGS84 has a radius between 6335.4 km (meridian at the equator) and 6399.6 km
(at the poles). `ARC_RADIUS_M` lies in the middle in terms of 1/R^2, so the correction is wrong by
at most 1.02 %:

    error <= 0.0102 s^3 / (24 R^2)        0.09 mm at 20 km, 1.3 m at 500 km (2.6e-6)

How far the geodesic departs from the normal section is of higher order still (below a
nanometre at 20 km). Rounding adds a few nanometres. Farther away the distance goes on growing
with the chord: to within 1e-5 up to 900 km, and to within 4 % on the far side of the Earth, where
a chord tells little and nothing is decided by it.

There are two ways to the chord. Where one position is compared many times, it is put on the
ellipsoid in Cartesian coordinates once (`to_cartesian_m`), and three differences give the chord
(`along_chord_m`), without any loss near the poles or the antimeridian.

Where all that is given are degrees (`geodesic_m`, `geodesics_m`), the differences are taken in
degrees, and no sine or cosine is needed for itself. Let phi be the mean of both latitudes, d half
their difference, delta half the difference of longitudes, N1 and N2 the radii of the prime
vertical. The addition theorems turn c^2 = dx^2 + dy^2 + dz^2 into

    c^2 / 4 =   sin^2 d [sin^2 phi (N - n cos^2 phi)^2 + (1 - e^2)^2 cos^2 phi (N + n sin^2 phi)^2]
              + sin^2 delta N1 N2 cos phi1 cos phi2

with N half the sum of N1 and N2, n sin phi cos phi tan d half their difference, and
cos phi1 cos phi2 = cos^2 phi - sin^2 d. As sin^2 of either latitude is p -+ q with

    p = sin^2 phi cos^2 d + cos^2 phi sin^2 d        q = 2 sin phi cos phi sin d cos d,

the binomial series in r = e^2 q / (1 - e^2 p) gives

    N = a (1 - e^2 p)^(-1/2) (1 + 3/8 r^2 + ...)     n = N e^2 cos^2 d / (1 - e^2 p) (1 + ...)

The terms in r^2 are left out. That shortens c by at most 3/8 r^2 of itself: 4e-6 anywhere, and
4e-11 or 0.8 um at 20 km. Nothing cancels: two points a micrometre apart are a micrometre apart.
What is left are squares of sines of half angles; `_haversine` has them to within 2e-13 of
themselves. Without calls and branches the compiler works on several pairs at once, and gives each
the same bits as it would alone. The arc, too, is its series up to `NEAR_M`, to within 1e-14.

Formulas: any textbook on geodesy, for example Torge, "Geodesy", sections 4.1 and 4.2. Constants:
NIMA TR8350.2, "World Geodetic System 1984".
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.plan import FloatArray, IntArray

SEMI_MAJOR_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY2 = FLATTENING * (2 - FLATTENING)
ARC_RADIUS_M = 6_367_290.0
"""1/R^2 of this is the mean of 1/R^2 of the smallest and the greatest normal section radius."""

NEAR_M = 100_000.0
"""Chords up to here become arcs by the series, longer ones by the arc sine."""

_ARC_3 = 1 / (24 * ARC_RADIUS_M**2)
_ARC_5 = 3 / (640 * ARC_RADIUS_M**4)
_POLAR2 = (1 - ECCENTRICITY2) ** 2
_TURNS_PER_DEGREE = 1 / 360

DEGREE_E7 = 1e7

_TURNS_PER_RIGHT_ANGLE = 1 / 90
_RADIANS = math.pi / 180
_WHOLE = 1.5 * 2.0**52
"""What is added to it is rounded to a whole number, which then stands in the lowest bits."""

_S3, _S5, _S7, _S9, _S11, _S13, _S15, _S17 = (
    (-1) ** (n // 2) / math.factorial(n) for n in range(3, 18, 2)
)
_C2, _C4, _C6, _C8, _C10, _C12, _C14, _C16 = (
    (-1) ** (n // 2) / math.factorial(n) for n in range(2, 17, 2)
)

_BLOCK = 1024
"""Pairs done in one go: the five arrays of so many stay in the first-level cache."""


@kernel
def to_cartesian_m(lat_deg: float, lon_deg: float) -> tuple[float, float, float]:
    """Earth-centred x, y, z in metres of a point on the ellipsoid (height 0)."""
    sin_lat, cos_lat = _sin_cos(lat_deg)
    sin_lon, cos_lon = _sin_cos(lon_deg)
    return _on_ellipsoid_m(sin_lat, cos_lat, sin_lon, cos_lon)


@kernel
def _on_ellipsoid_m(
    sin_lat: float, cos_lat: float, sin_lon: float, cos_lon: float
) -> tuple[float, float, float]:
    normal_m = SEMI_MAJOR_M / math.sqrt(1 - ECCENTRICITY2 * sin_lat * sin_lat)
    equatorial_m = normal_m * cos_lat
    return (
        equatorial_m * cos_lon,
        equatorial_m * sin_lon,
        normal_m * (1 - ECCENTRICITY2) * sin_lat,
    )


@kernel
def to_cartesians_m(lat_e7: IntArray, lon_e7: IntArray, out_m: FloatArray) -> None:
    """`to_cartesian_m` of n points in 1e-7 degrees, to the bit, written to `out_m` (3, n)."""
    for i in range(np.uint64(lat_e7.size)):
        # Not by `to_cartesian_m`, which is too long for a compiler to put into a loop.
        sin_lat, cos_lat = _sin_cos(lat_e7[i] / DEGREE_E7)
        sin_lon, cos_lon = _sin_cos(lon_e7[i] / DEGREE_E7)
        x_m, y_m, z_m = _on_ellipsoid_m(sin_lat, cos_lat, sin_lon, cos_lon)
        out_m[0, i], out_m[1, i], out_m[2, i] = x_m, y_m, z_m


@kernel
def _sin_cos(x_deg: float) -> tuple[float, float]:
    """Sine and cosine to within 2e-16 of 1, for angles of up to 1e15 degrees.

    Without calls and branches, so that a compiler takes several at once. What is left of an angle
    next to a multiple of 90 degrees is exact up to 360; of that, the Taylor series up to r^17, whose
    next terms are below 1e-17 of the result.
    """
    rounded = x_deg * _TURNS_PER_RIGHT_ANGLE + _WHOLE
    r = (x_deg - 90.0 * (rounded - _WHOLE)) * _RADIANS
    r2 = r * r
    high = _S11 + r2 * (_S13 + r2 * (_S15 + r2 * _S17))
    sin_r = r + r * r2 * (_S3 + r2 * (_S5 + r2 * (_S7 + r2 * (_S9 + r2 * high))))
    high = _C10 + r2 * (_C12 + r2 * (_C14 + r2 * _C16))
    cos_r = 1.0 + r2 * (_C2 + r2 * (_C4 + r2 * (_C6 + r2 * (_C8 + r2 * high))))
    quarter = np.float64(rounded).view(np.int64)
    sin_x, cos_x = (cos_r, sin_r) if quarter & 1 else (sin_r, cos_r)
    return (-sin_x if quarter & 2 else sin_x, -cos_x if (quarter + 1) & 2 else cos_x)


@kernel
def along_chord_m(dx_m: float, dy_m: float, dz_m: float) -> float:
    """Geodesic distance in metres of two points whose Cartesian difference is given."""
    return _arc_m(math.sqrt(dx_m * dx_m + dy_m * dy_m + dz_m * dz_m))


@kernel
def geodesic_m(a_lat_deg: float, a_lon_deg: float, b_lat_deg: float, b_lon_deg: float) -> float:
    """Geodesic distance in metres of two points in degrees. Error: see the module.

    Exactly symmetric, and exactly 0 for equal coordinates. Latitudes lie within +-90; longitudes
    may run on past +-180. NaN if any is NaN.
    """
    return _arc_m(_chord_m(a_lat_deg, a_lon_deg, b_lat_deg, b_lon_deg))


@kernel
def geodesics_m(
    a_lat_deg: FloatArray,
    a_lon_deg: FloatArray,
    b_lat_deg: FloatArray,
    b_lon_deg: FloatArray,
    out_m: FloatArray,
) -> None:
    """`geodesic_m` of n pairs of points, to the bit, written to `out_m`; all arrays (n,).

    Fastest on contiguous arrays.
    """
    for start in range(0, out_m.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        arc_m = out_m[block]
        far = _chords_m(
            a_lat_deg[block], a_lon_deg[block], b_lat_deg[block], b_lon_deg[block], arc_m
        )
        if far == 0:
            for i in range(arc_m.size):
                arc_m[i] = _near_arc_m(arc_m[i])
        else:
            for i in range(arc_m.size):
                arc_m[i] = _arc_m(arc_m[i])


@kernel
def _chords_m(
    a_lat_deg: FloatArray,
    a_lon_deg: FloatArray,
    b_lat_deg: FloatArray,
    b_lon_deg: FloatArray,
    out_m: FloatArray,
) -> int:
    """`_chord_m` of n pairs, written to `out_m`. Returns how many are longer than `NEAR_M`.

    Counted here and not in a loop of its own: LLVM unrolls a loop that adds something up, and is
    a third faster for it.
    """
    far = 0
    for i in range(out_m.size):
        chord_m = _chord_m(a_lat_deg[i], a_lon_deg[i], b_lat_deg[i], b_lon_deg[i])
        out_m[i] = chord_m
        far += chord_m > NEAR_M
    return far


@kernel
def _chord_m(a_lat_deg: float, a_lon_deg: float, b_lat_deg: float, b_lon_deg: float) -> float:
    """Straight distance in metres of two points on the ellipsoid, as derived in the module."""
    # The absolute value first: whatever is done to it is the same both ways round.
    lon_deg = abs(b_lon_deg - a_lon_deg)
    lon_deg -= 360.0 * np.floor(lon_deg * _TURNS_PER_DEGREE + 0.5)
    sin2_delta = _haversine(lon_deg)
    sin2_d = _haversine(b_lat_deg - a_lat_deg)
    # cos phi as the sine of the way to the pole, which is exact where it is small.
    cos2_phi = _haversine(180.0 - abs(a_lat_deg + b_lat_deg))
    sin2_phi = 1 - cos2_phi
    p = sin2_phi + sin2_d - 2 * sin2_phi * sin2_d
    scale2 = 1 / (1 - ECCENTRICITY2 * p)
    n = ECCENTRICITY2 * scale2 * (1 - sin2_d)
    across = 1 - n * cos2_phi
    along = 1 + n * sin2_phi
    meridian2 = sin2_phi * across * across + _POLAR2 * cos2_phi * along * along
    # A hair's breadth from a pole the two are equal up to their rounding.
    both_cos = max(cos2_phi - sin2_d, 0.0)
    chord2 = sin2_d * meridian2 + sin2_delta * both_cos
    return 2 * SEMI_MAJOR_M * math.sqrt(scale2 * chord2)


@kernel
def _haversine(x_deg: float) -> float:
    """The square of sin(x / 2) for x within +-180 degrees, to within 2e-13 of itself.

    The polynomial is sin(x / 2) / x in powers of x^2, interpolated at the seven Chebyshev nodes of
    0 to 180^2 (computed to 50 digits; 8e-14 off at most).
    """
    x2 = x_deg * x_deg
    q = 8.088305407498727e-25 + x2 * (-5.5948261245277615e-31 + x2 * 2.623329530561546e-37)
    q = 4.2175050658185244e-13 + x2 * (-7.6471744559362605e-19 + x2 * q)
    q = 0.008726646259971209 + x2 * (-1.1076201946133315e-07 + x2 * q)
    return x2 * q * q


@kernel
def _near_arc_m(chord_m: float) -> float:
    chord2 = chord_m * chord_m
    return chord_m + chord_m * chord2 * (_ARC_3 + chord2 * _ARC_5)


@kernel
def _arc_m(chord_m: float) -> float:
    """The way over the surface, metres, for any chord."""
    if chord_m > NEAR_M:
        # The longest chord, through the Earth at the equator, is slightly longer than 2 R.
        return 2 * ARC_RADIUS_M * math.asin(min(0.5 * chord_m / ARC_RADIUS_M, 1.0))
    return _near_arc_m(chord_m)
