from __future__ import annotations

import math
from decimal import Decimal, getcontext

from hypothesis import example, given
from hypothesis import strategies as st

from geofence.exponential import ERROR, LEAST, exp_falling

getcontext().prec = 50


@given(st.floats(LEAST, 0.0) | st.floats(-1.0, 0.0))
@example(0.0)
@example(-0.0)
@example(LEAST)
@example(-0.5 * math.log(2))
@example(-5e-324)
def test_it_is_the_exponential(x: float) -> None:
    expected = Decimal(x).exp()
    assert abs(Decimal(exp_falling(x)) - expected) <= Decimal(ERROR) * expected


@given(st.floats(max_value=LEAST, exclude_max=True))
@example(-math.inf)
def test_it_never_vanishes(x: float) -> None:
    assert exp_falling(x) == exp_falling(LEAST) > 0.0


def test_nothing_gone_by_is_one() -> None:
    assert exp_falling(0.0) == exp_falling(-0.0) == 1.0
