"""Commands to devices: what may be sent to a tag, and what only to a handset.

A tag is worn by the person an order keeps away, so nothing sent to it may depend on where the
protected person is. The types hold this: `to_tag` takes only commands without content, and the
address of a wearer's device is of a type that `to_handset` does not take. No command carries a
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from devices.choices import Choices
from devices.watches import Bearer

MAX_TITLE = 80
MAX_TEXT = 500
MAX_COMMAND_BYTES = 8_192
"""A longer command is a mistake of ours; small devices have small buffers."""

TAG_COMMAND_BYTES = 256
"""Every command to a tag is filled up with spaces to this size: its length tells nothing."""

_Title = Annotated[str, msgspec.Meta(max_length=MAX_TITLE)]
_Body = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every command has: instants are ISO 8601 in UTC; a device ignores an expired one."""

    id: str
    time: str
    expires: str


class FixInterval(_Command, frozen=True, kw_only=True, tag="fix_interval"):
    """Report a position every so many seconds until further notice."""

    interval_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Locate(_Command, frozen=True, kw_only=True, tag="locate"):
    """Report a position now."""


class Notify(_Command, frozen=True, kw_only=True, tag="notify"):
    """Tell the protected person about a change of an alert.

    Attributes:
        alert_id: The alert; a device shows one notice per alert and replaces it.
        version: Of the alert; a device ignores an older one than it has shown.
        kind: The change, for example ``raised``, ``level`` or ``returned``.
        tier: 1 critical to 4 technical.
        level: Name of the level, or the event type.
        fix_times: ISO 8601 by device, so that the handset can say how old the knowledge is.
        way: Which way leads away, to be shown with the text until `way_until` and no longer: both
            move. Empty where it is not known, or not said.
    """

    alert_id: str
    version: int
    kind: str
    tier: int
    level: str
    title: _Title
    text: _Body
    fix_times: dict[str, str] = {}
    way: str = ""
    way_until: str = ""


class Text(_Command, frozen=True, kw_only=True, tag="message"):
    """Show a message that a person wrote."""

    message: _Body


class StatusReason(msgspec.Struct, frozen=True):
    """One reason why her protection is not live, in her language.

    Attributes:
        code: As in `alerts.protection.ReasonCode`.
        since: ISO 8601; None where it is not known.
    """

    code: str
    since: str | None
    title: _Title
    text: _Body


class ProtectionStatus(_Command, frozen=True, kw_only=True, tag="protection"):
    """How well she is protected. It holds until `expires`; the handset shows "unknown" afterwards.

    Attributes:
        state: ``live``, ``degraded`` or ``not_working``.
        since: When the gravest reason began.
        verified_at: When her handset was last heard.
        title, text: To show; of the gravest reason where there is one.
        reasons: The gravest first.
        after_title, after_text: To show from `expires` on, until another has come.
        confirm: Answer it with ``shown``; those without are repetitions of what was answered.
        aloud: Announce it with a sound; else it only shows.
    """

    state: Literal["live", "degraded", "not_working"]
    since: str | None = None
    verified_at: str | None = None
    title: _Title
    text: _Body
    reasons: tuple[StatusReason, ...] = ()
    after_title: _Title
    after_text: _Body
    confirm: bool = True
    aloud: bool = False


class DigestItem(msgspec.Struct, frozen=True):
    """What was held back of one alert: its newest notice, and how many there were.

    Attributes:
        alert_id: A handset that has shown a newer version of it passes over this one.
        time: Of the newest.
    """

    alert_id: str
    version: int
    time: str
    title: _Title
    text: _Body
    count: int = 1


class Digest(_Command, frozen=True, kw_only=True, tag="digest"):
    """What was held back as she has chosen, in one message.

    Attributes:
        items: The newest last.
        more: So many alerts are not among them, for want of room.
    """

    title: _Title
    text: _Body
    items: tuple[DigestItem, ...]
    more: int = 0


class ChoicesAnswer(_Command, frozen=True, kw_only=True, tag="choices"):
    """What is in force of what she has chosen, and whether it was accepted, in her language.

    Attributes:
        version: Of what is in force; counts from 1, 0: nothing was ever chosen.
        choices: What is in force.
        by: Who set it; ``herself`` or a name of the staff.
    """

    accepted: bool
    title: _Title
    text: _Body
    version: int
    choices: Choices
    by: str = ""


class AlarmAnswer(_Command, frozen=True, kw_only=True, tag="alarm"):
    """What became of an alarm that the handset raised by itself: whose alert it is, and if it was real.

    Attributes:
        alarm_id: As the handset named it.
        alert_id: The one alert that she, the centre and the police speak of. A later answer for the
            same alarm may name another; then that one counts.
        version: Of the alert; a device ignores an older one of the same alert.
        state: ``open``, ``over`` (it lasts no longer, nobody has closed it) or ``closed``.
        verdict: As in `alerts.reality.Verdict`.
    """

    alarm_id: str
    alert_id: str
    version: int
    state: Literal["open", "over", "closed"]
    tier: int
    verdict: str
    title: _Title
    text: _Body


TagCommand = FixInterval | Locate
"""What may be sent to a tag."""

HandsetCommand = (
    FixInterval | Locate | Notify | Text | ProtectionStatus | Digest | ChoicesAnswer | AlarmAnswer
)
"""What may be sent to a handset."""


@dataclass(frozen=True, slots=True)
class TagAddress:
    """A device that is not known to be in the protected person's hands."""

    device: str


@dataclass(frozen=True, slots=True)
class HandsetAddress:
    """A handset that a protected person carries."""

    device: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command ready to be published."""

    topic: str
    payload: bytes


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[HandsetCommand] = msgspec.json.Decoder(HandsetCommand)


class CommandFormatError(ValueError):
    """Bytes that are no command."""


def address_of(bearer: Bearer) -> TagAddress | HandsetAddress:
    """The address of a device as it is assigned now; in doubt, the one that may be told less."""
    if bearer.kind == "handset" and bearer.role == "protected":
        return HandsetAddress(bearer.device)
    return TagAddress(bearer.device)


def command_topic(address: TagAddress | HandsetAddress) -> str:
    """The MQTT topic on which a device takes commands."""
    return f"cordon/v1/{address.device}/command"


def to_tag(address: TagAddress, command: TagCommand) -> Outgoing:
    """A command for a tag.

    Raises:
        TypeError: The command has content, or the address is a handset's.
    """
    if not isinstance(address, TagAddress):
        raise TypeError("to_tag takes the address of a tag")
    return Outgoing(command_topic(address), encode_for_tag(command))


def to_handset(address: HandsetAddress, command: HandsetCommand) -> Outgoing:
    """A command for a handset.

    Raises:
        TypeError: The address is not that of a protected person's handset.
    """
    if not isinstance(address, HandsetAddress):
        raise TypeError("to_handset takes the address of a protected person's handset")
    return Outgoing(command_topic(address), encode_for_handset(command))


def encode_for_tag(command: TagCommand) -> bytes:
    """The JSON payload of a command that a tag may get, in `TAG_COMMAND_BYTES`.

    Raises:
        TypeError: It is none of those, whatever a type checker was told.
        CommandFormatError: It does not fit.
    """
    if type(command) not in {FixInterval, Locate}:
        raise TypeError(f"a {type(command).__name__} must never be sent to a tag")
    payload = _checked(command)
    if len(payload) > TAG_COMMAND_BYTES:
        limit = f"a command for a tag may have {TAG_COMMAND_BYTES}"
        raise CommandFormatError(f"{len(payload):,} bytes; {limit}, so shorten its id")
    return payload.ljust(TAG_COMMAND_BYTES)


def encode_for_handset(command: HandsetCommand) -> bytes:
    """The JSON payload of a command for a handset.

    Raises:
        CommandFormatError: A text in it is too long.
    """
    return _checked(command)


def decode_command(payload: bytes) -> HandsetCommand:
    """The command in a payload, as a device reads it; fields it does not know are passed over.

    Raises:
        CommandFormatError: Not a command, or one of a type not known here.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CommandFormatError(f"not a command: {error}") from error


def _checked(command: HandsetCommand) -> bytes:
    payload = _encoder.encode(command)
    if len(payload) > MAX_COMMAND_BYTES:
        limit = f"a command may have {MAX_COMMAND_BYTES:,}"
        raise CommandFormatError(f"{len(payload):,} bytes; {limit}, so shorten its text")
    decode_command(payload)  # limits on texts and numbers hold on the way out as well
    return payload
