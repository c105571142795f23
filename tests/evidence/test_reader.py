from __future__ import annotations

import msgspec
import pytest

from alerts.deliveries import Entry, encode_entry
from devices.reports import ORDINARY, Event, Message, Refusal
from evidence.decided import read_alert_entry
from evidence.reader import (
    TRACK_SPAN_US,
    HistoryLimitError,
    HistoryUnavailableError,
    Reader,
)
from evidence.refused import PREVIEW_BYTES, REFUSALS_LIMIT, DeviceRefusals, RefusalCount
from evidence.store import Store
from evidence.unassigned import HeardDevice
from geofence.anomaly_state import Anomaly
from tests.conftest import Database
from tests.evidence.samples import DAY_US, NOW_US, anomaly_of, batch_of, change_of, delivery_of

REASON = "The latitude is not between -90 and 90."


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database.dsn)


async def store_refusals(store: Store) -> None:
    payload = b'{"lat": 91}' + b" " * 1000
    message = Message(NOW_US, "cordon/v1/tag-1/fix", payload)
    later = Message(NOW_US + 5, "cordon/v1/tag-2/event", b"\0\xff")
    refusals = (
        Refusal(0, "tag-1", "out_of_range", REASON, 3, len(payload), b"\1" * 32),
        Refusal(0, "tag-1", "out_of_range", REASON, 4, len(payload), b"\1" * 32),
        Refusal(1, "tag-2", "not_json", "It is not JSON.", None, 2, b"\2" * 32),
    )
    await store.write_journal([(1, batch_of(1, messages=(message, later), refusals=refusals))])


async def test_refusals_show_what_came_and_why(store: Store, reader: Reader) -> None:
    await store_refusals(store)
    newest, fourth, third = await reader.recent_refusals()
    assert (newest.code, newest.topic, newest.item) == ("not_json", "cordon/v1/tag-2/event", None)
    assert (newest.preview, newest.received_us) == (b"\0\xff", NOW_US + 5)
    assert (fourth.item, third.item, third.reason) == (4, 3, REASON)
    assert third.preview.startswith(b'{"lat": 91}')
    assert len(third.preview) == PREVIEW_BYTES
    assert third.size_bytes == 1011
    assert await reader.recent_refusals(limit=1) == [newest]


async def test_refusals_are_counted_by_reason(store: Store, reader: Reader) -> None:
    assert await reader.refusal_summary() == []
    await store_refusals(store)
    assert await reader.refusal_summary() == [
        RefusalCount("out_of_range", 2, 1, NOW_US),
        RefusalCount("not_json", 1, 1, NOW_US + 5),
    ]
    assert [found.code for found in await reader.refusal_summary(NOW_US + 1)] == ["not_json"]


async def test_refusals_are_grouped_by_device_and_reason(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_refusals(store)
    not_json = DeviceRefusals("tag-2", "not_json", "It is not JSON.", 1, NOW_US + 5, None)
    assert await reader.refusals_by_device() == [
        not_json,
        DeviceRefusals("tag-1", "out_of_range", REASON, 2, NOW_US, 4),
    ]
    assert await reader.refusals_by_device(limit=1) == [not_json]
    monkeypatch.setattr("evidence.refused.REFUSALS_SCANNED", 2)
    assert [found.count for found in await reader.refusals_by_device()] == [1, 1]


async def test_what_is_ordinary_is_not_among_the_refusals(store: Store, reader: Reader) -> None:
    refusals = tuple(
        Refusal(0, "jane__phone", code, "An ordinary message.", None, 2, b"\1" * 32)
        for code in (*ORDINARY, "encrypted")
    )
    message = Message(NOW_US, "owntracks/jane/phone", b"{}")
    await store.write_journal([(1, batch_of(1, messages=(message,), refusals=refusals))])
    assert [found.code for found in await reader.refusals_by_device()] == ["encrypted"]
    assert len(await reader.recent_refusals()) == len(ORDINARY) + 1


async def test_devices_that_nobody_carries_are_listed(store: Store, reader: Reader) -> None:
    day = 86_400_000_000
    panic = Event(0, "z-1", 1, NOW_US - 5, "panic", None, {})
    group = [
        (1, batch_of(1, [("a-1", 1, NOW_US - 2 * day), ("tag-1", 1, NOW_US - day)])),
        (2, batch_of(2, [("a-1", 2, NOW_US - 9), ("m-1", 1, NOW_US - 30 * day)], events=(panic,))),
        (3, batch_of(3, [("a-1", 3, NOW_US - 8), ("tag-1", 2, NOW_US - 7)])),
    ]
    await store.write_journal(group)
    second = 1_000_000
    found = await reader.unassigned(["tag-1", "tag-2"], NOW_US)
    assert found == [
        HeardDevice("a-1", 3, NOW_US + second, NOW_US + 3 * second),
        HeardDevice("z-1", 1, NOW_US + 2 * second, NOW_US + 2 * second),
    ]
    assert await reader.unassigned(["tag-1"], NOW_US, limit=1) == found[:1]
    everything = await reader.unassigned([], NOW_US)
    assert {device.device for device in everything} == {"a-1", "tag-1", "z-1"}
    assert await reader.unassigned([], NOW_US + 20 * day) == []


async def test_a_device_that_reports_much_is_counted_to_a_limit(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixes = [("a-1", seq, NOW_US - seq) for seq in range(20)]
    await store.write_journal([(1, batch_of(1, fixes))])
    monkeypatch.setattr("evidence.unassigned.REPORTS_COUNTED", 7)
    assert [found.reports for found in await reader.unassigned([], NOW_US)] == [7]


async def test_nobody_has_been_heard(store: Store, reader: Reader) -> None:  # noqa: ARG001 -- the tables are needed
    assert await reader.unassigned([], NOW_US) == []


async def test_a_track_is_ordered_by_fix_time(store: Store, reader: Reader) -> None:
    times = [NOW_US, NOW_US - 2 * DAY_US, NOW_US - DAY_US, NOW_US + 1]
    fixes = [("tag-1", seq, time_us) for seq, time_us in enumerate(times)]
    await store.write_journal([(1, batch_of(1, [*fixes, ("tag-2", 0, NOW_US)]))])
    track = await reader.track("tag-1", NOW_US - 2 * DAY_US, NOW_US + 1)
    assert [fix.time_us for fix in track] == [NOW_US - 2 * DAY_US, NOW_US - DAY_US, NOW_US]
    assert (track[-1].seq, track[-1].lat_e7, track[-1].lon_e7) == (0, 515_074_000, -1_278_000)
    assert await reader.track("tag-3", NOW_US - DAY_US, NOW_US) == []


async def test_too_long_a_track_is_refused_rather_than_cut(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HistoryLimitError, match="31 days"):
        await reader.track("tag-1", 0, TRACK_SPAN_US + 1)
    monkeypatch.setattr("evidence.reader.TRACK_LIMIT", 2)
    fixes = [("tag-1", seq, NOW_US + seq) for seq in range(3)]
    await store.write_journal([(1, batch_of(1, fixes))])
    assert len(await reader.track("tag-1", NOW_US, NOW_US + 2)) == 2
    with pytest.raises(HistoryLimitError, match="more than 2"):
        await reader.track("tag-1", NOW_US, NOW_US + 3)


async def test_alert_history_tells_changes_and_deliveries_in_order(
    store: Store, reader: Reader
) -> None:
    entries: list[Entry] = [
        change_of(1),
        delivery_of(1, "sent"),
        change_of(2),
        delivery_of(3, "shown"),
    ]
    stranger: Entry = change_of(1, alert_id="a2")
    await store.write_alerts(
        [
            read_alert_entry(position, encode_entry(entry))
            for position, entry in enumerate([*entries, stranger], 1)
        ]
    )
    steps = await reader.alert_history("a1")
    assert [step.kind for step in steps] == [
        "cordon.alert.raised",
        "delivery",
        "cordon.alert.level",
        "delivery",
    ]
    assert [step.document for step in steps] == [encode_entry(e).decode() for e in entries]
    assert msgspec.json.decode(steps[0].document)["data"]["alert_id"] == "a1"
    assert await reader.alert_history("nobody") == []


async def test_stored_rows_are_counted_from_an_instant_on(store: Store, reader: Reader) -> None:
    early = batch_of(1, [("tag-1", 1, NOW_US)], received_us=NOW_US - 1)
    late = batch_of(2, [("tag-1", 1, NOW_US), ("tag-1", 2, NOW_US - 90 * DAY_US)])
    await store.write_journal([(1, early), (2, late)])
    everything = await reader.count_stored(0)
    assert (everything.messages, everything.fixes) == (3, 2)
    recent = await reader.count_stored(NOW_US)
    assert (recent.messages, recent.fixes, recent.events, recent.refusals) == (2, 1, 0, 0)


@pytest.mark.parametrize("limit", [0, REFUSALS_LIMIT + 1])
async def test_limits_are_named(reader: Reader, limit: int) -> None:
    with pytest.raises(HistoryLimitError, match=str(REFUSALS_LIMIT)):
        await reader.recent_refusals(limit)


async def test_a_database_that_is_away_or_empty_is_told(empty_database: Database) -> None:
    for dsn in ("host=/nonexistent dbname=x user=x", empty_database.dsn):
        with pytest.raises(HistoryUnavailableError, match="Alerts go on"):
            await Reader(dsn).count_stored(0)


async def test_what_was_wrong_with_a_device(store: Store, reader: Reader) -> None:
    ended = anomaly_of(1, began=False, decided_at_us=NOW_US + 60)
    other = anomaly_of(1, track="tag-2")
    await store.write_decisions([(1, [anomaly_of(1), other]), (2, [ended])])
    steps = await reader.anomalies("tag-1", NOW_US, NOW_US + DAY_US)
    assert [(step.began, step.decided_us) for step in steps] == [
        (True, NOW_US + 1),
        (False, NOW_US + 60),
    ]
    assert (steps[0].kind, steps[0].quantity, steps[0].count) == (Anomaly.CLONE, 51_234.5, 7)
    assert await reader.anomalies("tag-1", NOW_US, NOW_US + 1) == []
