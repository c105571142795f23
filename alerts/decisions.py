"""How a decision of the engine is written down: the form that travels and that evidence keeps.

A message of the decisions stream holds the decisions of one engine pass, in their order: three
bytes of format, then MessagePack. MessagePack and not JSON, because a transition may carry NaN
(there was nothing to measure) and infinity (they are not closing), which JSON does not have, and
because its 64-bit floats come back bit for bit, which a replay is compared by.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

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


class DecisionFormatError(ValueError):
    """Bytes that are not decisions of a layout this version reads."""


_FORMAT = b"CD1"  # Cordon decisions, layout 1: the struct above and `Transition`.
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Decision, ...])


def encode_decisions(decisions: Sequence[Decision]) -> bytes:
    """The decisions of one engine pass as the bytes of one message."""
    return _FORMAT + _encoder.encode(tuple(decisions))


def decode_decisions(data: bytes) -> tuple[Decision, ...]:
    """The decisions that `encode_decisions` wrote.

    Raises:
        DecisionFormatError: Unknown layout or damaged bytes.
    """
    if data[:3] != _FORMAT:
        raise DecisionFormatError(
            f"unknown decision layout {data[:3]!r}; this version reads {_FORMAT!r}"
        )
    try:
        return _decoder.decode(memoryview(data)[3:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecisionFormatError(f"damaged decisions: {error}") from error
