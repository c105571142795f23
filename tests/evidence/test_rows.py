"""Batches through the journal's codec into the database and out again, against a plain model."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.reports import Batch, decode_batch, encode_batch
from evidence.sources import Stream
from evidence.store import Store
from evidence.text import clean, clean_optional, json_text
from tests.evidence.conftest import Probe
from tests.evidence.samples import batches, json_values, text


class Model:
    """What the tables should hold: the first of everything that was sent."""

    def __init__(self) -> None:
        self.fixes: dict[tuple[str, int, int], None] = {}
        self.events: dict[tuple[str, int, int, str], None] = {}

    def new_fixes(self, batch: Batch) -> set[tuple[Any, ...]]:
        rows = set()
        for fix in batch.fixes.tolist():
            message, device, seq, time_us, *rest = fix
            key = (batch.devices[device], time_us, seq)
            if key not in self.fixes:
                self.fixes[key] = None
                received_us = batch.messages[message].received_us
                rest[-1] = bool(rest[-1])
                rows.add((*key, received_us, message, *rest))
        return rows

    def new_events(self, batch: Batch) -> set[tuple[Any, ...]]:
        rows = set()
        for event in batch.events:
            key = (event.device, event.time_us, event.seq, event.type)
            if key not in self.events:
                self.events[key] = None
                peer = None if event.peer is None else clean(event.peer)
                rows.add((*key, peer, json_text(event.detail)))
        return rows


@st.composite
def journaled(draw: st.DrawFn) -> Batch:
    """A batch that the journal can carry (it has no half surrogates and no huge integers)."""
    batch = draw(batches())
    try:
        return decode_batch(encode_batch(batch))
    except (OverflowError, UnicodeEncodeError):
        return batch


@pytest.fixture
def model() -> Model:
    return Model()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(group=st.lists(journaled(), min_size=1, max_size=3))
async def test_rows_come_back_as_they_were_received(
    group: list[Batch], store: Store, probe: Probe, model: Model
) -> None:
    start = await store.position(Stream.JOURNAL, 0) + 1
    entries = [
        (position, msgspec.structs.replace(batch, number=position))
        for position, batch in enumerate(group, start)
    ]
    written = await store.write_journal(entries)
    added = [compare(probe, model, position, batch) for position, batch in entries]
    assert (written.fixes, written.events) == (sum(f for f, _ in added), sum(e for _, e in added))
    assert written.fixes + written.duplicate_fixes == sum(len(batch.fixes) for batch in group)
    assert written.events + written.duplicate_events == sum(len(batch.events) for batch in group)


def compare(probe: Probe, model: Model, position: int, batch: Batch) -> tuple[int, int]:
    """Compare what the tables hold of one entry; how many fixes and events it brought."""
    fixes, events = model.new_fixes(batch), model.new_events(batch)
    received = [message.received_us for message in batch.messages]
    assert fixes == set(
        probe.ask(
            "SELECT device, evidence.us(time), seq, evidence.us(received_at), message, lat_e7,"
            " lon_e7, accuracy_cm, speed_cms, course_cdeg, altitude_dm, satellites, hdop_c, kind,"
            " battery_pct, charging, buffered FROM evidence.fix WHERE journal_position = %s",
            position,
        )
    )
    assert events == set(
        probe.ask(
            "SELECT device, evidence.us(time), seq, type, peer, detail::text FROM evidence.event"
            " WHERE journal_position = %s",
            position,
        )
    )
    assert [
        (message.received_us, clean(message.topic), message.payload) for message in batch.messages
    ] == probe.ask(
        "SELECT evidence.us(received_at), topic, payload FROM evidence.message"
        " WHERE journal_position = %s ORDER BY item",
        position,
    )
    assert [
        (
            received[row.message],
            row.message,
            clean(row.device),
            row.code,
            clean(row.reason),
            row.item,
            row.size_bytes,
            row.sha256,
        )
        for row in batch.refusals
    ] == probe.ask(
        "SELECT evidence.us(received_at), message, device, code, reason, array_item, size_bytes,"
        " sha256 FROM evidence.refusal WHERE journal_position = %s ORDER BY item",
        position,
    )
    assert [
        (
            received[row.message],
            clean(row.device),
            clean(row.command_id),
            clean(row.state),
            row.time_us,
            clean_optional(row.answer),
        )
        for row in batch.receipts
    ] == probe.ask(
        "SELECT evidence.us(received_at), device, command_id, state, evidence.us(time), answer"
        " FROM evidence.receipt WHERE journal_position = %s ORDER BY item",
        position,
    )
    assert [
        (received[row.message], row.device, row.online, row.time_us) for row in batch.statuses
    ] == probe.ask(
        "SELECT evidence.us(received_at), device, online, evidence.us(time)"
        " FROM evidence.status WHERE journal_position = %s ORDER BY item",
        position,
    )
    return len(fixes), len(events)


@given(value=json_values)
def test_json_comes_back_as_it_was(value: object) -> None:
    assert json.loads(json_text(value)) == value


@given(text=text)
def test_clean_text_can_be_stored_and_is_left_alone_when_it_could_be(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned
    if "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert cleaned == text
