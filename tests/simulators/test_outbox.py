"""A device's memory: nothing is forgotten but at a limit, and nothing overtakes."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import DataObject, data, sampled_from

from simulators.outbox import FLUSH_FIXES, FLUSH_FROM, WINDOW, Item, Outbox, Parcel


def item(number: int, name: str = "fix") -> Item:
    return Item(name, b"%d" % number, seq=number)


class OutboxMachine(RuleBasedStateMachine):
    """Against a plain model: what was added, and what was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.number = 0
        self.waiting: dict[str, list[int]] = {"fix": [], "event": []}
        self.travelling: list[Parcel] = []
        self.kept: set[int] = set()

    @rule(name=sampled_from(["fix", "fix", "event"]), count=sampled_from([1, 3, 40]))
    def add(self, name: str, count: int) -> None:
        for _ in range(count):
            self.outbox.add(item(self.number, name))
            self.waiting[name].append(self.number)
            self.kept.add(self.number)
            self.number += 1

    @rule()
    def take(self) -> None:
        parcel = self.outbox.take()
        nothing = not any(self.waiting.values())
        if len(self.travelling) == WINDOW or nothing:
            assert parcel is None
            return
        assert parcel is not None
        expected = self.waiting["event" if self.waiting["event"] else "fix"]
        numbers = [each.seq for each in parcel.items]
        assert numbers == expected[: len(numbers)]
        del expected[: len(numbers)]
        self.travelling.append(parcel)

    @precondition(lambda self: self.travelling)
    @rule(choice=data())
    def acknowledge(self, choice: DataObject) -> None:
        parcel = choice.draw(sampled_from(self.travelling))
        self.travelling.remove(parcel)
        self.outbox.acknowledge(parcel)
        self.kept -= {each.seq for each in parcel.items}

    @rule()
    def lose_connection(self) -> None:
        self.outbox.take_back()
        for name, waiting in self.waiting.items():
            back = [e.seq for p in self.travelling if p.name == name for e in p.items]
            waiting[:0] = back
        self.travelling.clear()

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert len(self.outbox) == len(self.kept)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_backlog_travels_in_arrays() -> None:
    outbox = Outbox()
    for number in range(FLUSH_FIXES + FLUSH_FROM):
        outbox.add(item(number))
    first, second = outbox.take(), outbox.take()
    assert first is not None
    assert second is not None
    assert json.loads(first.payload) == list(range(FLUSH_FIXES))
    assert json.loads(second.payload) == FLUSH_FIXES


def test_at_the_limit_the_oldest_goes_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.outbox.FIXES_LIMIT", 3)
    outbox = Outbox()
    outbox.add(item(100, "event"))
    for number in range(5):
        outbox.add(item(number))
    assert outbox.given_up == 2
    taken = [parcel.items[0].seq for parcel in iter(outbox.take, None)]
    assert taken == [100, 2, 3, 4]
