"""A course of conduct: acts that are little by themselves and much together, told as one pattern.

A pattern is no alert. It has no tier, nobody is woken by it, and it neither raises nor hides one:
nothing here is read by the alert desk. It is a finding about a wearer and one whom he must keep away
from, with all that it rests on, and grows while the conduct goes on.

    acts            what happened, each with its evidence (alerts.conduct_acts, alerts.conduct_tracks)
    run             acts without `quiet_days` of quiet between them
    occasion        acts of one kind within `apart_min` of each other
    pattern         a run in which enough occasions lie within `window_days`

All of it is a function of the acts and the present instant: the same acts give the same patterns
with the same ids, after any restart. An act that staff have explained stays in sight and counts for
nothing; a pattern that no longer holds is withdrawn, not deleted.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from alerts.conduct_rules import PERSISTENT_DAYS, ConductRules
from devices.instants import MICROSECONDS

ActKind = Literal["probing", "approach", "loitering", "following", "tampering"]
ACT_KINDS: tuple[ActKind, ...] = get_args(ActKind)
MIXED = "mixed"

DAY_US = 86_400 * MICROSECONDS
MINUTE_US = 60 * MICROSECONDS

ACTS_SHOWN = 500
"""Acts that one pattern shows: the first, and the newest. How many are left out is said."""

PATTERNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:conduct")


class Rest(msgspec.Struct, frozen=True):
    """Something an act rests on.

    Attributes:
        id: Of an alert its id; of a decision ``watch#number``; of an anomaly ``key#number``; of an
            event ``device/type#seq``; of fixes the person whose track it is.
        at_us: When it was raised, decided, or noticed; of fixes the first one.
    """

    kind: Literal["alert", "decision", "anomaly", "event", "fixes"]
    id: str
    at_us: int


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One thing he did, as far as devices can tell.

    Attributes:
        id: Derived from what it is and when it began.
        ended_us: None while it goes on.
        closest_m: Nearest he came to her, to her way, to the zone's boundary (negative: inside) or to
            her place; None where nothing was measured.
        lag_s: Of following: how long after her he was where she had been, at the median.
        moved_m: Of following: how far the way led.
        explained: What staff have found that it was, where that is nothing to be held against
            him (an outcome of its alert); empty otherwise.
        rests: What it rests on, in order of time.
    """

    id: str
    kind: ActKind
    began_us: int
    ended_us: int | None
    closest_m: float | None = None
    lag_s: float | None = None
    moved_m: float | None = None
    explained: str = ""
    rests: tuple[Rest, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose conduct towards whom.

    Attributes:
        protected: Person id; empty where orders name zones and nobody.
        agency: Who is to act.
        profile: Name of the profile whose thresholds apply.
    """

    wearer: str
    protected: str
    agency: str
    profile: str


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run is a pattern: a threshold that was reached, where it was reached first.

    Attributes:
        kind: An `ActKind`, or ``mixed``.
        needed: Occasions that the profile asks for within `within_days`.
        found: Occasions in the whole run.
        from_us, to_us: First and last of those that reached it.
    """

    kind: str
    needed: int
    found: int
    within_days: int
    from_us: int
    to_us: int


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A course of conduct.

    Attributes:
        pattern_id: Derived from the two people and the first act.
        version: Counts what has been kept of it, from 1; 0 before it is kept.
        state: `withdrawn` when it no longer holds: acts were explained, or late data joined it to
            the pattern before it.
        began_us, last_us: Beginning of the first act, end of the last (or its beginning while it
            goes on).
        persistent: It spans more than two weeks.
        occasions: By kind, without those explained.
        acts: In order of time, at most `ACTS_SHOWN`.
        left_out: Acts between the first and the second shown.
        rules: The thresholds it was found by.
    """

    pattern_id: str
    version: int = 0
    subject: Subject
    state: Literal["going_on", "over", "withdrawn"]
    began_us: int
    last_us: int
    persistent: bool
    occasions: dict[str, int]
    reasons: tuple[Reason, ...]
    acts: tuple[Act, ...]
    left_out: int = 0
    rules: ConductRules


class Occasion(msgspec.Struct, frozen=True):
    """Acts of one kind that belong together."""

    kind: str
    began_us: int
    ended_us: int


def act_id(about: str, began_us: int) -> str:
    """Names an act by what it is about (a watch, a device, two people) and its beginning."""
    return str(uuid.uuid5(PATTERNS, f"act/{about}@{began_us}"))


def patterns_of(
    subject: Subject, acts: Iterable[Act], rules: ConductRules, now_us: int
) -> list[Pattern]:
    """The patterns that acts make, in order of time.

    Args:
        subject: Who and towards whom.
        acts: All known acts, in any order, each once.
        rules: The thresholds.
        now_us: The present instant; acts that go on last until now.
    """
    ordered = sorted(acts, key=lambda act: (act.began_us, act.id))
    found = (_pattern(subject, run, rules, now_us) for run in _runs(ordered, rules, now_us))
    return [pattern for pattern in found if pattern is not None]


def to_keep(kept: Mapping[str, Pattern], found: Sequence[Pattern]) -> list[Pattern]:
    """What has to be kept anew, numbered: what is new or has changed, and what holds no longer.

    Args:
        kept: The newest version of each pattern of the subject, by id.
        found: What `patterns_of` found now.
    """
    changed = []
    for pattern in found:
        before = kept.get(pattern.pattern_id)
        version = 0 if before is None else before.version
        if before != msgspec.structs.replace(pattern, version=version):
            changed.append(msgspec.structs.replace(pattern, version=version + 1))
    ids = {pattern.pattern_id for pattern in found}
    changed += [
        msgspec.structs.replace(before, state="withdrawn", version=before.version + 1)
        for before in kept.values()
        if before.pattern_id not in ids and before.state != "withdrawn"
    ]
    return changed


def _pattern(
    subject: Subject, run: Sequence[Act], rules: ConductRules, now_us: int
) -> Pattern | None:
    by_kind = {kind: _occasions(run, kind, rules, now_us) for kind in ACT_KINDS}
    reasons = tuple(_reasons(by_kind, rules))
    if not reasons:
        return None
    end_us = max(_end_us(act, now_us) for act in run)
    last_us = max(act.began_us if act.ended_us is None else act.ended_us for act in run)
    left_out = max(0, len(run) - ACTS_SHOWN)
    first = run[0]
    return Pattern(
        pattern_id=str(uuid.uuid5(PATTERNS, f"{subject.wearer}>{subject.protected}/{first.id}")),
        subject=subject,
        state="over" if now_us - end_us > rules.quiet_days * DAY_US else "going_on",
        began_us=first.began_us,
        last_us=last_us,
        persistent=last_us - first.began_us > PERSISTENT_DAYS * DAY_US,
        occasions={kind: len(found) for kind, found in by_kind.items() if found},
        reasons=reasons,
        acts=(first, *run[1 + left_out :]),
        left_out=left_out,
        rules=rules,
    )


def _runs(ordered: Sequence[Act], rules: ConductRules, now_us: int) -> Iterator[list[Act]]:
    """Acts in order, cut where nothing happened for `quiet_days`."""
    run: list[Act] = []
    end_us = 0
    for act in ordered:
        if run and act.began_us - end_us > rules.quiet_days * DAY_US:
            yield run
            run = []
        end_us = max(end_us, _end_us(act, now_us)) if run else _end_us(act, now_us)
        run.append(act)
    if run:
        yield run


def _occasions(
    run: Sequence[Act], kind: ActKind, rules: ConductRules, now_us: int
) -> list[Occasion]:
    found: list[Occasion] = []
    for act in run:
        if act.kind != kind or act.explained:
            continue
        end_us = _end_us(act, now_us)
        if found and act.began_us - found[-1].ended_us <= rules.apart_min * MINUTE_US:
            last = found[-1]
            found[-1] = Occasion(kind, last.began_us, max(last.ended_us, end_us))
        else:
            found.append(Occasion(kind, act.began_us, end_us))
    return found


def _reasons(by_kind: Mapping[ActKind, list[Occasion]], rules: ConductRules) -> Iterator[Reason]:
    for kind, found in by_kind.items():
        needed = getattr(rules, kind)
        yield from _reason(kind, found, needed, rules)
    every = sorted(
        (one for found in by_kind.values() for one in found),
        key=lambda one: (one.began_us, one.kind),
    )
    yield from _reason(MIXED, every, rules.mixed, rules)


def _reason(
    kind: str, found: Sequence[Occasion], needed: int, rules: ConductRules
) -> Iterator[Reason]:
    """The threshold, if `needed` occasions lie within the window anywhere: the first such place."""
    for first, last in zip(found, found[needed - 1 :], strict=False):
        if last.began_us - first.began_us > rules.window_days * DAY_US:
            continue
        within = [one for one in found if first.began_us <= one.began_us <= last.began_us]
        if kind == MIXED and len(Counter(one.kind for one in within)) < 2:
            continue
        yield Reason(
            kind=kind,
            needed=needed,
            found=len(found),
            within_days=rules.window_days,
            from_us=first.began_us,
            to_us=last.began_us,
        )
        return


def _end_us(act: Act, now_us: int) -> int:
    return max(act.began_us, now_us) if act.ended_us is None else act.ended_us
