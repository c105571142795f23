"""Gaps, repetitions and lateness of what devices send."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devices.reports import FIX_DTYPE, Batch, Event, Message
from devices.sequence_changes import GapChange
from devices.sequence_state import LONGEST_GAP, MAX_RANGES
from devices.sequences import Sequences, SequenceStateError

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US


def at(seconds: float) -> int:
    return START_US + round(seconds * SECOND_US)


def batch(
    seqs: Sequence[int],
    now_s: float,
    *,
    events: Sequence[int] = (),
    times_s: Sequence[float] | None = None,
) -> Batch:
    """Fixes and events of tag-1 with these numbers; each was made in the second of its number."""
    fixes = np.zeros(len(seqs), FIX_DTYPE)
    fixes["seq"] = seqs
    fixes["time_us"] = [at(s) for s in (times_s if times_s is not None else seqs)]
    return Batch(
        gateway="gw",
        number=1,
        received_us=at(now_s),
        messages=(Message(at(now_s), "cordon/v1/tag-1/fix", b""),),
        devices=("tag-1",),
        fixes=fixes,
        events=tuple(Event(0, "tag-1", seq, at(seq), "no_motion", None, {}) for seq in events),
    )


def following() -> Sequences:
    sequences = Sequences()
    sequences.plan(["tag-1"])
    return sequences


def told(changes: Sequence[GapChange]) -> list[tuple[str, int, int, int]]:
    return [(c.state, c.first_seq, c.last_seq, c.missing) for c in changes]


def test_a_gap_is_told_after_a_minute_and_closed_by_late_reports() -> None:
    sequences = following()
    assert sequences.take(batch([1, 2, 3], 3)) == []
    assert sequences.take(batch([10], 10)) == []
    assert sequences.advance(at(70) - 1) == []
    [opened] = sequences.advance(at(9000))
    assert told([opened]) == [("opened", 4, 9, 6)]
    assert (opened.opened_us, opened.decided_at_us) == (at(10), at(70))
    assert sequences.take(batch([4, 5, 9], 9001)) == []
    assert sequences.devices["tag-1"].missing == 3
    [filled] = sequences.take(batch([6, 7, 8], 90_000))
    assert told([filled]) == [("filled", 4, 9, 0)]
    assert filled.number == opened.number
    counts = sequences.counts
    assert (counts.gaps_opened, counts.gaps_closed, counts.filled) == (1, 1, 6)
    assert (counts.within_10s, counts.later, counts.within_1d) == (4, 3, 3)
    device = sequences.devices["tag-1"]
    assert (device.late, device.latest_late_us) == (6, (90_000 - 6) * SECOND_US)


def test_reports_that_overtake_each_other_are_no_gap() -> None:
    sequences = following()
    sequences.take(batch([1], 1))
    sequences.take(batch([3], 3))
    sequences.take(batch([], 4, events=[2]))
    assert sequences.advance(at(1000)) == []
    assert sequences.devices["tag-1"].opened == 1


def test_events_and_fixes_count_in_one_row() -> None:
    sequences = following()
    sequences.take(batch([1, 2, 4], 4, events=[3, 5]))
    assert (sequences.devices["tag-1"].missing, sequences.devices["tag-1"].newest) == (0, 5)


def test_what_comes_again_is_counted_per_device() -> None:
    sequences = following()
    sequences.take(batch([1, 2, 3], 3))
    sequences.take(batch([1, 2, 3, 4], 4))
    sequences.take(batch([-17], 5))
    device = sequences.devices["tag-1"]
    assert (device.duplicates, device.newest, device.unnumbered) == (3, 4, 1)
    assert sequences.counts.duplicates == 3


def test_a_device_that_counts_anew_has_lost_nothing() -> None:
    sequences = following()
    sequences.take(batch([500, 501, 510], 510))
    sequences.advance(at(600))
    restarted = sequences.take(batch([0, 1, 2], 700, times_s=[698, 699, 700]))
    assert told(restarted) == [("abandoned", 502, 509, 8)]
    device = sequences.devices["tag-1"]
    assert (device.newest, device.missing, device.restarts) == (2, 0, 1)
    sequences.take(batch([3 + LONGEST_GAP + 1], 800, times_s=[800]))
    assert (device.newest, device.missing, device.restarts) == (LONGEST_GAP + 4, 0, 2)


def test_a_repetition_whose_time_was_put_right_is_a_repetition() -> None:
    sequences = following()
    sequences.take(batch(range(100), 100))
    sequences.take(batch([40], 200, times_s=[200]))
    device = sequences.devices["tag-1"]
    assert (device.newest, device.restarts, device.duplicates) == (99, 0, 1)


def test_there_is_a_limit_to_what_is_followed() -> None:
    sequences = following()
    changes: list[GapChange] = []
    for number in range(0, 2 * (MAX_RANGES + 10), 2):
        changes += sequences.take(batch([number], number * 100))
    device = sequences.devices["tag-1"]
    assert len(device.ranges) == MAX_RANGES
    assert device.merged == device.merged_missing == 9
    merged = [change for change in changes if change.state == "merged"]
    assert [change.first_seq for change in merged] == list(range(1, 19, 2))
    sequences.take(batch([1], 90_000))
    assert (device.uncertain, device.duplicates) == (1, 0)


def test_devices_that_left_are_forgotten() -> None:
    sequences = following()
    sequences.take(batch([1], 1))
    sequences.plan(["tag-2"])
    assert sequences.take(batch([9], 9)) == []
    assert list(sequences.devices) == ["tag-2"]


class SequencesBesideTwin(RuleBasedStateMachine):
    """Reports in any order and any number of times; the twin keeps every number it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences = following()
        self.seen: set[int] = set()
        self.first = -1
        self.repeated = 0
        self.now_s = 1000.0
        self.changes: list[GapChange] = []

    @rule(
        first=st.integers(0, 120),
        count=st.integers(1, 12),
        step=st.integers(1, 3),
        events=st.booleans(),
    )
    def report(self, *, first: int, count: int, step: int, events: bool) -> None:
        self.now_s += 1
        seqs = list(range(first, first + count * step, step))
        given = batch([], self.now_s, events=seqs) if events else batch(seqs, self.now_s)
        self.changes += self.sequences.take(given)
        for seq in seqs:
            self.first = seq if self.first < 0 else self.first
            self.repeated += seq in self.seen and seq >= self.first
            self.seen.add(seq)

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.changes += self.sequences.advance(at(self.now_s))

    @rule()
    def restart(self) -> None:
        self.sequences = Sequences.restore(self.sequences.snapshot())

    @invariant()
    def what_is_missing_is_what_was_not_seen(self) -> None:
        device = self.sequences.devices["tag-1"]
        wanted = range(self.first, max(self.seen, default=-1) + 1) if self.seen else range(0)
        missing = {number for number in wanted if number not in self.seen}
        ranges = [range(one.first, one.last + 1) for one in device.ranges]
        assert [number for one in ranges for number in one] == sorted(missing)
        assert device.missing == len(missing)
        assert device.duplicates == self.repeated
        assert device.restarts == 0

    @invariant()
    def what_was_told_open_is_open_until_it_was_told_closed(self) -> None:
        told_open: dict[int, GapChange] = {}
        for change in self.changes:
            if change.state == "opened":
                assert change.number not in told_open
                assert change.missing > 0
                told_open[change.number] = change
            else:
                assert (change.state, change.missing) == ("filled", 0)
                told_open.pop(change.number)
        gaps = self.sequences.devices["tag-1"].gaps
        assert set(told_open) == {number for number, gap in gaps.items() if gap.told}
        old = at(self.now_s) - 62 * SECOND_US
        assert all(gap.told for gap in gaps.values() if gap.opened_us <= old)


SequencesBesideTwin.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None
)
TestSequencesBesideTwin = SequencesBesideTwin.TestCase


@given(data=st.binary(max_size=60), cut=st.integers(1, 10))
def test_a_damaged_state_is_told(data: bytes, cut: int) -> None:
    sequences = following()
    sequences.take(batch([1, 5], 5))
    whole = sequences.snapshot()
    for damaged in (b"", data, b"CQ9" + whole[3:], whole[:-cut]):
        with pytest.raises(SequenceStateError):
            Sequences.restore(damaged)
