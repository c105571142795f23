"""Cutting a batch for the journal."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reports import Batch, Message, decode_batch, encode_batch
from ingest import native
from ingest.journal import MIN_SERVER_PAYLOAD_BYTES, PART_MARGIN_BYTES
from ingest.parts import BatchTooLargeError, parts
from tests.ingest.reports import NOW_US, decode, fix, message, payload

TIME = "2026-11-23T18:04:05Z"

some_messages = st.one_of(
    st.builds(
        lambda device, seqs: message([fix(seq=seq) for seq in seqs], device=device),
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.integers(0, 9), min_size=1, max_size=3),
    ),
    st.just(message(fix(lat=math.nan), device="d")),
    st.just(message({"time": TIME, "type": "panic"}, "event")),
    st.just(message({"id": "c", "state": "shown", "time": TIME}, "receipt")),
    st.just(message({"online": True, "time": TIME}, "status")),
)


def flat(batch: Batch) -> list[object]:
    """What the batch says, message by message, without any index."""
    said: list[object] = []
    for index, arrived in enumerate(batch.messages):
        said.append(arrived)
        said += [
            (batch.devices[fields["device"]], *fields.tolist()[2:])
            for fields in batch.fixes[batch.fixes["message"] == index]
        ]
        reports: tuple[Any, ...] = (
            *batch.events,
            *batch.receipts,
            *batch.statuses,
            *batch.refusals,
        )
        said += [
            (type(report), [getattr(report, name) for name in report.__struct_fields__[1:]])
            for report in reports
            if report.message == index
        ]
    return said


@given(st.lists(some_messages, min_size=1, max_size=12), st.integers(1_500, 4_000))
def test_the_parts_say_what_the_batch_said(messages: list[Message], max_bytes: int) -> None:
    batch = decode(*messages)
    cut = parts(batch, max_bytes)
    assert all(len(part.data) <= max_bytes for part in cut)
    pieces = [decode_batch(part.data) for part in cut]
    assert [piece.name for piece in pieces] == [part.name for part in cut]
    assert len({part.name for part in cut}) == len(cut)
    assert [said for piece in pieces for said in flat(piece)] == flat(batch)
    assert [part[:2] for part in parts(batch, max_bytes)] == [part[:2] for part in cut]
    assert [encode_batch(part.batch) for part in cut] == [part.data for part in cut]


def test_a_batch_that_fits_keeps_its_name() -> None:
    batch = decode(message(fix()))
    assert [part.name for part in parts(batch, 10_000)] == [batch.name]


def test_one_message_that_cannot_fit_is_an_error_and_not_a_loss() -> None:
    with pytest.raises(BatchTooLargeError, match="limits"):
        parts(decode(message(fix())), 100)


@pytest.mark.parametrize(
    "body",
    [
        payload([5] * 500).ljust(native.MAX_PAYLOAD_BYTES),
        payload([fix(lat=math.nan)] * 500).ljust(native.MAX_PAYLOAD_BYTES),
        payload([fix()] * 500).ljust(native.MAX_PAYLOAD_BYTES),
        payload([{}] * 500).ljust(native.MAX_PAYLOAD_BYTES),
    ],
)
def test_any_single_message_fits_the_smallest_journal(body: bytes) -> None:
    arrived = Message(NOW_US, f"cordon/v1/{'d' * 64}/fix", body)
    assert len(parts(decode(arrived), MIN_SERVER_PAYLOAD_BYTES - PART_MARGIN_BYTES)) == 1
