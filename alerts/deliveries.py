"""Deliveries: who has to be told of a change, with what, and what became of it.

A change of an alert goes to its agency always, and to the handsets of the protected person when
the profile says so. Nothing else has a delivery. A wearer's device cannot have one: the command
for a handset can be built only with a `devices.commands.HandsetAddress`, and that is had only for
a device that a protected person carries.

The alerts stream holds alert changes, delivery records, and what protected people have chosen with the
digests made of it, and who looked at where they are. From these together `alerts.outbox` knows after a restart what has still to be sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Literal, cast

import msgspec

from alerts.choosing import CHOICE_TYPE_PREFIX, DIGEST_TYPE, ChoiceChange, DigestMade
from alerts.errors import EntryFormatError
from alerts.looks import LOOK_TYPE, Look
from alerts.model import EVENT_TYPE_PREFIX, AlertChange, Ask
from alerts.profile import DEFAULT_LANGUAGE, Profiles
from devices.commands import HandsetAddress, Notify, address_of, encode_for_handset
from devices.instants import MICROSECONDS, from_iso, to_iso
from devices.watches import Bearer

NOTIFY_EXPIRY_S = 900
"""A notice older than this is not sent any more: what it says may be wrong by now."""

WAY_HOLDS_US = 60_000_000
"""A way that leads away is told for so long: on foot nobody crosses the alert ring meanwhile."""

AGENCY_EXPIRY_S = 86_400
"""An agency is told of changes this old, so that its own history has no gap."""

ASK_EXPIRY_S = 3_600
"""An ask older than this is not sent any more: others were asked meanwhile."""

RECORD_TYPE_PREFIX = "cordon.delivery."

PROTECTION = "protection"
"""In the `change_id` of a record: it is of a protection status, and of no alert."""

DELIVERIES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:delivery")

ChannelName = Literal["handset", "agency", "push", "sms", "email", "webhook", "eido"]
"""Of a lane. An incident goes to the `webhook` of a contact, too, in a lane of its own."""

DeliveryState = Literal[
    "sent",  # the broker has taken charge of it
    "received",  # the handset has it
    "shown",
    "answered",
    "expired",  # could not be sent in time
    "refused",  # must not be sent: the recipient is not one who may be told
    "dropped",  # gave way to something more urgent when too much was waiting
    "held",  # comes in one message later, as she has chosen
    "declined",  # is not told, as she has chosen
]

BearerOf = Callable[[str], Bearer | None]
"""The device of this id as it is assigned now."""

HandsetsOf = Callable[[str], Iterable[str]]
"""The handsets that a protected person carries now, by her id."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing to be sent to one recipient.

    Attributes:
        id: Derived from the change and the recipient: sent again, it is the same. It is also the
            id of the command, which the handset's receipts name.
        recipient: Device id of a handset, or id of an agency.
        tier: Of the alert; what is more urgent goes first.
        expires_us: It is not sent after this instant.
        payload: The MQTT payload.
        again_for: Sent again when the handset is there and has not answered, as long as this person
            carries it; empty: it is not.
    """

    id: str
    channel: ChannelName
    recipient: str
    alert_id: str
    change_id: str
    tier: int
    expires_us: int
    payload: bytes
    again_for: str = ""


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a delivery: an entry of the alerts stream.

    Attributes:
        id: ``<delivery id>/<state>``: the same record written twice has the same id.
        type: ``cordon.delivery.`` and the state.
        time: When it was known here.
        device_time: For receipts, when by the handset.
        answer: What she answered.
        channel: Empty where there was none to send it by.
        reason: Why it was not sent.
    """

    id: str
    type: str
    time: str
    delivery_id: str
    alert_id: str
    change_id: str
    channel: ChannelName | Literal[""]
    recipient: str
    state: DeliveryState
    device_time: str | None = None
    answer: str | None = None
    reason: str = ""


def new_record(
    delivery: str,
    state: DeliveryState,
    now_us: int,
    *,
    alert_id: str,
    change_id: str,
    channel: ChannelName | Literal[""],
    recipient: str,
    reason: str = "",
    device_time: str | None = None,
) -> DeliveryRecord:
    """The record that what has this id has come to a state; fields as of `DeliveryRecord`."""
    return DeliveryRecord(
        id=f"{delivery}/{state}",
        type=RECORD_TYPE_PREFIX + state,
        time=to_iso(now_us),
        delivery_id=delivery,
        alert_id=alert_id,
        change_id=change_id,
        channel=channel,
        recipient=recipient,
        state=state,
        device_time=device_time,
        reason=reason,
    )


def record_of(
    delivery: Delivery, state: DeliveryState, now_us: int, *, reason: str = ""
) -> DeliveryRecord:
    """The record that a delivery has come to a state."""
    return new_record(
        delivery.id,
        state,
        now_us,
        alert_id=delivery.alert_id,
        change_id=delivery.change_id,
        channel=delivery.channel,
        recipient=delivery.recipient,
        reason=reason,
    )


def for_agency(change: AlertChange) -> Delivery | None:
    """What the agency is sent: the change itself. None when the alert has no agency."""
    if not change.data.agency:
        return None
    return _delivery(change, "agency", change.data.agency, AGENCY_EXPIRY_S, encode_entry(change))


def tells_handsets(change: AlertChange, profiles: Profiles) -> bool:
    """Whether the protected person is told of a change, by the alert's profile.

    The end is told where the beginning was.
    """
    if change.kind == "returned":
        return change.data.told
    if change.kind == "told":
        return True
    if change.kind not in {"raised", "level", "tier"}:
        return False
    return profiles.of_alert(change.data).tells(change.data)


def for_handset(
    change: AlertChange,
    profiles: Profiles,
    address: HandsetAddress,
    language: str = DEFAULT_LANGUAGE,
) -> Delivery | None:
    """The notice for one handset. None when the profile has no words for it."""
    alert = change.data
    profile = profiles.of_alert(alert)
    words = profile.words(alert, language)
    if words is None:
        return None
    way = profile.way(alert.way, language) if change.kind == "told" and alert.way else None
    away = profile.way_of(alert, language) if way is None else None
    expires_us = from_iso(change.time) + NOTIFY_EXPIRY_S * MICROSECONDS
    notice = Notify(
        id=delivery_id(change.id, address.device),
        time=change.time,
        expires=to_iso(expires_us),
        alert_id=alert.alert_id,
        version=alert.version,
        kind=change.kind,
        tier=alert.tier,
        level=alert.level,
        title=words.title,
        text=words.text if way is None else f"{way.text} {words.text}",
        fix_times=alert.fix_times,
        way="" if away is None else away.text,
        way_until="" if away is None else to_iso(from_iso(change.time) + WAY_HOLDS_US),
    )
    payload = encode_for_handset(notice)
    return _delivery(change, "handset", address.device, NOTIFY_EXPIRY_S, payload)


class Summons(msgspec.Struct, frozen=True, kw_only=True):
    """What a contact is sent. Each channel uses as much of it as it may carry.

    Attributes:
        id: Of the delivery; the receipt names it.
        kind: What ran out: `unacknowledged`, `undelivered`, `unresolved`.
    """

    id: str
    alert_id: str
    tier: int
    kind: str
    title: str
    text: str
    time: str


def for_contact(
    change: AlertChange, ask: Ask, profiles: Profiles, language: str
) -> Delivery | None:
    """What a contact is sent. None when the profile has no words for it.

    A protected person is sent the words of the notice that did not reach her. Staff are sent words
    that say only that something waits: what it is stands behind the sign-in.
    """
    alert = change.data
    profile = profiles.of_alert(alert)
    kind = ask.step.partition("/")[0]
    if ask.role == "protected":
        words = profile.words(alert, language)
    else:
        words = profile.staff_words(kind, language)
    if words is None:
        return None
    found = ask_id(alert.alert_id, ask)
    summons = Summons(
        id=found,
        alert_id=alert.alert_id,
        tier=alert.tier,
        kind=kind,
        title=words.title,
        text=words.text,
        time=change.time,
    )
    return Delivery(
        id=found,
        channel=cast("ChannelName", ask.channel),
        recipient=ask.recipient,
        alert_id=alert.alert_id,
        change_id=change.id,
        tier=alert.tier,
        expires_us=from_iso(change.time) + ASK_EXPIRY_S * MICROSECONDS,
        payload=_encoder.encode(summons),
    )


def nobody_reached(change: AlertChange, ask: Ask, now_us: int) -> DeliveryRecord:
    """The record that a step of the plan found nobody to ask."""
    why = "no contact of this role can be reached; look at the contacts file"
    return refused(ask_id(change.data.alert_id, ask), change, "", ask.role, why, now_us)


def refused(
    delivery: str,
    change: AlertChange,
    channel: ChannelName | Literal[""],
    recipient: str,
    reason: str,
    now_us: int,
) -> DeliveryRecord:
    """The record that something due will not be sent."""
    return new_record(
        delivery,
        "refused",
        now_us,
        alert_id=change.data.alert_id,
        change_id=change.id,
        channel=channel,
        recipient=recipient,
        reason=reason,
    )


def handset_address(device: str, bearer_of: BearerOf) -> HandsetAddress | None:
    """The address of a device if a protected person carries it, else None."""
    bearer = bearer_of(device)
    address = None if bearer is None else address_of(bearer)
    return address if isinstance(address, HandsetAddress) else None


def delivery_id(change_id: str, recipient: str) -> str:
    """Names the delivery of a change to a recipient."""
    return str(uuid.uuid5(DELIVERIES, f"{change_id}>{recipient}"))


def ask_id(alert_id: str, ask: Ask) -> str:
    """Names the delivery of an ask: the same whichever version of the alert it was made at."""
    return delivery_id(f"{alert_id}/{ask.key}", f"{ask.channel}:{ask.recipient}")


def _delivery(
    change: AlertChange, channel: ChannelName, recipient: str, expiry_s: int, payload: bytes
) -> Delivery:
    return Delivery(
        id=delivery_id(change.id, recipient),
        channel=channel,
        recipient=recipient,
        alert_id=change.data.alert_id,
        change_id=change.id,
        tier=change.data.tier,
        expires_us=from_iso(change.time) + expiry_s * MICROSECONDS,
        payload=payload,
    )


Entry = AlertChange | DeliveryRecord | ChoiceChange | DigestMade | Look
"""What an entry of the alerts stream holds."""


class _Type(msgspec.Struct):
    type: str


_encoder = msgspec.json.Encoder()
_type_decoder = msgspec.json.Decoder(_Type)
_change_decoder = msgspec.json.Decoder(AlertChange)
_record_decoder = msgspec.json.Decoder(DeliveryRecord)
_choice_decoder = msgspec.json.Decoder(ChoiceChange)
_digest_decoder = msgspec.json.Decoder(DigestMade)
_look_decoder = msgspec.json.Decoder(Look)


def encode_entry(entry: Entry) -> bytes:
    """An entry of the alerts stream as JSON."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """The entry that `encode_entry` wrote; fields added by a later version are passed over.

    Raises:
        EntryFormatError: It is of no type that this version knows.
    """
    try:
        kind = _type_decoder.decode(data).type
        if kind.startswith(EVENT_TYPE_PREFIX):
            return _change_decoder.decode(data)
        if kind.startswith(RECORD_TYPE_PREFIX):
            return _record_decoder.decode(data)
        if kind.startswith(CHOICE_TYPE_PREFIX):
            return _choice_decoder.decode(data)
        if kind == DIGEST_TYPE:
            return _digest_decoder.decode(data)
        if kind == LOOK_TYPE:
            return _look_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise EntryFormatError(f"damaged entry of the alerts stream: {error}") from error
    raise EntryFormatError(f"the alerts stream has no entries of type {kind!r}")
