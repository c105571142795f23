"""Numbers that are missing, from a batch to the record, and over a restart."""

from __future__ import annotations

import numpy as np

from devices.reports import FIX_DTYPE, MISSING, Batch, Message
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair


def bring(room: Room, at_s: float, seqs: range, made_s: float | None = None) -> None:
    """Fixes of the tag with these numbers, one a second, the last made now or then."""
    fixes = np.zeros(len(seqs), FIX_DTYPE)
    fixes["seq"] = seqs
    last_s = at_s if made_s is None else made_s
    fixes["time_us"] = [room.now_us(last_s - len(seqs) + 1 + i) for i in range(len(seqs))]
    fixes["battery_pct"] = fixes["charging"] = MISSING
    now_us = room.now_us(at_s)
    number = int(at_s) + 1
    room.partition.apply(
        Batch(
            gateway="gw",
            number=number,
            received_us=now_us,
            messages=(Message(now_us, "cordon/v1/tag-1/fix", b""),),
            devices=("tag-1",),
            fixes=fixes,
        )
    )


def steps(room: Room) -> list[tuple[str, int, int]]:
    return [(o.change.state, o.change.first_seq, o.change.last_seq) for o in room.out.gaps]


def test_a_gap_is_recorded_and_closed_by_what_comes_days_later() -> None:
    room = Room(one_pair())
    bring(room, 10, range(1, 11))
    bring(room, 100, range(51, 61))
    assert steps(room) == []
    room.partition.tick_until(room.now_us(161))
    assert steps(room) == [("opened", 11, 50)]
    again = Room(one_pair())
    again.partition.load(room.partition.kept, room.partition.checkpoint(), room.now_us(170))
    again.partition.go_live(room.now_us(170))
    bring(again, 3 * 86_400, range(11, 51), made_s=51)
    assert steps(again) == [("filled", 11, 50)]
    assert again.partition.sequences.counts.later == 40


def test_a_batch_that_comes_twice_changes_nothing_but_the_count() -> None:
    room = Room(one_pair())
    bring(room, 10, range(1, 11))
    bring(room, 20, range(1, 11), made_s=10)
    assert room.partition.sequences.devices["tag-1"].duplicates == 10
    assert steps(room) == []
