"""What is wrong with a profile whose shape is right: what is missing, unknown or contradicts itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from alerts.escalation_rules import rule_problems
from alerts.profile_rules import (
    ANOMALIES,
    DEFAULT_LANGUAGE,
    EVENTS,
    LATCHING,
    LEVELS,
    REQUIRED_ANOMALIES,
    REQUIRED_EVENTS,
    RETURNED,
    STAFF,
    WATCHED,
    WAY,
    WAYS,
    EventRule,
    Profile,
    Words,
)
from devices.health_changes import HEALTH_KINDS
from geofence.sensitivity import PARAMETERS

_PLACEHOLDER = re.compile(r"[{}]|%[sd(]|\$\w")
_MEASURE = re.compile(
    r"\d\s*(?:m|km|metres?|meters?|metros?|m\u00e8tres?|kil[o\u00f3]m\w*|miles?|millas?|yards?|feet|ft)\b",
    re.IGNORECASE,
)


def problems_of(profile: Profile) -> Iterator[str]:
    """Each begins with the path of a field and a colon."""
    yield from _level_problems(profile)
    for name, rule in profile.events.items():
        yield from _event_problems(name, rule)
    for name in REQUIRED_EVENTS:
        if name not in profile.events:
            yield f"events.{name}: is missing; no policy may leave it without an alert"
    yield from _unknown("anomalies", profile.anomalies, ANOMALIES)
    for name in REQUIRED_ANOMALIES:
        if name not in profile.anomalies:
            yield f"anomalies.{name}: is missing; no policy may leave it without an alert"
    yield from _unknown("health", profile.health, set(HEALTH_KINDS) - EVENTS)
    yield from _engine_problems(profile)
    yield from (f"{where}: {problem}" for where, problem in rule_problems(profile.escalation))
    yield from _procedure_problems(profile)
    yield from _text_problems(profile)


def _level_problems(profile: Profile) -> Iterator[str]:
    yield from _unknown("levels", profile.levels, WATCHED)
    for condition in WATCHED:
        rules = profile.levels.get(condition, {})
        yield from _unknown(f"levels.{condition}", rules, LEVELS)
        for level in LEVELS:
            where = f"levels.{condition}.{level}"
            rule = rules.get(level)
            if rule is None:
                yield f"{where}: is missing; say which tier it is"
            elif (rule.imminent_tier is None) != (rule.imminent_within_s is None):
                yield f"{where}: write both imminent_tier and imminent_within_s, or neither"
            elif rule.way and not (rule.tell and condition == "proximity"):
                yield f"{where}.way: is said only with a notice of nearness; set tell = true too"
            elif rule.imminent_tier is not None and rule.imminent_tier > rule.tier:
                yield f"{where}.imminent_tier: must not be milder than tier {rule.tier}"


def _event_problems(name: str, rule: EventRule) -> Iterator[str]:
    where = f"events.{name}"
    yield from _unknown("events", (name,), EVENTS)
    yield from _unknown(f"{where}.cleared_by", rule.cleared_by, EVENTS)
    if name in rule.cleared_by:
        yield f"{where}.cleared_by: an event cannot clear itself"
    if rule.condition in LATCHING and not rule.latched:
        yield f"{where}.latched: must be true, {rule.condition} never clears by itself"
    if rule.latched and rule.cleared_by:
        yield f"{where}.cleared_by: must be empty, what latches is closed by a person only"
    if name == "panic" and (rule.condition != "panic" or rule.tier != 1):
        yield f'{where}: must be condition "panic" and tier 1'


def _procedure_problems(profile: Profile) -> Iterator[str]:
    known: dict[str, set[str]] = {name: set(LEVELS) for name in WATCHED}
    for event, rule in profile.events.items():
        known.setdefault(rule.condition, set()).add(event)
    yield from _unknown("procedures", profile.procedures, known)
    for condition, by_level in profile.procedures.items():
        yield from _unknown(f"procedures.{condition}", by_level, known.get(condition, by_level))


def _engine_problems(profile: Profile) -> Iterator[str]:
    yield from _unknown("engine", profile.engine, PARAMETERS)
    wrong = [name for name, value in profile.engine.items() if not _is_number(value)]
    for name in wrong:
        yield f"engine.{name}: must be a number, not {profile.engine[name]!r}"
    if not wrong and set(profile.engine) <= set(PARAMETERS):
        try:
            _ = profile.sensitivity
        except ValueError as error:
            yield f"engine: {error}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unknown(where: str, names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    known = sorted(known)
    for name in names:
        if name not in known:
            yield f"{where}: unknown name {name!r}; known are {', '.join(known)}"


def _text_problems(profile: Profile) -> Iterator[str]:
    if DEFAULT_LANGUAGE not in profile.texts:
        yield f"texts.{DEFAULT_LANGUAGE}: is missing; it is shown where a language is not known"
    for language, texts in profile.texts.items():
        yield from _unknown(f"texts.{language}.{WAY}", texts.get(WAY, {}), WAYS)
        yield from _way_problems(profile, language)
        for condition, key in {
            **dict.fromkeys(_told(profile)),
            **dict.fromkeys(_tellable(profile)),
        }:
            if key not in texts.get(condition, {}):
                yield f"texts.{language}.{condition}.{key}: is missing, but handsets are told of it"
        for rule in profile.escalation:
            known = rule.via == ("console",) or rule.ask == "protected"
            if not known and rule.when not in texts.get(STAFF, {}):
                yield f"texts.{language}.{STAFF}.{rule.when}: is missing, but staff are sent it"
        for condition, by_key in texts.items():
            for key, words in by_key.items():
                yield from _word_problems(f"texts.{language}.{condition}.{key}", words)


def _way_problems(profile: Profile, language: str) -> Iterator[str]:
    if any(rule.way for rules in profile.levels.values() for rule in rules.values()):
        known = profile.texts[language].get(WAY, {})
        for way in WAYS[:4]:
            if way not in known:
                yield f"texts.{language}.{WAY}.{way}: is missing, but handsets are told the way"


def _told(profile: Profile) -> Iterator[tuple[str, str]]:
    """Condition and key of everything handsets are told of, the end of it included."""
    for condition, rules in profile.levels.items():
        told = [level for level, rule in rules.items() if rule.tell]
        yield from ((condition, level) for level in told)
        if told:
            yield condition, RETURNED
    for name, rule in profile.events.items():
        if rule.tell:
            yield rule.condition, name
            if rule.cleared_by:
                yield rule.condition, RETURNED


def _tellable(profile: Profile) -> Iterator[tuple[str, str]]:
    """What staff may tell her of by hand."""
    for condition, by_level in profile.procedures.items():
        for level, actions in by_level.items():
            if "tell_protected" in actions:
                yield condition, level
                if condition in WATCHED:
                    yield condition, RETURNED


def _word_problems(where: str, words: Words) -> Iterator[str]:
    for text in (words.title, words.text):
        if _PLACEHOLDER.search(text):
            yield f"{where}: has a placeholder; texts are constants, nothing is filled in"
        if _MEASURE.search(text):
            yield f"{where}: names a distance; a text must not reveal how near the other person is"
