"""How readily a level is entered and left, and how far ahead is looked: a matter of policy.

One set for each jurisdiction profile; a plan names the set of each watch.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass, fields

HOLDING = 0.5
"""What a prediction takes to keep a level from falling, as a share of what it takes to enter it."""

SPARSE_S = 15.0
"""Seconds between fixes from which `sparse_probability` is asked: the rate of a violation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Parameters of levels and episodes.

    Attributes:
        enter_probability: A level is entered when being inside its ring is at least so probable:
            more likely than not. This is for devices that report about once a second.
        sparse_probability: Where fixes are farther apart, waiting for the next costs more, and
            less is asked of a pair: this much at `SPARSE_S` seconds between fixes and beyond, and
            between one second and that by the logarithm of the interval (chosen on the curve of
            missed against false encounters, docs/engine.md). Of a zone it is not: people stay in
            zones, and none of the stays of 30 s is missed with a fix a minute.
        lasting_s: Being inside a zone must last: what is asked of the mean probability, over about
            so long, is `lasting_probability`. Walking along a boundary, an error that lasts for
            some seconds puts anybody on its other side; a stay has time to show itself (chosen on
            the wards of Oxford, docs/engine.md). The less, the farther apart the fixes are; from
            `SPARSE_S` on, one will do.
        lasting_probability: See there.
        sure_probability: Somebody who is so probably inside a zone is inside at once.
        clear_probability: A level is left when being inside the widened ring is at most so
            probable.
        clear_factor: How much wider, for the rings of a pair.
        clear_margin_m: How much wider, for the boundary of a zone: about one error of a good
            receiver, so that walking along a fence is one episode.
        clear_dwell_s: For how long that must have held without a break.
        warn_ahead_s: Somebody who will probably be inside the alert ring within this time is at
            pre-alert.
        contact_ahead_s: Somebody who will probably be in contact within this time is at alert.
        stale_after_s: How long a watch may go without evidence that decides. Two missed reports
            at one a minute, the interval most tags are run at. Devices that report more rarely
            are given more (see `geofence.silence`), or every gap of theirs becomes a doubt.
        inclusion_stale_after_s: The same for staying inside a zone. At home, indoors, minutes
            without a fix are the rule and no sign of leaving.
    """

    enter_probability: float = 0.5
    sparse_probability: float = 0.3
    lasting_s: float = 10.0
    lasting_probability: float = 0.4
    sure_probability: float = 0.98
    clear_probability: float = 0.1
    clear_factor: float = 1.1
    clear_margin_m: float = 10.0
    clear_dwell_s: float = 10.0
    warn_ahead_s: float = 60.0
    contact_ahead_s: float = 30.0
    stale_after_s: float = 120.0
    inclusion_stale_after_s: float = 900.0

    def __post_init__(self) -> None:
        """Refuse what would make the levels meaningless.

        Raises:
            ValueError: Naming the value that is out of range.
        """
        if not 0 < self.clear_probability < self.sparse_probability <= self.enter_probability < 1:
            raise ValueError(
                "need 0 < clear_probability < sparse_probability <= enter_probability < 1"
            )
        if not self.clear_probability < self.lasting_probability <= self.sure_probability <= 1:
            raise ValueError(
                "need clear_probability < lasting_probability <= sure_probability <= 1"
            )
        if not self.clear_factor >= 1:
            raise ValueError("clear_factor below 1 would clear inside the ring")
        if not self.inclusion_stale_after_s >= self.stale_after_s:
            raise ValueError("inclusion_stale_after_s must not be below stale_after_s")
        if not all(value >= 0 and math.isfinite(value) for value in astuple(self)):
            raise ValueError("no parameter may be negative, infinite or NaN")

    @property
    def version(self) -> str:
        """Names the parameters: equal versions decide equally."""
        values = [float(value) for value in astuple(self)]
        return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


PARAMETERS = tuple(field.name for field in fields(Sensitivity))

DEFAULT_SENSITIVITY = Sensitivity()
