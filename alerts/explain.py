"""A profile in words: what it makes of everything, for whoever answers for it."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.conduct import ACT_KINDS, MIXED
from alerts.escalation_rules import Point
from alerts.profile_rules import DEFAULT_LANGUAGE, LEVELS, WATCHED, Profile

_TIERS = {1: "critical", 2: "high", 3: "warning", 4: "technical"}


def explain(profile: Profile, language: str = DEFAULT_LANGUAGE) -> str:
    """What the profile decides, condition by condition, with its texts in one language."""
    return "\n".join(_lines(profile, language)) + "\n"


def _lines(profile: Profile, language: str) -> Iterator[str]:
    yield f"{profile.version}: {profile.description}"
    yield from (f"  source: {source}" for source in profile.sources)
    for condition in WATCHED:
        yield from ("", condition)
        for level in LEVELS:
            yield from _level(profile, condition, level, language)
    yield from ("", "what devices notice")
    for event, rule in sorted(profile.events.items()):
        latched = ", latched" if rule.latched else ""
        ends = f", ends with {', '.join(rule.cleared_by)}" if rule.cleared_by else ""
        yield f"  {event}: tier {rule.tier} {_TIERS[rule.tier]}, {rule.condition}{latched}{ends}"
        yield from _told(profile, rule.condition, event, language, tell=bool(rule.tell))
    yield from ("", "when nobody acts")
    for tier in range(1, 5):
        yield from (f"  tier {tier}, {_point(point)}" for point in profile.points(tier))
    yield from ("", "courses of conduct", *_conduct(profile))
    rings = {f: v for f, v in _fields(profile.rings) if v is not None}
    if rings:
        yield from ("", "rings", *(f"  {name} = {value:g}" for name, value in rings.items()))


def _level(profile: Profile, condition: str, level: str, language: str) -> Iterator[str]:
    rule = profile.levels[condition][level]
    soon = ""
    if rule.imminent_tier is not None:
        soon = f"; tier {rule.imminent_tier} with contact within {rule.imminent_within_s:g} s"
    yield f"  {level}: tier {rule.tier} {_TIERS[rule.tier]}{soon}"
    yield from _told(profile, condition, level, language, tell=rule.tell)


def _told(
    profile: Profile, condition: str, level: str, language: str, *, tell: bool
) -> Iterator[str]:
    actions = profile.procedures.get(condition, {}).get(level, ())
    if actions:
        yield f"    staff: {', '.join(action.replace('_', ' ') for action in actions)}"
    words = profile.text(condition, level, language)
    if tell and words is not None:
        yield f'    she is told: "{words.title}. {words.text}"'
    elif "tell_protected" in actions:
        yield "    she is told when staff say so"
    else:
        yield "    she is not told"


def _point(point: Point) -> str:
    rule = point.rule
    until = "no receipt from the channel before, " if point.unheard is not None else ""
    via = " or ".join(rule.via[point.choice :])
    seconds = f"{point.offset_us / 1_000_000:g}"
    return f"{rule.when} for {seconds} s: {until}{rule.ask} {rule.rank} by {via}"


def _conduct(profile: Profile) -> Iterator[str]:
    rules = profile.conduct
    for name in (*ACT_KINDS, MIXED):
        yield f"  {name}: {getattr(rules, name)} occasions within {rules.window_days} days"


def _fields(rings: object) -> list[tuple[str, float | None]]:
    names = ("alert_from_m", "alert_to_m", "alert_step_m", "outer_factor")
    return [(name, getattr(rings, name)) for name in names]
