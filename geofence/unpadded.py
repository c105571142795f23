"""Minutes written without their leading zero, and how to undo it.

NMEA 0183 writes an angle as ddmm.mmmm (longitudes dddmm.mmmm). Firmware that prints the minutes
without padding writes 51 deg 04.5' as "514.5" instead of "5104.5". The checksum is right, since it
is computed over what is written, and a decoder that takes the last two digits before the point for
the minutes, as most do, reads

    written = 10 D + m       (D whole degrees, m minutes below 10, one digit before the point)
    read    = floor(written / 100) deg (written mod 100)'
            = floor(D / 10) deg (10 (D mod 10) + m)'

that is 5 deg 14.5'. Only minutes below 10 are damaged, a sixth of all places in each coordinate,
and the fix lands 0.83 degrees away for each of the first ten degrees and more beyond. Minutes read
may reach 99.99, which a lenient decoder turns into another degree; so a coordinate has two
possible repairs, one with minutes below 60 and one with minutes from 60 on. Degrees below 1 are
not damaged: "4.5" has the same value as "00004.5".
"""

from __future__ import annotations

import math

from geofence.anomaly_state import Fix, between_m2
from geofence.distance import ECCENTRICITY2, to_cartesian_m
from geofence.kernel import kernel

_DEGREE_MINUTES = 60.0
_ROUNDING_MINUTES = 4e-6
"""A position in 1e-7 degrees is within 3e-6 minutes of what was read."""


_TENTH_MM = 1e9
"""Steps in a degree; fixes come in steps a hundred times as wide."""


@kernel
def repaired_deg(read_deg: float, carried: int, bound_deg: float) -> float:
    """The angle whose unpadded minutes were read as `read_deg`; NaN if there is none.

    Args:
        read_deg: Angle in degrees, of either sign.
        carried: 1 if the minutes read were 60 or more and became a degree, else 0.
        bound_deg: Greatest magnitude an angle may have: 90 or 180.
    """
    size_deg = abs(read_deg)
    degrees = math.floor(size_deg) - carried
    minutes = (size_deg - degrees) * _DEGREE_MINUTES
    if degrees < 0 or minutes >= 100.0:
        return math.nan
    units = math.floor((minutes + _ROUNDING_MINUTES) / 10.0)
    meant_deg = 10.0 * degrees + units + (minutes - 10.0 * units) / _DEGREE_MINUTES
    if meant_deg > bound_deg:
        return math.nan
    return math.copysign(meant_deg, read_deg)


@kernel
def to_degrees(x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
    """Latitude and longitude in degrees of a point on the ellipsoid (height 0)."""
    lat = math.atan2(z_m, (1.0 - ECCENTRICITY2) * math.sqrt(x_m * x_m + y_m * y_m))
    return math.degrees(lat), math.degrees(math.atan2(y_m, x_m))


@kernel
def repaired_near(fix: Fix, near: Fix) -> Fix:
    """The repair of a fix that lies nearest to another fix.

    Latitude, longitude or both may be damaged. At infinity where no repair is possible.
    """
    lat_deg, lon_deg = to_degrees(fix.x_m, fix.y_m, fix.z_m)
    # A whole degree must not become 59.999... minutes of the one below it.
    lat_deg = math.floor(lat_deg * _TENTH_MM + 0.5) / _TENTH_MM
    lon_deg = math.floor(lon_deg * _TENTH_MM + 0.5) / _TENTH_MM
    best = Fix(fix.time_us, math.inf, math.inf, math.inf, fix.radius_m)
    for lat_repair in range(3):
        lat = lat_deg if lat_repair == 0 else repaired_deg(lat_deg, lat_repair - 1, 90.0)
        for lon_repair in range(3):
            lon = lon_deg if lon_repair == 0 else repaired_deg(lon_deg, lon_repair - 1, 180.0)
            if (lat_repair == 0 and lon_repair == 0) or math.isnan(lat) or math.isnan(lon):
                continue
            x, y, z = to_cartesian_m(lat, lon)
            repaired = Fix(fix.time_us, x, y, z, fix.radius_m)
            if between_m2(repaired, near) < between_m2(best, near):
                best = repaired
    return best
