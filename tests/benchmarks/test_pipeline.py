"""The pipeline under load and under faults, small: what is acknowledged is kept, what is due is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pipeline import fault_page, faults, reports, scene
from benchmarks.pipeline.books import published
from benchmarks.pipeline.run import Asked, run_pipeline
from benchmarks.pipeline.spec import SENT_DTYPE, LoadResult
from cordon.errors import CordonError
from devices.instants import to_iso
from devices.reports import Message
from ingest.decoder import Decoder


def quietly(_step: str) -> None: ...


@pytest.mark.timeout(400)
def test_a_short_run_loses_nothing_and_tells_everything() -> None:
    report = run_pipeline(Asked(rate=60, seconds=12), quietly)
    assert report.published == report.acknowledged == report.journaled == report.stored > 600
    assert (report.lost, report.duplicate_rows) == (0, 0)
    assert report.alerts_due > 20
    assert (report.alerts_missing, report.alerts_twice) == (0, 0)
    assert report.latency_ms.p50 is not None
    assert report.relay_ms.p50 is not None
    assert report.lean_relay_ms.p50 is not None


@pytest.mark.timeout(600)
def test_the_short_form_of_the_faults() -> None:
    report = faults.run_faults(quietly, quick=True)
    assert len(report.faults) == sum(fault.quick for fault in faults.FAULTS)
    for row in report.faults:
        assert row.published == row.acknowledged == row.stored, row
        assert (row.lost, row.duplicate_rows) == (0, 0), row
        assert row.alerts_due > 50, row
        assert (row.missing, row.twice) == (0, 0), row
        assert (row.steps_missing, row.sent_twice) == (0, 0), row


def test_a_fault_that_is_not_known_is_named() -> None:
    with pytest.raises(CordonError, match="all at once"):
        faults.run_faults(quietly, only=["earthquake"])


def test_the_table_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{fault_page.BEGIN}\nold\n{fault_page.END}\nafter\n")
    for table in ("| 1 |\n", "| 2 |\n"):
        fault_page.put_table(page, table)
        text = page.read_text()
        assert text == f"before\n{fault_page.BEGIN}\n{table}{fault_page.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(CordonError, match="no place"):
        fault_page.put_table(page, "")


@given(
    count=st.integers(1, 100),
    first_us=st.integers(0, 2_000_000_000_000_000),
    buffered=st.booleans(),
)
def test_payloads_are_what_the_contract_says(count: int, first_us: int, *, buffered: bool) -> None:
    times_us = range(first_us, first_us + count * 1_000, 1_000)
    payload = reports.fixes(7, times_us, scene.home(3), buffered=buffered)
    now_us = times_us[-1]
    batch = Decoder().decode(
        [Message(now_us, "cordon/v1/tag-3/fix", payload)], gateway="g", number=1, received_us=now_us
    )
    assert not batch.refusals
    assert batch.fixes["seq"].tolist() == list(range(7, 7 + count))
    assert batch.fixes["time_us"].tolist() == list(times_us)
    assert set(batch.fixes["buffered"].tolist()) == {int(buffered)}


def test_panics_and_receipts_are_what_the_contract_says() -> None:
    now_us = 1_795_000_000_123_456
    messages = [
        Message(now_us, "cordon/v1/phone-3/event", reports.panic(5, now_us)),
        Message(now_us, "cordon/v1/phone-3/receipt", reports.receipt("c", "shown", now_us)),
        *(Message(now_us, "cordon/v1/phone-3/fix", bad) for bad in reports.MALFORMED),
    ]
    batch = Decoder().decode(messages, gateway="g", number=1, received_us=now_us)
    assert [(event.type, to_iso(event.time_us)) for event in batch.events] == [
        ("panic", to_iso(now_us))
    ]
    assert [receipt.command_id for receipt in batch.receipts] == ["c"]
    assert {refusal.message for refusal in batch.refusals} == set(range(2, len(messages)))


def test_the_books_spread_messages_into_reports() -> None:
    rows = [(0, 5, 3, False, True), (1, 1, 1, False, False), (1, 2, 1, True, True)]
    result = LoadResult(
        devices=["a", "b"],
        sent=np.array(rows, SENT_DTYPE).tobytes(),
        began_us=0,
        ended_us=0,
        behind=0,
        latency_s={},
        due=[],
        raised={},
        told={},
        malformed=0,
        repeated=0,
        reconnects=0,
    )
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=LoadResult)
    sent = published(again)
    assert sent.fixes.tolist() == [5, 6, 7, (1 << 40) + 1]
    assert sent.fixes_acknowledged.tolist() == [5, 6, 7]
    assert sent.events.tolist() == sent.events_acknowledged.tolist() == [(1 << 40) + 2]
