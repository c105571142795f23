"""The exponential function of what is not positive, written so that several are computed at once.

A call of the system's library takes one number at a time. This is plain arithmetic, which a
compiler turns into vector instructions: with x = k ln 2 + r and |r| <= ln 2 / 2 it is 2^k exp(r),
and exp(r) is its Taylor series up to r^12, short of the whole by less than 2e-16. The result is
within `ERROR` of itself; and the same to the bit on every machine, as that of a library is not.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel

ERROR = 5e-16
LEAST = -700.0
"""For anything below it, exp(LEAST) = 1e-304 is given."""

_PER_LN_2 = 1 / math.log(2)
_LN_2_HIGH = float.fromhex("0x1.62e42fep-1")
"""The first 28 bits of ln 2, so that k times this is exact;"""
_LN_2_LOW = 1.8206359985041462e-09
"""and the rest."""

_WHOLE = 1.5 * 2.0**52
"""What is added to it is rounded to a whole number, which then stands in the lowest bits."""
_BIAS = 1023
_FRACTION_BITS = 52

_3, _4, _5, _6, _7, _8, _9, _10, _11, _12 = (1 / math.factorial(n) for n in range(3, 13))


@kernel
def exp_falling(x: float) -> float:
    """exp(x) for x from minus infinity to 0."""
    x = max(x, LEAST)
    rounded = x * _PER_LN_2 + _WHOLE
    k = rounded - _WHOLE
    r = (x - k * _LN_2_HIGH) - k * _LN_2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (0.5 + r * _3)
    middle = (_4 + r * _5) + r2 * (_6 + r * _7)
    high = (_8 + r * _9) + r2 * (_10 + r * _11)
    power = (np.float64(rounded).view(np.int64) + _BIAS) << _FRACTION_BITS
    return (low + r4 * (middle + r4 * (high + r4 * _12))) * np.int64(power).view(np.float64)
