"""What is shown while a true encounter lasts: an alert, or that nearness cannot be excluded.

With a fix a minute an encounter can pass between two of them, and the score of found ones alone
would not tell whether it was taken for safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from benchmarks.encounters import spells
from geofence.levels import Level, Transition
from geofence.plan import FloatArray, IntArray

_SECOND_US = 1_000_000
_SAFE = int(Level.CLEAR)


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of true encounters by the level shown in them, and encounters by the worst shown.

    Attributes:
        alert_s, unknown_s, pre_alert_s, clear_s: Seconds; alert includes contact.
        alert, unknown, pre_alert, clear: Encounters that had an alert at some time; had none, but
            unknown; had neither, but a pre-alert; had nothing at all.
        elsewhere_alert_s, elsewhere_unknown_s, elsewhere_pre_alert_s, elsewhere_clear_s: Seconds
            outside true encounters: what the cover costs.
    """

    alert_s: int
    unknown_s: int
    pre_alert_s: int
    clear_s: int
    alert: int
    unknown: int
    pre_alert: int
    clear: int
    elsewhere_alert_s: int
    elsewhere_unknown_s: int
    elsewhere_pre_alert_s: int
    elsewhere_clear_s: int


_RANK = np.array([3, 2, 0, 0, 1])
"""Row of the cover for each `Level`: alert and contact, unknown, pre-alert, clear."""


def levels_of(changes: Iterable[Transition], end_s: int, start_us: int) -> IntArray:
    """(end_s + 1,) the level shown at the end of each second from `start_us` on."""
    levels = np.full(end_s + 1, _SAFE, np.int64)
    for change in changes:
        levels[max(0, (change.decided_at_us - start_us) // _SECOND_US) :] = int(change.level)
    return levels


def cover_of(
    changes: Iterable[Iterable[Transition]],
    truths_m: Sequence[FloatArray],
    radius_m: float,
    start_us: int,
) -> Cover:
    """The cover over pairs: their changes, and their true distance at each second."""
    seconds = np.zeros(4, np.int64)
    encounters = np.zeros(4, np.int64)
    elsewhere = np.zeros(4, np.int64)
    for change, truth_m in zip(changes, truths_m, strict=True):
        shown = _RANK[levels_of(change, truth_m.size - 1, start_us)]
        outside = np.ones(truth_m.size, np.bool_)
        for spell in spells(truth_m, np.arange(truth_m.size), radius_m):
            during = slice(spell.start_s, spell.end_s + 1)
            outside[during] = False
            seconds += np.bincount(shown[during], minlength=4)
            encounters[shown[during].min()] += 1
        elsewhere += np.bincount(shown[outside], minlength=4)
    return Cover(
        alert_s=int(seconds[0]),
        unknown_s=int(seconds[1]),
        pre_alert_s=int(seconds[2]),
        clear_s=int(seconds[3]),
        alert=int(encounters[0]),
        unknown=int(encounters[1]),
        pre_alert=int(encounters[2]),
        clear=int(encounters[3]),
        elsewhere_alert_s=int(elsewhere[0]),
        elsewhere_unknown_s=int(elsewhere[1]),
        elsewhere_pre_alert_s=int(elsewhere[2]),
        elsewhere_clear_s=int(elsewhere[3]),
    )
