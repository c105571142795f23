"""What becomes known about the health of devices: the records that leave `devices.health`."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

DoorKind = Literal["flood", "beyond_rights", "badly_signed", "turned_away", "strangers"]
"""What is tried in a device's name and must not be (`devices.door`): it sends more than it may;
publishes or subscribes on what is not its own; its messages are not rightly signed; somebody is not
let in under its name, over and over; and any of these under names that nobody knows."""

HealthKind = Literal[
    "silent",
    "gnss_lost",
    "battery_low",
    "battery_critical",
    "permission_off",
    "fleet_silent",
    DoorKind,
]
"""What can be wrong with a device, with the way to very many of them (`fleet_silent`), and at the
door (`DoorKind`). Part of alerts and of the history: never rename."""

HEALTH_KINDS: tuple[str, ...] = get_args(HealthKind)

DoorCause = Literal[
    "flood",
    "not_its_topic",
    "not_its_commands",
    "bad_signature",
    "not_signed",
    "wrong_password",
    "no_name",
    "unknown_device",
    "unknown_certificate",
    "credential_revoked",
    "credential_expired",
    "other_identity",
    "other_client_id",
    "tls_failed",
]
"""Codes of refusals that are a sign of something at the door."""

HealthCause = Literal[
    "no_word", "offline", "no_fix", "event", "level", "many", "plan", "quiet", DoorCause
]
"""What a beginning or an end rests on: nothing was heard; nothing was heard, and the broker said
that the connection is lost; heard, but no position; an event of the device; the level of its
battery; many devices at once; the caseload; nothing more was tried; or the refusal of that code."""

REPORTED_KINDS: dict[str, HealthKind] = {
    "gnss_lost": "gnss_lost",
    "battery_low": "battery_low",
    "battery_critical": "battery_critical",
    "permission_off": "permission_off",
}
"""Events that are reports of health, and what they report."""

HEALTH_EVENTS = frozenset({*REPORTED_KINDS, "charging", "permission_on"})
"""Event types that are a matter of `devices.health`: of these an alert comes by no other way."""


class HealthChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something begins or ends to be wrong with a device, or with the way to very many.

    Attributes:
        device: Device id; empty for `fleet_silent` and `strangers`.
        agency: Of those concerned; for `fleet_silent` only, which is told to each agency once.
        kind: What is wrong.
        began: It begins; else it ends.
        onset_us: What began it: for silence the last word, for a report its own time. For an end,
            that of the spell that ends.
        decided_at_us: When it was decided; follows from what was heard alone.
        cause: What this beginning or end rests on.
        quantity: Of `silent` and `gnss_lost` the seconds without a word or a position, of a
            battery its level in percent (NaN: not known), of `fleet_silent` the devices that
            are missing at that moment: it is told as soon as they are too many; of `strangers`
            the names they used.
        number: Counts the spells of this kind from 1; part of the state.
    """

    device: str
    agency: str = ""
    kind: HealthKind
    began: bool
    onset_us: int
    decided_at_us: int
    cause: HealthCause
    quantity: float
    number: int

    @property
    def key(self) -> str:
        """Names what it is about: ``kind/device``, or ``fleet_silent/agency``."""
        return health_key(self.kind, self.device or self.agency)

    @property
    def name(self) -> str:
        """Names this record: the same one made again has the same name."""
        step = f"{self.number}{'+' if self.began else '-'}"
        return f"health:{self.key}/{step}/{self.decided_at_us}"


def health_key(kind: str, about: str) -> str:
    """Names what a spell is about, whichever spell of it."""
    return f"{kind}/{about}"
