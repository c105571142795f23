"""When separate acts are a course of conduct: the thresholds of a profile, and where they come from.

Stalking is a pattern, not an event. Sources:

- Two occasions are the least that law calls a course of conduct (Protection from Harassment Act
  1997, England and Wales, section 7(3)): no threshold may be lower.
- Two weeks are the watershed between brief intrusiveness and persistent stalking (Purcell, Pathe
  and Mullen 2004, "When do repeated intrusions become stalking?", Journal of Forensic Psychiatry
  and Psychology 15(4), 571-583): a pattern that spans more is marked as persistent, and one is over
  after two weeks of quiet.
- Ten intrusions in four weeks, among them loitering near by and approaches, is the narrow definition
  of research (quoted by Roberts 2005, Violence Against Women 11(1), 89-114). Here an order is in
  force already, so fewer acts matter: the window is its four weeks, the counts are half and less.
- Following: whoever comes to where another was, again and again and within a bounded time, follows
  (Andersson, Gudmundsson, Laube and Wolle 2008, "Reporting leaders and followers among trajectories
  of moving point objects", GeoInformatica 12(4)). Distances and times are ours.
- A place is where somebody stays: a stay point (Li, Zheng and others 2008, "Mining user similarity
  based on location history", ACM GIS). Distances and times are ours.
- Tampering to torment, and probing of a boundary, are told of by those protected; no source has
  counts for them.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Occasions = Annotated[int, msgspec.Meta(ge=2, le=1_000)]
Days = Annotated[int, msgspec.Meta(ge=1, le=90)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=240)]
Metres = Annotated[float, msgspec.Meta(gt=0, le=50_000)]

PERSISTENT_DAYS = 14
"""A pattern that spans more is persistent (Purcell and others 2004)."""


class ConductRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `conduct` of a profile.

    Attributes:
        window_days: Occasions count together within so many days.
        quiet_days: After so many days without an act the pattern is over.
        apart_min: Acts of one kind that begin within so many minutes of the end of the one before
            are one occasion: a strap that is pulled at five times in a minute is pulled at once.
        probing: Occasions of coming into an outer ring or buffer and out again.
        approach: Occasions of coming into an alert ring, or into a zone that is forbidden.
        loitering: Occasions of staying in an outer ring or buffer, or near a place of hers.
        following: Occasions of moving where she has just moved.
        tampering: Occasions of tampering with the tag.
        mixed: Occasions of any kinds together, at least two of them.
        loiter_min: So long in an outer ring, in a buffer or near a place is loitering.
        follow_min: So long on her way is following.
        follow_lag_min: How much later than she he is where she was, at most.
        follow_m: How near to where she was.
        follow_moved_m: How far the way must lead from where it began.
        place_m: So near to a place of hers is at it.
    """

    window_days: Days = 28
    quiet_days: Days = 14
    apart_min: Minutes = 30
    probing: Occasions = 4
    approach: Occasions = 3
    loitering: Occasions = 3
    following: Occasions = 2
    tampering: Occasions = 3
    mixed: Occasions = 5
    loiter_min: Minutes = 10
    follow_min: Minutes = 10
    follow_lag_min: Annotated[int, msgspec.Meta(ge=1, le=60)] = 15
    follow_m: Metres = 150.0
    follow_moved_m: Metres = 1_000.0
    place_m: Metres = 150.0
