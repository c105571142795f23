"""How a decision of the engine is written down: the form that travels and that evidence keeps.

A message of the decisions stream holds the decisions of one engine pass, in their order, or what
one pass found to begin or end with devices: three bytes of format, then MessagePack.
MessagePack and not JSON, because a transition may carry NaN
(there was nothing to measure) and infinity (they are not closing), which JSON does not have, and
because its 64-bit floats come back bit for bit, which a replay is compared by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from devices.command_changes import CommandChange
from devices.course import CourseStep
from devices.health_changes import HealthChange
from devices.sequence_changes import GapChange
from geofence.anomaly_changes import AnomalyChange
from geofence.levels import Transition


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A transition, whom it concerns, and what it was made with.

    Attributes:
        transition: What the engine said, with its numbers.
        wearer, protected: Person ids; `protected` is None for a zone that guards nobody by name.
        tag, handset: Device ids the watch compares; `handset` is None for a zone.
        rules: Version of the engine's rules.
        build: Version of the code.
        caseload_version: `Plan.version` the watch belonged to.
        after_position: Journal position of the newest batch the engine had seen; 0 for none.
        explained: False for one written by a version that did not say why: `cause`, `sigma_m`,
            `ring_m`, `closest_m` and `closest_us` of the transition are then not known.
    """

    transition: Transition
    condition_id: str
    order_id: str
    agency: str
    wearer: str
    protected: str | None
    tag: str
    handset: str | None
    rules: str
    build: str
    caseload_version: str
    after_position: int
    explained: bool = True


class AnomalyDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong with a device, or no longer is; whose it is, and what it was found with.

    Attributes:
        change: What the engine said, with its numbers.
        person, role: Who carries the device; None for nobody.
        agency: The first of those concerned; empty for none.
        rules, build, caseload_version, after_position: As in `Decision`.
    """

    change: AnomalyChange
    person: str | None
    role: Literal["wearer", "protected"] | None
    agency: str
    rules: str
    build: str
    caseload_version: str
    after_position: int


class HealthDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong with a device, or with the way to very many, or no longer is.

    Attributes:
        change: What was found, with its numbers.
        person, role, agency: As in `AnomalyDecision`.
        build, caseload_version, after_position: As in `Decision`.
    """

    change: HealthChange
    person: str | None
    role: Literal["wearer", "protected"] | None
    agency: str
    build: str
    caseload_version: str
    after_position: int


class GapDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a device's reports are missing, or are followed no longer.

    Attributes:
        change: What was found.
        build, after_position: As in `Decision`.
    """

    change: GapChange
    build: str
    after_position: int


class CommandDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A command was issued to a device, answered, or not answered in time.

    Attributes:
        change: What became of it.
        build, after_position: As in `Decision`.
    """

    change: CommandChange
    build: str
    after_position: int


class DecisionFormatError(ValueError):
    """Bytes that are not decisions of a layout this version reads."""


Finding = AnomalyDecision | HealthDecision | GapDecision | CommandDecision
"""Something that begins or ends with devices."""

Found = (
    Sequence[Decision]
    | Sequence[AnomalyDecision]
    | Sequence[HealthDecision]
    | Sequence[GapDecision]
    | Sequence[CommandDecision]
    | Sequence[CourseStep]
)
"""What a message of the decisions stream holds: all of one kind."""

_FORMAT = b"CD2"  # Cordon decisions, layout 2: `Decision` and `Transition`.
_UNEXPLAINED = b"CD1"  # the same from versions that did not say why
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Decision, ...])

_LAYOUTS: dict[type, bytes] = {
    AnomalyDecision: b"CN1",  # Cordon anomalies, layout 1, with `AnomalyChange`
    HealthDecision: b"CV1",  # Cordon vitals, layout 1, with `HealthChange`
    GapDecision: b"CG1",  # Cordon gaps, layout 1, with `GapChange`
    CommandDecision: b"CC1",  # Cordon commands, layout 1, with `CommandChange`
    CourseStep: b"CS1",  # Cordon's own steps, layout 1
}
_others: dict[bytes, msgspec.msgpack.Decoder[Any]] = {
    layout: msgspec.msgpack.Decoder(tuple[kind, ...])  # type: ignore[valid-type]
    for kind, layout in _LAYOUTS.items()
}


def encode_decisions(decisions: Sequence[Decision]) -> bytes:
    """The decisions of one engine pass as the bytes of one message."""
    return _FORMAT + _encoder.encode(tuple(decisions))


def encode_found(found: Sequence[Finding]) -> bytes:
    """What one pass found to begin or end, one or more of one kind, as one message's bytes."""
    return _LAYOUTS[type(found[0])] + _encoder.encode(tuple(found))


def encode_course(step: CourseStep) -> bytes:
    """A step of the worker's course as the bytes of one message."""
    return _LAYOUTS[CourseStep] + _encoder.encode((step,))


def decode_entry(data: bytes) -> Found:
    """What a message of the decisions stream holds.

    Raises:
        DecisionFormatError: Unknown layout or damaged bytes.
    """
    decoder = _others.get(bytes(data[:3]))
    if decoder is None:
        return decode_decisions(data)
    try:
        found: Found = decoder.decode(memoryview(data)[3:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecisionFormatError(f"damaged findings: {error}") from error
    return found


def decode_decisions(data: bytes) -> tuple[Decision, ...]:
    """The decisions that `encode_decisions` wrote, of this version or one before.

    Raises:
        DecisionFormatError: Unknown layout or damaged bytes.
    """
    layout = data[:3]
    if layout not in {_FORMAT, _UNEXPLAINED}:
        raise DecisionFormatError(
            f"unknown decision layout {layout!r}; this version reads {_FORMAT!r}"
        )
    try:
        decisions = _decoder.decode(memoryview(data)[3:])
        if layout == _FORMAT:
            return decisions
        return tuple(msgspec.structs.replace(one, explained=False) for one in decisions)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecisionFormatError(f"damaged decisions: {error}") from error
