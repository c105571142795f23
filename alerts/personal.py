"""What goes to her handset that is of no alert: digests, and answers to what she has chosen."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.choosing import ChoiceChange, DigestMade
from alerts.deliveries import BearerOf, Delivery, delivery_id, handset_address
from alerts.profile import Profiles
from alerts.profile_rules import CHOICES, TECHNICAL, Words
from devices.choices import Choices
from devices.commands import (
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
DIGEST_MARK = ">digest>"
"""In the `change_id` of a digest, between the person and the digest's id."""

_NO_WORDS = Words("Cordon", "Cordon")


def her_handsets(person: str, devices: Iterable[str], bearer_of: BearerOf) -> tuple[str, ...]:
    """Those of the devices that are in her hands now."""
    found = []
    for device in devices:
        bearer = bearer_of(device)
        if bearer is not None and bearer.person == person and handset_address(device, bearer_of):
            found.append(device)
    return tuple(found)


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
    expires_us = from_iso(change.time) + ANSWER_EXPIRY_S * MICROSECONDS
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
    return _delivery(command, bearer.device, change.id, expires_us)


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
