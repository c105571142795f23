"""Jurisdiction profiles: what a level means, whom it tells and in which words, as data.

The engine says how near it is (a level); a profile says how much that matters (a tier) and
whether the protected person's handset is told. Profiles are TOML files, checked whole when they
are read: one that is wrong anywhere is refused with every problem named, since half a policy is
worse than yesterday's.

Texts for handsets are constants. They have no placeholders, so no text can carry a distance, a
direction or a place, whatever the code around it does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from alerts.errors import ProfileError
from alerts.escalation_rules import EscalationRule, Point, points_of, rule_problems
from alerts.model import Alert
from devices.caseload import DEFAULT_PROFILE
from devices.health_changes import HEALTH_KINDS
from devices.reports import EventType
from geofence.anomaly_state import Anomaly
from geofence.sensitivity import PARAMETERS, Sensitivity

DEFAULT = DEFAULT_PROFILE
RETURNED = "returned"
"""Key of the words for "it is over", beside the levels' names."""

DEFAULT_LANGUAGE = "en"

STAFF = "staff"
"""Of the texts: what staff are sent, by the clock that has run out."""

TECHNICAL = 4
"""Tier of trouble with a device for which the profile has no rule: protection is weaker."""

WATCHED: tuple[str, ...] = ("proximity", "exclusion", "inclusion")
LEVELS: tuple[str, ...] = ("pre_alert", "alert", "contact", "unknown")
LATCHING: tuple[str, ...] = ("panic", "tamper")
EVENTS = frozenset(get_args(EventType))
"""Event types of the device contract; a rule for any other is a slip of the pen."""

REQUIRED_EVENTS: tuple[str, ...] = ("panic", "strap_cut", "case_open")
"""Events no policy may leave without an alert."""

ANOMALIES = frozenset(kind.label for kind in Anomaly)
"""Kinds of anomaly that the engine knows."""

REQUIRED_ANOMALIES: tuple[str, ...] = ("clone", "stays_behind")
"""Anomalies no policy may leave without an alert: where the tag is, he need not be."""

UNKNOWN_NAMES_LIMIT = 100
"""Names of missing profiles kept to be shown; more are only counted."""

_PLACEHOLDER = re.compile(r"[{}]|%[sd(]|\$\w")
_MEASURE = re.compile(
    r"\d\s*(?:m|km|metres?|meters?|kilomet\w*|miles?|yards?|feet|ft)\b", re.IGNORECASE
)

Tier = Annotated[int, msgspec.Meta(ge=1, le=4)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Role = Literal["wearer", "protected"]


class LevelRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one level of one kind of condition means.

    Attributes:
        tell: Whether the protected person's handset is told.
        imminent_tier, imminent_within_s: The tier when contact is predicted within so many
            seconds; both or neither.
    """

    tier: Tier
    tell: bool = False
    imminent_tier: Tier | None = None
    imminent_within_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None

    def tier_at(self, time_to_contact_s: float) -> int:
        """The tier, given the predicted time to contact (infinite when they are not closing)."""
        if self.imminent_tier is None or self.imminent_within_s is None:
            return self.tier
        return self.imminent_tier if time_to_contact_s <= self.imminent_within_s else self.tier


class EventRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one type of device event means. Types without a rule give no alert.

    Attributes:
        latched: It never returns by itself; a person must close it.
        cleared_by: Event types of the same device after which the condition holds no longer.
        tell: Handsets are told when the device belongs to a person of one of these roles.
    """

    condition: Literal["panic", "tamper", "device"]
    tier: Tier
    latched: bool = False
    cleared_by: tuple[str, ...] = ()
    tell: tuple[Role, ...] = ()


class AnomalyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of anomaly of a device means. Kinds without a rule give no alert."""

    tier: Tier


class HealthRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of trouble with a device means that no event of a device speaks of."""

    tier: Tier = TECHNICAL


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a handset shows."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


Texts = dict[str, dict[str, dict[str, Words]]]
"""Language -> condition -> level, event type or `RETURNED` -> words."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One jurisdiction's policy, as its file has it.

    Attributes:
        sources: Where the policy is laid down.
        levels: Condition -> level -> rule; every level of every condition is there.
        events: Event type -> rule.
        anomalies: Kind of anomaly -> rule.
        health: Kind of trouble with a device -> rule. What devices tell of themselves, too (a low
            battery, say), has its rule under `events`.
        engine: How readily levels are entered and left: parameters of
            `geofence.sensitivity.Sensitivity`; those that are not there keep their default.
        escalation: When who else is asked, as nobody has acted in time.
    """

    name: Name
    description: str = ""
    sources: tuple[str, ...] = ()
    levels: dict[str, dict[str, LevelRule]]
    events: dict[str, EventRule]
    anomalies: dict[str, AnomalyRule] = {}
    health: dict[str, HealthRule] = {}
    engine: dict[str, Any] = {}
    escalation: tuple[EscalationRule, ...] = ()
    texts: Texts

    def points(self, tier: int) -> tuple[Point, ...]:
        """When who else is asked of an alert of this tier."""
        return self._points[tier]

    @cached_property
    def _points(self) -> dict[int, tuple[Point, ...]]:
        return {tier: points_of(self.escalation, tier) for tier in range(1, 5)}

    @cached_property
    def version(self) -> str:
        """Name and the first 32 bits of the SHA-256 of the content; comments do not count."""
        content = msgspec.json.encode(self, order="deterministic")
        return f"{self.name}@{hashlib.sha256(content).hexdigest()[:8]}"

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """What watches under this profile go by."""
        return Sensitivity(**{name: float(value) for name, value in self.engine.items()})

    def cleared_by(self, event_type: str) -> tuple[str, ...]:
        """The event types whose condition ends with this event."""
        return tuple(name for name, rule in self.events.items() if event_type in rule.cleared_by)

    def health_tier(self, kind: str) -> int:
        """The tier of a kind of `devices.health_changes.HealthKind`."""
        rule = self.health.get(kind) or self.events.get(kind)
        return TECHNICAL if rule is None else rule.tier

    def tells(self, alert: Alert) -> bool:
        """Whether handsets are told of an active alert at its present level."""
        if alert.watch:
            return self.levels[alert.condition][alert.level].tell
        rule = self.events.get(alert.level)
        role = "wearer" if alert.wearer else "protected" if alert.protected else None
        return rule is not None and role in rule.tell

    def words(self, alert: Alert, language: str = DEFAULT_LANGUAGE) -> Words | None:
        """What to show for an alert as it stands, or None when the profile has no words for it."""
        key = RETURNED if alert.state == "returned" else alert.level
        texts = self.texts.get(language) or self.texts[DEFAULT_LANGUAGE]
        return texts.get(alert.condition, {}).get(key)

    def staff_words(self, kind: str, language: str = DEFAULT_LANGUAGE) -> Words | None:
        """What staff are sent when a clock has run out; None when the profile has no words."""
        texts = self.texts.get(language) or self.texts[DEFAULT_LANGUAGE]
        return texts.get(STAFF, {}).get(kind)


def parse_profile(data: bytes, file: str) -> Profile:
    """The profile in the bytes of a TOML file.

    Args:
        data: The file's content.
        file: Its name, for the messages.

    Raises:
        ProfileError: It is not TOML, does not have the shape, or contradicts itself.
    """
    try:
        profile = msgspec.toml.decode(data, type=Profile)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProfileError(file, (str(error),)) from error
    problems = tuple(_problems(profile))
    if problems:
        raise ProfileError(file, problems)
    return profile


def _problems(profile: Profile) -> Iterator[str]:
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
        for condition, key in _told(profile):
            if key not in texts.get(condition, {}):
                yield f"texts.{language}.{condition}.{key}: is missing, but handsets are told of it"
        for rule in profile.escalation:
            known = rule.via == ("console",) or rule.ask == "protected"
            if not known and rule.when not in texts.get(STAFF, {}):
                yield f"texts.{language}.{STAFF}.{rule.when}: is missing, but staff are sent it"
        for condition, by_key in texts.items():
            for key, words in by_key.items():
                yield from _word_problems(f"texts.{language}.{condition}.{key}", words)


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


def _word_problems(where: str, words: Words) -> Iterator[str]:
    for text in (words.title, words.text):
        if _PLACEHOLDER.search(text):
            yield f"{where}: has a placeholder; texts are constants, nothing is filled in"
        if _MEASURE.search(text):
            yield f"{where}: names a distance; a text must not reveal how near the other person is"


@dataclass(slots=True)
class ProfileCounts:
    """What the profiles have seen.

    Attributes:
        fallbacks: How often an order named a profile that is not there.
    """

    fallbacks: int = 0


@dataclass(slots=True)
class Profiles:
    """The profiles of a site, the default among them.

    An order that names a profile which is not there is served by the default, since no policy at
    all would be worse. It does not go unseen: it is counted, `unknown` has the name, and the
    alert's own `profile` field says which one was used.

    Attributes:
        by_name: All profiles by their names.
        unknown: Names asked for that are not there, at most `UNKNOWN_NAMES_LIMIT`.
    """

    by_name: Mapping[str, Profile]
    counts: ProfileCounts = field(default_factory=ProfileCounts)
    unknown: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if DEFAULT not in self.by_name:
            raise ProfileError(DEFAULT, ("is missing; it serves every order without one",))

    @property
    def sensitivities(self) -> dict[str, Sensitivity]:
        """By the names of the profiles, what their watches go by."""
        return {name: profile.sensitivity for name, profile in self.by_name.items()}

    def find(self, name: str) -> Profile:
        """The profile of this name, or the default."""
        found = self.by_name.get(name)
        if found is not None:
            return found
        self.counts.fallbacks += 1
        if len(self.unknown) < UNKNOWN_NAMES_LIMIT:
            self.unknown.add(name)
        return self.by_name[DEFAULT]

    def of_alert(self, alert: Alert) -> Profile:
        """The profile that an alert was made under, in its present version."""
        return self.by_name.get(alert.profile.partition("@")[0], self.by_name[DEFAULT])


def load_profiles(folder: Path | None = None) -> Profiles:
    """The shipped profiles, and those of a site's own folder, which win over them by name.

    Raises:
        ProfileError: One of them cannot be used, or two files of the folder have one name.
        OSError: The folder cannot be read.
    """
    shipped = resources.files("alerts") / "profiles"
    profiles = _by_name((item.name, item.read_bytes()) for item in shipped.iterdir())
    if folder is not None:
        profiles |= _by_name((item.name, item.read_bytes()) for item in sorted(folder.iterdir()))
    return Profiles(profiles)


def _by_name(files: Iterable[tuple[str, bytes]]) -> dict[str, Profile]:
    profiles: dict[str, Profile] = {}
    for file, data in files:
        if not file.endswith(".toml"):
            continue
        profile = parse_profile(data, file)
        if profile.name in profiles:
            raise ProfileError(file, (f"name: {profile.name!r} is used by another file, too",))
        profiles[profile.name] = profile
    return profiles
