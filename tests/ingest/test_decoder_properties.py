"""Decoding whatever may arrive: nothing is ever lost, raised, or turned into something else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from devices.instants import from_iso, to_iso
from devices.reports import URGENT, Message, Signature, decode_batch, encode_batch
from ingest import native
from ingest.signatures import MARK
from tests.ingest.reports import NOW_US, codes, decode, message, payload

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
valid_fixes = st.fixed_dictionaries(
    {
        "time": st.integers(NOW_US - 10**12, NOW_US + 10**8).map(to_iso),
        "lat": st.floats(-90, 90),
        "lon": st.floats(-180, 180),
    },
    optional={
        "seq": st.integers(0, 2**63 - 1),
        "accuracy_m": st.floats(0, native.MAX_ACCURACY_M),
        "speed_mps": st.floats(0, native.MAX_SPEED_MPS),
        "course_deg": st.floats(0, 360),
        "altitude_m": st.floats(native.MIN_ALTITUDE_M, native.MAX_ALTITUDE_M),
        "satellites": st.integers(0, native.MAX_SATELLITES),
        "hdop": st.floats(0, native.MAX_HDOP),
        "kind": st.sampled_from(["gnss", "network", "beacon", "last_known"]),
        "battery_pct": st.floats(0, 100),
        "charging": st.booleans(),
        "buffered": st.booleans(),
    },
)


@st.composite
def nearly_valid(draw: st.DrawFn) -> Any:
    """A fix, event, receipt or status in which a few fields may be anything."""
    value = draw(valid_fixes) | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["panic", "strap_cut", "charging"]),
                "peer": st.text(max_size=4),
                "detail": json_values,
                "id": st.text(max_size=3),
                "state": st.sampled_from(["received", "answered"]),
                "answer": st.text(max_size=4),
                "online": st.booleans(),
            },
        )
    )
    for name in draw(st.lists(st.sampled_from(sorted(value)), max_size=2)):
        value[name] = draw(json_values)
    return value


bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(payload),
    nearly_valid().map(payload),
    st.lists(nearly_valid() | json_values, max_size=4).map(payload),
    st.builds(
        lambda body, at, junk: body[:at] + junk + body[at:],
        nearly_valid().map(payload),
        st.integers(0, 60),
        st.binary(max_size=3),
    ),
)
topics = st.one_of(
    st.sampled_from([f"cordon/v1/{device}/{kind}" for device in "ab" for kind in native.KINDS]),
    st.text(max_size=20),
)
arrivals = st.lists(st.builds(Message, st.just(NOW_US), topics, bodies), max_size=6)


@given(arrivals)
@example([Message(NOW_US, "cordon/v1/a/fix", MARK)])
def test_whatever_arrives_is_decoded_or_refused_and_can_be_journaled(
    messages: list[Message],
) -> None:
    batch = decode(*messages)
    assert [(m.received_us, m.topic, m.payload) for m in batch.messages] == [
        (m.received_us, m.topic, m.payload) for m in messages
    ]
    for kept in batch.messages:  # nobody has signed any of them
        is_signed_wrongly = kept.signature is Signature.INVALID and kept.payload[:1] == MARK
        assert kept.signature is Signature.UNSIGNED or is_signed_wrongly
    assert "adapter_failed" not in codes(batch)
    # What is urgent is taken beside the refusal; test_urgent_events.py has it.
    rescued = {e.message for e in batch.events if e.type in URGENT}
    whole = [r.message for r in batch.refusals if r.item is None]
    for index, arrived in enumerate(messages):
        fixes = int((batch.fixes["message"] == index).sum())
        items = [r.item for r in batch.refusals if r.message == index and r.item is not None]
        reports: tuple[Any, ...] = (*batch.events, *batch.receipts, *batch.statuses)
        rows = sum(report.message == index for report in reports)
        if index in rescued:
            assert (fixes, rows, items) == (0, 1, [])
        elif index in whole:
            assert (whole.count(index), fixes, rows, items) == (1, 0, 0, [])
        elif items or fixes > 1:
            assert fixes + len(items) == len(json.loads(arrived.payload.decode()))
        else:
            assert fixes + rows == 1
    again = decode_batch(encode_batch(batch))
    assert again.fixes.tobytes() == batch.fixes.tobytes()
    assert again.refusals == batch.refusals
    assert again.events == batch.events


@given(st.lists(valid_fixes, min_size=1, max_size=5))
def test_valid_fixes_survive_within_half_a_step(values: list[dict[str, Any]]) -> None:
    batch = decode(message(values))
    assert not batch.refusals
    for value, fields in zip(values, batch.fixes, strict=True):
        assert fields["time_us"] == from_iso(value["time"])
        assert abs(fields["lat_e7"] / 1e7 - value["lat"]) <= 0.5001e-7
        assert abs(fields["lon_e7"] / 1e7 - value["lon"]) <= 0.5001e-7
        if value.get("accuracy_m"):
            assert fields["accuracy_cm"] > 0
            assert abs(fields["accuracy_cm"] / 100 - value["accuracy_m"]) <= 0.01
        if "altitude_m" in value:
            assert abs(fields["altitude_dm"] / 10 - value["altitude_m"]) <= 0.05001
        if "course_deg" in value:
            turn = abs(fields["course_cdeg"] / 100 - value["course_deg"])
            assert min(turn, 360 - turn) <= 0.00501
            assert 0 <= fields["course_cdeg"] < 36_000
        if "seq" in value:
            assert fields["seq"] == value["seq"]


@given(st.lists(valid_fixes, min_size=1, max_size=4))
def test_one_message_or_many_give_the_same_rows(values: list[dict[str, Any]]) -> None:
    together = decode(message(values)).fixes.copy()
    apart = decode(*(message(value) for value in values)).fixes.copy()
    together["message"] = apart["message"] = 0
    assert together.tobytes() == apart.tobytes()
