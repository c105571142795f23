"""The form in which decisions travel."""

from __future__ import annotations

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.decisions import (
    AnomalyDecision,
    Decision,
    DecisionFormatError,
    HealthDecision,
    decode_decisions,
    decode_entry,
    encode_decisions,
    encode_found,
)
from devices.health_changes import HEALTH_KINDS
from geofence.anomaly_state import Anomaly
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from tests.evidence.samples import anomaly_of, decision_of, health_of

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


EXPLANATION = ("sigma_m", "ring_m", "closest_m")


@given(
    values=st.tuples(st.floats(), st.floats(), st.floats()),
    cause=st.sampled_from(Cause),
    closest_us=st.integers(-1, 2**62),
)
def test_why_comes_back_too(
    values: tuple[float, float, float], cause: Cause, closest_us: int
) -> None:
    given = dict(zip(EXPLANATION, values, strict=True))
    decision = decision_of(1, cause=cause, closest_us=closest_us, **given)
    [found] = decode_decisions(encode_decisions([decision]))
    assert (found.transition.cause, found.transition.closest_us) == (cause, closest_us)
    bits = struct.pack(">3d", *(getattr(found.transition, name) for name in EXPLANATION))
    assert bits == struct.pack(">3d", *values)
    assert found.explained


def test_what_the_version_before_wrote_is_read() -> None:
    """Its bytes, as they stand in a stream: maps without the fields that came later."""
    document = msgspec.to_builtins(decision_of(3))
    del document["explained"]
    for name in ("cause", "closest_us", *EXPLANATION):
        del document["transition"][name]
    [found] = decode_decisions(b"CD1" + msgspec.msgpack.encode((document,)))
    assert not found.explained
    assert found.transition.number == 3
    assert found.transition.closest_us == UNKNOWN_TIME_US
    assert math.isnan(found.transition.sigma_m)
    [again] = decode_decisions(encode_decisions([found]))
    assert not again.explained


@given(
    quantities=st.lists(st.floats(), min_size=1, max_size=4),
    kind=st.sampled_from(Anomaly),
    began=st.booleans(),
    companion=st.text(max_size=8),
)
def test_anomalies_come_back_bit_for_bit(
    quantities: list[float],
    kind: Anomaly,
    companion: str,
    began: bool,  # noqa: FBT001
) -> None:
    anomalies = [
        anomaly_of(number, kind=kind, began=began, companion=companion, quantity=quantity)
        for number, quantity in enumerate(quantities)
    ]
    found = decode_entry(encode_found(anomalies))
    assert [type(one) for one in found] == [AnomalyDecision] * len(quantities)
    assert repr(found) == repr(tuple(anomalies))


def test_an_entry_says_what_it_holds() -> None:
    [decision] = decode_entry(encode_decisions([decision_of(1)]))
    assert isinstance(decision, Decision)
    [anomaly] = decode_entry(encode_found([anomaly_of(1)]))
    assert isinstance(anomaly, AnomalyDecision)
    for damaged in (b"", b"CN1", b"CN1\xc1", b"CN9\x90", encode_found([anomaly_of(1)])[:-3]):
        with pytest.raises(DecisionFormatError):
            decode_entry(damaged)


@given(
    quantities=st.lists(st.floats(), min_size=1, max_size=4),
    kind=st.sampled_from(HEALTH_KINDS),
    began=st.booleans(),
)
def test_health_comes_back_bit_for_bit(
    quantities: list[float],
    kind: str,
    began: bool,  # noqa: FBT001
) -> None:
    health = [
        health_of(number, kind=kind, began=began, quantity=quantity)
        for number, quantity in enumerate(quantities)
    ]
    found = decode_entry(encode_found(health))
    assert [type(one) for one in found] == [HealthDecision] * len(quantities)
    assert repr(found) == repr(tuple(health))
