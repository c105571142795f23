"""What her handset is answered: to what she has chosen, to its own alarms; and what was held back."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from alerts.alarms import Alarm
from alerts.choosing import ChoiceChange, DigestMade
from alerts.deliveries import BearerOf, Delivery, delivery_id, handset_address
from alerts.model import AlertChange
from alerts.profile import Profiles
from alerts.profile_rules import CHOICES, TECHNICAL, Words
from alerts.reality import her_words, verdict_of
from devices.choices import Choices
from devices.commands import (
    AlarmAnswer,
    ChoicesAnswer,
    Digest,
    DigestItem,
    HandsetAddress,
    HandsetCommand,
    encode_for_handset,
)
from devices.instants import MICROSECONDS, from_iso, to_iso
from devices.watches import Bearer

DIGEST_EXPIRY_S = 86_400
ANSWER_EXPIRY_S = 86_400
CHOICES_EXPIRY_S = 30 * 86_400
"""A handset that was away for so long is told what is in force: what it shows may be something else."""

DIGEST_MARK = ">digest>"
"""In the `change_id` of a digest, between the person and the digest's id."""

_NO_WORDS = Words("Cordon", "Cordon")


def digest_delivery(made: DigestMade, bearer: Bearer, profiles: Profiles) -> Delivery:
    """The one message with what was held back."""
    words = _words(profiles, bearer, "digest")
    expires_us = from_iso(made.time) + DIGEST_EXPIRY_S * MICROSECONDS
    command = Digest(
        id=delivery_id(made.id, bearer.device),
        time=made.time,
        expires=to_iso(expires_us),
        title=words.title,
        text=words.text,
        items=tuple(
            DigestItem(one.alert_id, one.version, one.time, one.title, one.text, one.count)
            for one in made.items
        ),
        more=made.more,
    )
    return _delivery(command, bearer.device, f"{made.person}{DIGEST_MARK}{made.id}", expires_us)


def answer_delivery(
    change: ChoiceChange, in_force: Choices, by: str, bearer: Bearer, profiles: Profiles
) -> Delivery:
    """What she is told of a choice: that it is in force, or why it is not."""
    words = _words(profiles, bearer, change.problem or "taken")
    expires_us = from_iso(change.time) + CHOICES_EXPIRY_S * MICROSECONDS
    command = ChoicesAnswer(
        id=delivery_id(change.id, bearer.device),
        time=change.time,
        expires=to_iso(expires_us),
        accepted=change.accepted,
        title=words.title,
        text=words.text,
        version=change.version,
        choices=in_force,
        by="herself" if by == change.person else by,
    )
    found = _delivery(command, bearer.device, change.id, expires_us)
    return msgspec.structs.replace(found, again_for=change.person)


ANSWERED = frozenset({"raised", "level", "tier", "returned", "alarm", "acknowledged", "resolved"})
"""Changes of an alert after which a handset is told what became of the alarm that it raised."""


def alarm_deliveries(
    change: AlertChange, bearer_of: BearerOf, profiles: Profiles
) -> Iterator[Delivery]:
    """What became of the alarms that an alert keeps, for the handsets that raised them."""
    alert = change.data
    if change.kind not in ANSWERED or alert.merged_into:
        return
    for alarm in alert.alarms:
        bearer = bearer_of(alarm.device)
        hers = bearer is not None and bearer.person is not None and bearer.person == alert.protected
        if bearer is not None and hers and handset_address(alarm.device, bearer_of):
            yield _alarm_answer(change, alarm, bearer, profiles)


def _alarm_answer(
    change: AlertChange, alarm: Alarm, bearer: Bearer, profiles: Profiles
) -> Delivery:
    alert = change.data
    expires_us = from_iso(change.time) + ANSWER_EXPIRY_S * MICROSECONDS
    words = her_words(alert, profiles, bearer.language) or _NO_WORDS
    closed = change.kind == "resolved"
    command = AlarmAnswer(
        id=delivery_id(change.id, f"{alarm.device}/{alarm.id}"),
        time=change.time,
        expires=to_iso(expires_us),
        alarm_id=alarm.id,
        alert_id=alert.alert_id,
        version=alert.version,
        state="closed" if closed else "over" if alert.state == "returned" else "open",
        tier=alert.tier,
        verdict=verdict_of(alert),
        title=words.title,
        text=words.text,
    )
    found = _delivery(command, alarm.device, change.id, expires_us)
    return msgspec.structs.replace(found, alert_id=alert.alert_id, tier=alert.tier)


def choice_words(profiles: Profiles, profile: str, key: str, language: str) -> Words:
    """What is said of a choice, or of a digest."""
    return profiles.find(profile).text(CHOICES, key, language) or _NO_WORDS


def _words(profiles: Profiles, bearer: Bearer, key: str) -> Words:
    return choice_words(profiles, bearer.profile, key, bearer.language)


def _delivery(command: HandsetCommand, device: str, change_id: str, expires_us: int) -> Delivery:
    address = HandsetAddress(device)  # asked again before it is sent, as of every notice
    return Delivery(
        id=command.id,
        channel="handset",
        recipient=address.device,
        alert_id="",
        change_id=change_id,
        tier=TECHNICAL,
        expires_us=expires_us,
        payload=encode_for_handset(command),
    )
