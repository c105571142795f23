"""What a receiver makes of the place where it is: correlated errors, jumps, gaps, and what it claims.

The error is a sum of a slowly changing part (first-order autoregressive, as reflections come and go
along a street), a small white part, and rarely a jump. The sky is either open or obstructed, and
stays so for a while; obstructed, the errors grow. An honest receiver says so, a dishonest one goes on
claiming the accuracy of an open sky.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

RADIUS_68_PER_SIGMA = math.sqrt(-2 * math.log(1 - 0.68))
"""Radius of 68 % over the standard deviation of each component, about 1.51, when the two components
of the error are normal and alike, so that its length is Rayleigh distributed."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """How good a receiver is. Standard deviations are of each component, metres.

    Attributes:
        open_m, obstructed_m: Of the slowly changing error under an open and an obstructed sky.
        white_m: Of the part that changes from fix to fix.
        correlation_s: Time in which the slow error loses all but 1/e of itself.
        obstructed_share: Part of the time spent under an obstructed sky.
        obstructed_s: Mean length of such a time.
        jump_share: Part of the fixes that are somewhere else altogether.
        jump_m: How far: standard deviation.
        dishonest_share: Part of the bad fixes that claim the accuracy of good ones.
        gap_share: Part of the time without any fix.
        gap_s: Mean length of such a gap.
    """

    open_m: float
    obstructed_m: float
    white_m: float
    correlation_s: float
    obstructed_share: float
    obstructed_s: float
    jump_share: float
    jump_m: float
    dishonest_share: float
    gap_share: float
    gap_s: float


TAG = Receiver(
    open_m=4.5,
    obstructed_m=14.0,
    white_m=1.0,
    correlation_s=20.0,
    obstructed_share=0.1,
    obstructed_s=30.0,
    jump_share=0.000_5,
    jump_m=300.0,
    dishonest_share=0.5,
    gap_share=0.01,
    gap_s=20.0,
)
"""A tag as the standard for offender tracking (NIJ 1004.00) is said to ask for it: 90 % of its fixes
within 10 m outdoors, within 30 m indoors. How often it jumps is assumed."""

WEAK_ANTENNA = Receiver(
    open_m=11.3,
    obstructed_m=35.0,
    white_m=2.0,
    correlation_s=20.0,
    obstructed_share=0.12,
    obstructed_s=30.0,
    jump_share=0.008,
    jump_m=300.0,
    dishonest_share=0.5,
    gap_share=0.01,
    gap_s=20.0,
)
"""A cheap tag, low at the ankle. Errors are fitted to those of a cheap logger with a weak antenna carried by people
on foot and on bicycles: 50, 95 and 99 % within 15, 48 and 109 m. How long obstructions and gaps last,
and how slowly the error moves, is assumed."""

PHONE = Receiver(
    open_m=6.5,
    obstructed_m=22.0,
    white_m=1.0,
    correlation_s=20.0,
    obstructed_share=0.15,
    obstructed_s=30.0,
    jump_share=0.002,
    jump_m=150.0,
    dishonest_share=0.65,
    gap_share=0.01,
    gap_s=20.0,
)
"""A handset. Fitted to two properties of phones carried through a city: half of their fixes state 10 m
or better, and 4 % lie beyond three times what they state. The rest is assumed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a receiver believes to be: metres east and north, and the radius of 68 % it claims."""

    east_m: float
    north_m: float
    accuracy_m: float


class ReceiverState:
    """One receiver at work.

    Args:
        receiver: How good it is.
        rng: Its chance; the same chance gives the same readings.
    """

    def __init__(self, receiver: Receiver, rng: random.Random) -> None:
        self._receiver = receiver
        self._rng = rng
        self._slow = (rng.gauss(), rng.gauss())  # in standard deviations
        self._obstructed = rng.random() < receiver.obstructed_share
        self._silent = False

    def read(self, east_m: float, north_m: float, elapsed_s: float) -> Reading | None:
        """A reading at this place, `elapsed_s` after the last; None in a gap."""
        receiver, rng = self._receiver, self._rng
        self._obstructed = self._switch(
            self._obstructed, receiver.obstructed_share, receiver.obstructed_s, elapsed_s
        )
        self._silent = self._switch(self._silent, receiver.gap_share, receiver.gap_s, elapsed_s)
        kept = math.exp(-elapsed_s / receiver.correlation_s)
        fresh = math.sqrt(1 - kept**2)
        self._slow = (
            kept * self._slow[0] + fresh * rng.gauss(),
            kept * self._slow[1] + fresh * rng.gauss(),
        )
        slow_m = receiver.obstructed_m if self._obstructed else receiver.open_m
        jump_m = receiver.jump_m if rng.random() < receiver.jump_share else 0.0
        errors_m = [
            slow_m * slow + receiver.white_m * rng.gauss() + jump_m * rng.gauss()
            for slow in self._slow
        ]
        bad = self._obstructed or jump_m > 0
        dishonest = bad and rng.random() < receiver.dishonest_share
        claimed_m = math.hypot(
            receiver.open_m if dishonest else slow_m,
            receiver.white_m,
            0.0 if dishonest else jump_m,
        )
        if self._silent:
            return None
        return Reading(east_m + errors_m[0], north_m + errors_m[1], claimed_m * RADIUS_68_PER_SIGMA)

    def _switch(self, state: bool, share: float, mean_s: float, elapsed_s: float) -> bool:  # noqa: FBT001
        """A two-state process in continuous time: `share` of the time true, `mean_s` at a time."""
        if not 0 < share < 1:
            return share >= 1
        rate = 1 / (mean_s * (1 - share))  # of forgetting, the sum of both rates of change
        forgotten = self._rng.random() < 1 - math.exp(-elapsed_s * rate)
        return self._rng.random() < share if forgotten else state
