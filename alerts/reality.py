"""Was that real? What an alert has turned out to be, with the reasons: for her, and for staff.

For staff the reasons have distances and times; what she is told is a text of the profile, chosen by the
verdict, and says nothing of where anybody is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from alerts.model import SYSTEM, Alert
from alerts.profile import Profiles
from alerts.profile_rules import ALARM, Words

Verdict = Literal[
    "real",  # a person has found that it was
    "not_real",
    "not_known",  # a person could not find out
    "confirmed",  # nobody has said yet; our own measurement agrees
    "not_excluded",  # ... cannot exclude it
    "only_handset",  # ... has not seen it: only her handset has
]

_OF_OUTCOME: dict[str, Verdict] = {
    "breach": "real",
    "breach_averted": "real",
    "help_given": "real",
    "no_breach": "not_real",
    "device_at_fault": "not_real",
    "pressed_by_mistake": "not_real",
    "test": "not_real",
    "not_determined": "not_known",
}
_OF_LEVEL: dict[str, Verdict] = {
    "contact": "confirmed",
    "alert": "confirmed",
    "pre_alert": "confirmed",
    "unknown": "not_excluded",
}


class Reality(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Attributes:
        open: Nobody has closed it yet: the verdict may change.
        reasons: For staff.
        title, text: What she is told, in the default language.
    """

    alert_id: str
    open: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    title: str
    text: str


def verdict_of(alert: Alert) -> Verdict:
    """What is known of it now: what a person has found, else what was measured."""
    if alert.outcome is not None:
        return _OF_OUTCOME.get(alert.outcome, "not_known")
    if not alert.watch:
        return "only_handset"
    return _OF_LEVEL.get(alert.highest_level, "only_handset")


def was_real(alert: Alert, profiles: Profiles) -> Reality:
    """Whether what an alert was raised for was real, as it stands."""
    verdict = verdict_of(alert)
    words = her_words(alert, profiles)
    return Reality(
        alert_id=alert.alert_id,
        open=alert.resolved_at is None,
        verdict=verdict,
        reasons=tuple(_reasons(alert)),
        title="" if words is None else words.title,
        text="" if words is None else words.text,
    )


def her_words(alert: Alert, profiles: Profiles, language: str = "en") -> Words | None:
    """What she is told of it."""
    return profiles.of_alert(alert).text(ALARM, verdict_of(alert), language)


def _reasons(alert: Alert) -> Iterator[str]:
    for alarm in alert.alarms:
        yield f"Her handset raised alarm {alarm.id} by itself at {alarm.time}, for: {alarm.cause}."
    if alert.watch:
        yield from _measured(alert)
    elif alert.condition == "panic":
        yield f"She called for help at {alert.onset}; nothing is measured by that."
    else:
        yield "The centre has no alert of the pair for it: by its own positions he was not near."
    if alert.state == "returned":
        yield f"It was over at {alert.decided_at}, as far as the devices can tell."
    if alert.outcome is not None:
        yield f"{alert.resolved_by} closed it at {alert.resolved_at} as {alert.outcome}: {alert.note}"
    elif alert.resolved_by == SYSTEM:
        yield f"It closed by itself at {alert.resolved_at}; nobody has said what it was."
    elif alert.acknowledged_by is not None:
        yield f"{alert.acknowledged_by} has had it in hand since {alert.acknowledged_at}."
    else:
        yield "Nobody has it in hand yet."


def _measured(alert: Alert) -> Iterator[str]:
    yield (
        f"The engine judged it {alert.level} at {alert.decided_at} (cause: {alert.cause or 'none'});"
        f" its worst level was {alert.highest_level}."
    )
    if alert.distance_m is not None:
        span = ""
        if alert.distance_low_m is not None and alert.distance_high_m is not None:
            span = f", {alert.distance_low_m:.0f} to {alert.distance_high_m:.0f} m with 95 %"
        yield f"Distance at the last decision: {alert.distance_m:.0f} m{span}."
    if alert.probability is not None:
        yield f"Probability of being within the ring: {alert.probability:.3f}."
    for device, instant in sorted(alert.fix_times.items()):
        yield f"Position of {device} from {instant}."
