"""What a jurisdiction profile holds: tiers, plans and words, as a file has them.

Texts for handsets are constants. They have no placeholders, so no text can carry a distance, a
direction or a place, whatever the code around it does.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import msgspec

from alerts.conduct_rules import ConductRules
from alerts.escalation_rules import EscalationRule, Point, points_of
from alerts.model import Alert
from devices.caseload import DEFAULT_PROFILE
from devices.choices import Topic
from devices.reports import CHOOSING, EventType
from geofence.anomaly_state import Anomaly
from geofence.sensitivity import Sensitivity

DEFAULT = DEFAULT_PROFILE
RETURNED = "returned"
"""Key of the words for "it is over", beside the levels' names."""

DEFAULT_LANGUAGE = "en"

STAFF = "staff"
"""Of the texts: what staff are sent, by the clock that has run out."""

STATUS = "status"
"""Of the texts: how well a person is protected, by the gravest reason."""

ALARM = "alarm"
"""Of the texts: whether what her handset raised an alarm for was real, by the verdict."""

CHOICES = "choices"
"""Of the texts: what is said of what she chooses, and above what was held back for her."""

WAY = "way"
"""Of the texts: where a protected person should go."""

TECHNICAL = 4
"""Tier of trouble with a device for which the profile has no rule: protection is weaker."""

WATCHED: tuple[str, ...] = ("proximity", "exclusion", "inclusion")
LEVELS: tuple[str, ...] = ("pre_alert", "alert", "contact", "unknown")
LATCHING: tuple[str, ...] = ("panic", "tamper")
EVENTS = frozenset(get_args(EventType)) - {CHOOSING}
"""Event types of the device contract; a rule for any other is a slip of the pen."""

REQUIRED_EVENTS: tuple[str, ...] = ("panic", "strap_cut", "case_open")
"""Events no policy may leave without an alert."""

ANOMALIES = frozenset(kind.label for kind in Anomaly)
"""Kinds of anomaly that the engine knows."""

REQUIRED_ANOMALIES: tuple[str, ...] = ("clone", "stays_behind")
"""Anomalies no policy may leave without an alert: where the tag is, he need not be."""

Tier = Annotated[int, msgspec.Meta(ge=1, le=4)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Role = Literal["wearer", "protected"]


Action = Literal[
    "call_wearer",  # ask him to move away, and whether he does
    "call_protected",
    "tell_protected",  # the step `tell`: what she is not told by itself
    "send_patrol",
    "call_police",
    "inspect_device",
    "call_supervisor",
    "watch_on",
]
"""What staff do, as the console shows it to them."""

WAYS: tuple[str, ...] = ("north", "east", "south", "west", "stay")
"""Where a protected person may be told to go: of her own way only, never of his."""


WAY_SPREAD_DEG = 45.0
"""A quarter is at most 45 degrees off the way; with so much more it still leads away from him."""


class LevelRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one level of one kind of condition means.

    Attributes:
        tell: Whether the protected person's handset is told.
        way: Whether it is told which way leads away, where that is known.
        imminent_tier, imminent_within_s: The tier when contact is predicted within so many
            seconds; both or neither.
    """

    tier: Tier
    tell: bool = False
    way: bool = False
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


class Rings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the law says of the rings around a protected person; None where it says nothing.

    Attributes:
        alert_from_m, alert_to_m: Least and greatest alert ring.
        alert_step_m: It is a multiple of this.
        outer_factor: The outer ring is exactly so many times the alert ring.
    """

    alert_from_m: Annotated[float, msgspec.Meta(gt=0)] | None = None
    alert_to_m: Annotated[float, msgspec.Meta(gt=0)] | None = None
    alert_step_m: Annotated[float, msgspec.Meta(gt=0)] | None = None
    outer_factor: Annotated[float, msgspec.Meta(gt=1)] | None = None


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
        rings: What orders under this profile must keep to.
        procedures: Condition -> level or event type -> what staff do, in order.
        escalation: When who else is asked, as nobody has acted in time.
        conduct: When separate acts are a course of conduct.
        locked: Topics of which she cannot choose how she is told. The inner ring always is.
    """

    name: Name
    description: str = ""
    sources: tuple[str, ...] = ()
    levels: dict[str, dict[str, LevelRule]]
    events: dict[str, EventRule]
    anomalies: dict[str, AnomalyRule] = {}
    health: dict[str, HealthRule] = {}
    engine: dict[str, Any] = {}
    rings: Rings = Rings()
    procedures: dict[str, dict[str, tuple[Action, ...]]] = {}
    escalation: tuple[EscalationRule, ...] = ()
    conduct: ConductRules = ConductRules()
    locked: tuple[Topic, ...] = ()
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
        return self.text(alert.condition, key, language)

    def way(self, way: str, language: str = DEFAULT_LANGUAGE) -> Words | None:
        """The words that say where to go; None when the profile has none."""
        return self.text(WAY, way, language)

    def way_of(self, alert: Alert, language: str = DEFAULT_LANGUAGE) -> Words | None:
        """The words for the way that leads away, by the alert's level; None where none is said.

        One of four directions: what is known to within `WAY_SPREAD_DEG` leads away with each.
        """
        rules = self.levels.get(alert.condition, {})
        rule = rules.get(alert.level) if alert.watch and alert.state == "active" else None
        if rule is None or not rule.way or alert.away_deg is None or alert.away_spread_deg is None:
            return None
        if alert.away_spread_deg > WAY_SPREAD_DEG:
            return None
        quarter = round(alert.away_deg / 90.0) % 4
        return self.way(WAYS[quarter], language)

    def procedure(self, alert: Alert) -> tuple[str, ...]:
        """What staff do about an alert as it stands, in order."""
        return self.procedures.get(alert.condition, {}).get(alert.level, ())

    def text(self, condition: str, key: str, language: str) -> Words | None:
        """Words in a language, or in that without its region, or in the default one."""
        for name in (language, language.partition("-")[0], DEFAULT_LANGUAGE):
            if name in self.texts:
                return self.texts[name].get(condition, {}).get(key)
        return None

    def staff_words(self, kind: str, language: str = DEFAULT_LANGUAGE) -> Words | None:
        """What staff are sent when a clock has run out; None when the profile has no words."""
        return self.text(STAFF, kind, language)
