"""The live stream: nothing that must be known is missed, nothing slow grows."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from console.hub import Hub, HubFullError, Subscription
from tests.console.fake import Time, alert, device, make_hub, service, watch


def parse(data: bytes) -> tuple[str, str, dict[str, Any]]:
    """Event name, id ("" for none) and data of one frame."""
    fields = dict(line.split(": ", 1) for line in data.decode().strip().split("\n"))
    return fields["event"], fields.get("id", ""), json.loads(fields["data"])


def drain(subscription: Subscription) -> list[tuple[str, str, dict[str, Any]]]:
    frames = []
    for _ in range(10_000):
        data = subscription.take()
        if data:
            frames.append(parse(data))
        elif not subscription.waiting:
            return frames
    raise AssertionError("the queue never ends")


def names(frames: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    return [name for name, _, _ in frames]


async def test_a_new_page_is_greeted_with_the_place_where_it_stands() -> None:
    hub = make_hub(Time())
    hub.publish_alert(alert(), "raised")
    [(name, event_id, data)] = drain(hub.subscribe())
    assert (name, event_id) == ("hello", hub.newest_id)
    assert data["build"] == "0.1.0"
    assert data["server_time"].endswith("Z")


async def test_a_page_that_comes_back_gets_exactly_what_it_missed() -> None:
    hub = make_hub(Time())
    hub.publish_alert(alert("a1"), "raised")
    seen = hub.newest_id
    hub.publish_alert(alert("a2"), "raised")
    hub.publish_plan()
    frames = drain(hub.subscribe(seen))
    assert names(frames) == ["hello", "alert", "plan"]
    assert frames[0][1] == seen  # were it to break here, it would ask again from the same place
    assert frames[1][2]["alert"]["alert_id"] == "a2"
    assert frames[2][1] == hub.newest_id


@pytest.mark.parametrize(
    "stale",
    ["other-3", "boot1-6", "boot1-x", "boot1-", "-1", "nonsense", "boot1-2", "boot1-\u0663"],
)
async def test_a_page_that_cannot_be_caught_up_is_told_to_resync(stale: str) -> None:
    hub = make_hub(Time(), ring_events=2)
    for number in range(5):
        hub.publish_alert(alert(f"a{number}"), "raised")
    frames = drain(hub.subscribe(stale))
    assert names(frames) == ["hello", "resync"]
    assert frames[-1][1] == hub.newest_id
    assert not frames[0][2]["resumed"]


@pytest.mark.parametrize(("seen", "missed"), [(3, ["a3", "a4"]), (4, ["a4"]), (5, [])])
async def test_the_oldest_place_that_can_be_caught_up_from(seen: int, missed: list[str]) -> None:
    hub = make_hub(Time(), ring_events=2)
    for number in range(5):
        hub.publish_alert(alert(f"a{number}"), "raised")
    hello, *rest = drain(hub.subscribe(f"boot1-{seen}"))
    assert hello[2]["resumed"]
    assert [data["alert"]["alert_id"] for _, _, data in rest] == missed


async def test_positions_are_sent_as_changes_and_never_replayed() -> None:
    hub = make_hub(Time())
    hub.subscribe()
    hub.publish_positions([device("d1"), device("d2")], [watch()])
    reader = hub.subscribe()
    first = drain(reader)
    assert names(first) == ["hello", "positions"]
    assert first[1][1] == ""
    assert first[1][2]["full"]
    assert len(first[1][2]["devices"]) == 2

    hub.publish_positions([device("d1", lat=51.0), device("d2")], [watch()])
    [(_, _, change)] = drain(reader)
    assert not change["full"]
    assert [view["id"] for view in change["devices"]] == ["d1"]
    assert change["watches"] == []

    hub.publish_positions([device("d2")], [])
    [(_, _, change)] = drain(reader)
    assert change["gone_devices"] == ["d1"]
    assert change["gone_watches"] == [watch().key]


async def test_the_same_positions_again_are_not_sent() -> None:
    hub = make_hub(Time())
    hub.publish_positions([device("d1")], [])
    reader = hub.subscribe()
    drain(reader)
    hub.publish_positions([device("d1")], [])
    assert drain(reader) == []


async def test_before_the_first_positions_nobody_is_told_that_nobody_is_there() -> None:
    hub = make_hub(Time())
    assert names(drain(hub.subscribe())) == ["hello"]


async def test_positions_that_nobody_looked_at_are_not_shown_later() -> None:
    hub = make_hub(Time())
    reader = hub.subscribe()
    hub.publish_positions([device("d1")], [])
    hub.publish_service(service())
    reader.close()
    late = hub.subscribe()
    assert names(drain(late)) == ["hello"]
    hub.publish_positions([device("d1")], [])
    assert names(drain(late)) == ["positions"]


async def test_a_slow_reader_loses_positions_first_and_then_gets_all_of_them() -> None:
    hub = make_hub(Time())
    hub.publish_positions([device("d1"), device("d2")], [])
    reader = hub.subscribe()
    drain(reader)
    hub.publish_positions([device("d1", lat=1.0), device("d2")], [])
    hub.publish_alert(alert(), "raised")
    hub.publish_positions([device("d1", lat=1.0), device("d2", lat=2.0)], [])
    frames = drain(reader)
    assert names(frames) == ["alert", "positions"]
    assert frames[1][2]["full"]
    assert {view["id"]: view["lat"] for view in frames[1][2]["devices"]} == {"d1": 1.0, "d2": 2.0}
    assert hub.counts.positions_dropped == 1


async def test_a_reader_whose_queue_overflows_is_told_to_resync() -> None:
    hub = make_hub(Time(), queue_events=3)
    reader = hub.subscribe()
    drain(reader)
    for number in range(10):
        hub.publish_alert(alert(f"a{number}"), "raised")
    frames = drain(reader)
    assert names(frames) == ["resync"]
    assert frames[0][1] == hub.newest_id
    hub.publish_alert(alert("next"), "raised")
    assert names(drain(reader)) == ["alert"]


async def test_only_the_newest_state_of_the_service_is_sent() -> None:
    hub = make_hub(Time())
    reader = hub.subscribe()
    drain(reader)
    hub.publish_service(service(lag_ms=1.0))
    hub.publish_service(service(lag_ms=2.0))
    [(name, event_id, data)] = drain(reader)
    assert (name, event_id, data["service"]["lag_ms"]) == ("service", "", 2.0)


async def test_no_more_pages_than_the_limit() -> None:
    hub = make_hub(Time(), subscriptions=2)
    first = hub.subscribe()
    hub.subscribe()
    with pytest.raises(HubFullError, match="2 pages"):
        hub.subscribe()
    first.close()
    first.close()
    hub.subscribe()


async def test_silence_is_filled_with_beats_and_closing_ends_the_stream() -> None:
    hub = make_hub(Time(), beat_s=0.01)
    frames = hub.subscribe().frames()
    assert parse(await anext(frames))[0] == "hello"
    assert parse(await anext(frames))[0] == "beat"
    assert parse(await anext(frames))[0] == "beat"
    hub.publish_alert(alert(), "raised")
    while (name := parse(await anext(frames))[0]) == "beat":
        pass
    assert name == "alert"
    hub.close()
    with pytest.raises(StopAsyncIteration):
        await anext(frames)
    assert len(hub) == 0


async def test_a_waiting_reader_wakes_at_once() -> None:
    hub = make_hub(Time(), beat_s=60)
    frames = hub.subscribe().frames()
    await anext(frames)
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    assert not waiting.done()
    hub.publish_alert(alert(), "raised")
    async with asyncio.timeout(5):
        assert parse(await waiting)[0] == "alert"
    await frames.aclose()
    assert len(hub) == 0


@pytest.mark.parametrize("boot", ["", "with-dash", "with space", "caf\u00e9", "a\nb"])
def test_a_boot_id_that_cannot_stand_in_an_event_id_is_refused(boot: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        Hub(boot, Time())


class Reconnecting(RuleBasedStateMachine):
    """A page over a bad line, against a page that was never away.

    The page applies events, fetches the picture when told to, and after each break comes back
    with the id of the last frame it got. Whenever it has read all there is, it must know every
    alert at its newest version.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hub = make_hub(Time(), ring_events=6, queue_events=4)
        self.truth: dict[str, int] = {}
        self.known: dict[str, int] = {}
        self.order: deque[int] = deque()
        self.last_id = ""
        self.picture_due = False
        self.reader: Subscription | None = None

    @rule(name=st.sampled_from("abc"))
    def alert_changes(self, name: str) -> None:
        self.truth[name] = self.truth.get(name, 0) + 1
        self.hub.publish_alert(alert(name, version=self.truth[name]), "level")

    @rule(lat=st.integers(0, 3))
    def people_move(self, lat: int) -> None:
        self.hub.publish_positions([device("d1", lat=float(lat))], [])

    @rule()
    def caseload_changes(self) -> None:
        self.hub.publish_plan()

    @precondition(lambda self: self.reader is None)
    @rule()
    def connect(self) -> None:
        self.reader = self.hub.subscribe(self.last_id or None)

    @precondition(lambda self: self.reader is not None)
    @rule()
    def connection_breaks(self) -> None:
        assert self.reader is not None
        self.reader.close()
        self.reader = None

    @rule()
    def service_restarts(self) -> None:
        self.hub.close()
        self.hub = Hub(self.hub.boot + "x", Time(), ring_events=6, queue_events=4)
        self.reader = None

    @precondition(lambda self: self.reader is not None)
    @rule(frames=st.integers(1, 4))
    def read_some(self, frames: int) -> None:
        for _ in range(frames):
            self._read_one()

    @precondition(lambda self: self.reader is not None)
    @rule()
    def read_all(self) -> None:
        assert self.reader is not None
        while self._read_one() or self.reader.waiting:
            pass
        if self.picture_due:
            self.known = dict(self.truth)
            self.picture_due = False
        assert self.known == self.truth

    def _read_one(self) -> bool:
        assert self.reader is not None
        data = self.reader.take()
        if not data:
            return False
        name, event_id, content = parse(data)
        if name == "hello" and not self.last_id:
            self.picture_due = True
        if name in {"resync", "plan"}:
            self.picture_due = True
        if name == "alert":
            changed = content["alert"]
            before = self.known.get(changed["alert_id"], 0)
            assert self.picture_due or changed["version"] == before + 1, "missed or repeated"
            self.known[changed["alert_id"]] = changed["version"]
        if event_id:
            self.last_id = event_id
        return True

    @invariant()
    def queues_are_bounded(self) -> None:
        if self.reader is not None:
            assert self.reader.waiting_events <= 4 + 6


TestReconnecting = Reconnecting.TestCase
