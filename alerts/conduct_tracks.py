"""Acts that only two tracks tell of: following, and staying near places of hers.

Both look at one position a minute. Following: he is, at most `follow_lag_min` later, within `follow_m`
of where she was, for `follow_min` on end, on a way that leads somewhere; who comes behind whom is told
by the lag that fits best, so that she is never "followed" by one who goes ahead. Loitering at a place:
he stays where she has stayed before, unless it is a place of his own.

What it cannot tell: why. Two people who drive the same road to work at about the same time look
like one who follows the other. It takes several occasions for a pattern, each with its times, and
a person who looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.conduct import MINUTE_US, Act, Rest, act_id
from alerts.conduct_rules import ConductRules
from geofence.distance import to_cartesians_m

FloatArray = NDArray[np.float64]

HOLD_MIN = 3
"""A position stands for so many minutes; then nothing is known until the next."""

BREAK_MIN = 2
"""Following survives so many minutes off her way, or without a position."""

STAY_M = 100.0
HER_STAY_MIN = 20
"""So long within `STAY_M` makes a place hers."""

OWN_STAY_MIN = 240
"""So long on end makes it a place of his own: his home, his work. He does not loiter there."""


@dataclass(frozen=True, slots=True)
class MinuteTrack:
    """One position a minute.

    Attributes:
        person: Whose.
        start_us: Instant of the first entry.
        place_m: (3, n) earth-centred x, y, z, one entry a minute; NaN where nothing is known.
    """

    person: str
    start_us: int
    place_m: FloatArray

    def at_us(self, minute: int) -> int:
        """Instant of an entry."""
        return self.start_us + minute * MINUTE_US


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay: first and last minute, of how many a position is known, and its middle, (3,) metres."""

    first: int
    last: int
    known: int
    middle_m: FloatArray

    @property
    def minutes(self) -> int:
        """From the first to the last."""
        return self.last - self.first + 1


def minute_track(
    person: str, start_us: int, minutes: int, fixes: Iterable[tuple[int, float, float]]
) -> MinuteTrack:
    """A track from (time_us, lat, lon), in order of time; the last fix of a minute stands for it."""
    told = {
        minute: (lat, lon)
        for time_us, lat, lon in fixes
        if 0 <= (minute := (time_us - start_us) // MINUTE_US) < minutes
    }
    place_m = np.full((3, minutes), np.nan)
    known = np.fromiter(told, np.int64, len(told))
    if known.size:
        lat_e7, lon_e7 = np.rint(np.array(list(told.values())).T * 1e7).astype(np.int64)
        found_m = np.empty((3, known.size))
        to_cartesians_m(lat_e7.copy(), lon_e7.copy(), found_m)
        place_m[:, known] = found_m
    for _ in range(HOLD_MIN - 1):
        empty = np.flatnonzero(np.isnan(place_m[0, 1:])) + 1
        place_m[:, empty] = place_m[:, empty - 1]
    return MinuteTrack(person, start_us, place_m)


def acts_of_tracks(
    his: MinuteTrack, hers: MinuteTrack, rules: ConductRules, since_minute: int
) -> list[Act]:
    """What both tracks tell of.

    Args:
        his: The wearer's.
        hers: The protected person's, from the same instant on, of the same length.
        rules: See `ConductRules`.
        since_minute: Acts that begin earlier are left out; what lies before says which places
            are whose.
    """
    found = [*_followings(his, hers, rules), *_loiterings(his, hers, rules)]
    return [act for act in found if act.began_us >= his.at_us(since_minute)]


def lags(his: MinuteTrack, hers: MinuteTrack, most: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """For each minute the best distance in metres over all lags, and that lag in minutes.

    A lag of 3: he is where she was three minutes before; below 0 she is where he was. Of equal
    ones the smallest counts.
    """
    minutes = his.place_m.shape[1]
    best, lag_of = np.full(minutes, np.inf), np.zeros(minutes, np.int64)
    for lag in sorted(range(-most, most + 1), key=lambda one: (abs(one), -one)):
        first, last = max(0, lag), minutes + min(0, lag)
        distance = np.full(minutes, np.inf)
        distance[first:last] = _distance_m(
            his.place_m[:, first:last], hers.place_m[:, first - lag : last - lag]
        )
        better = distance < best
        best[better], lag_of[better] = distance[better], lag
    return best, lag_of


def _followings(his: MinuteTrack, hers: MinuteTrack, rules: ConductRules) -> Iterator[Act]:
    best, lag_of = lags(his, hers, rules.follow_lag_min)
    for first, last in _stretches(best <= rules.follow_m):
        on_way = slice(first, last + 1)
        matched = best[on_way] <= rules.follow_m
        lag = float(np.median(lag_of[on_way][matched]))
        way_m = _distance_m(his.place_m[:, first : first + 1], his.place_m[:, on_way])
        moved_m = float(way_m[np.isfinite(way_m)].max())
        long_enough = last - first + 1 >= rules.follow_min
        if not long_enough or lag < 0 or moved_m < rules.follow_moved_m:
            continue
        yield Act(
            id=act_id(f"{his.person}>{hers.person}/following", his.at_us(first)),
            kind="following",
            began_us=his.at_us(first),
            ended_us=his.at_us(last + 1),
            closest_m=round(float(best[on_way].min()), 1),
            lag_s=lag * 60,
            moved_m=round(moved_m, 1),
            rests=(
                Rest("fixes", hers.person, hers.at_us(max(0, first - int(lag)))),
                Rest("fixes", his.person, his.at_us(first)),
            ),
        )


def _stretches(matched: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last minute of each stretch of matches with breaks of at most `BREAK_MIN`."""
    minutes = np.flatnonzero(matched)
    if not minutes.size:
        return
    cuts = np.flatnonzero(np.diff(minutes) > BREAK_MIN + 1)
    firsts = [minutes[0], *minutes[cuts + 1]]
    lasts = [*minutes[cuts], minutes[-1]]
    yield from ((int(first), int(last)) for first, last in zip(firsts, lasts, strict=True))


def _loiterings(his: MinuteTrack, hers: MinuteTrack, rules: ConductRules) -> Iterator[Act]:
    places = [stay for stay in stays(hers) if stay.minutes >= HER_STAY_MIN]
    his_stays = stays(his)
    own = [stay for stay in his_stays if stay.minutes >= OWN_STAY_MIN]
    for stay in his_stays:
        if stay.known < rules.loiter_min:
            continue
        known = [place for place in places if place.first <= stay.first]
        if _nearest_m(stay, own) <= rules.place_m or _nearest_m(stay, known) > rules.place_m:
            continue
        place = min(known, key=lambda one: _between_m(stay, one))
        yield Act(
            id=act_id(f"{his.person}>{hers.person}/loitering", his.at_us(stay.first)),
            kind="loitering",
            began_us=his.at_us(stay.first),
            ended_us=his.at_us(stay.last + 1),
            closest_m=round(_between_m(stay, place), 1),
            rests=(
                Rest("fixes", hers.person, hers.at_us(place.first)),
                Rest("fixes", his.person, his.at_us(stay.first)),
            ),
        )


def stays(track: MinuteTrack) -> list[Stay]:
    """Where somebody stayed, in order: from a position on, as long as he is within `STAY_M` of it.

    Minutes of which nothing is known end no stay, and are in none at its end.
    """
    known = np.flatnonzero(~np.isnan(track.place_m[0]))
    place_m = track.place_m[:, known]
    found, index = [], 0
    while index < known.size:
        count = _count_near(place_m[:, index:])
        found.append(
            Stay(
                first=int(known[index]),
                last=int(known[index + count - 1]),
                known=count,
                middle_m=place_m[:, index : index + count].mean(axis=1),
            )
        )
        index += count
    return found


def _count_near(place_m: FloatArray) -> int:
    """How many of the first positions lie within `STAY_M` of the very first."""
    piece, count = 64, int(place_m.shape[1])
    for start in range(0, count, piece):
        away = _distance_m(place_m[:, :1], place_m[:, start : start + piece]) > STAY_M
        if away.any():
            return start + int(np.argmax(away))
    return count


def _nearest_m(stay: Stay, places: Iterable[Stay]) -> float:
    return min((_between_m(stay, place) for place in places), default=np.inf)


def _between_m(one: Stay, other: Stay) -> float:
    return float(_distance_m(one.middle_m[:, None], other.middle_m[:, None])[0])


def _distance_m(one_m: FloatArray, other_m: FloatArray) -> FloatArray:
    """(n,) straight distances of (3, n) places: short by 8 mm at 20 km; infinite where unknown."""
    x_m, y_m, z_m = one_m - other_m
    metres: FloatArray = np.sqrt(x_m * x_m + y_m * y_m + z_m * z_m)
    metres[np.isnan(metres)] = np.inf
    return metres
