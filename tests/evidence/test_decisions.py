"""The form in which decisions travel."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.decisions import DecisionFormatError, decode_decisions, encode_decisions
from geofence.levels import Level
from tests.evidence.samples import decision_of

FLOATS = ("distance_m", "distance_low_m", "distance_high_m", "probability", "time_to_contact_s")


@given(values=st.lists(st.tuples(*[st.floats()] * 5), max_size=4), level=st.sampled_from(Level))
def test_floats_come_back_bit_for_bit(values: list[tuple[float, ...]], level: Level) -> None:
    decisions = [
        decision_of(number, level=level, **dict(zip(FLOATS, row, strict=True)))
        for number, row in enumerate(values)
    ]
    found = decode_decisions(encode_decisions(decisions))
    bits = [
        struct.pack(">5d", *(getattr(decision.transition, name) for name in FLOATS))
        for decision in found
    ]
    assert bits == [struct.pack(">5d", *row) for row in values]
    assert [decision.transition.number for decision in found] == list(range(len(values)))
    assert all(isinstance(decision.transition.level, Level) for decision in found)


@given(data=st.binary(max_size=30), cut=st.integers(0, 200))
def test_damage_is_told(data: bytes, cut: int) -> None:
    whole = encode_decisions([decision_of(1, distance_m=math.nan)])
    for damaged in (data, b"CD1" + data[:-1] + b"\xc1", whole[: min(cut, len(whole) - 1)]):
        with pytest.raises(DecisionFormatError):
            decode_decisions(damaged)
