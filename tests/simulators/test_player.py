"""Playing tracks, without waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.player import REPEAT_PAUSE_S, Player, longest_offset_s, schedule
from simulators.recording import Point, Track, track_of
from tests.simulators.pretend import START_US, FakeTime, Notebook, turns_until

NAN = float("nan")
DAY_US = 86_400_000_000


def track(times_us: Sequence[int], *, planned: bool = False) -> Track:
    points = [Point(t, n / 100, 1.0, NAN, 2.0, NAN) for n, t in enumerate(times_us)]
    return track_of("t", points, planned=planned)


def play(tracks: list[Track], time: FakeTime, **how: object) -> list[Notebook]:
    books = [Notebook(time) for _ in tracks]
    player = Player(tracks, books, clock=time.now_us, pace=time.pace, **how)  # type: ignore[arg-type]
    asyncio.run(player.run())
    return books


def test_a_fix_is_dated_when_it_is_published_and_time_is_compressed() -> None:
    time = FakeTime()
    (book,) = play([track([0, 1_000_000, 61_000_000])], time, speed=4.0)
    assert [fix[0] - START_US for fix in book.fixes] == [0, 250_000, 15_250_000]
    assert time.elapsed_s == pytest.approx(15.25)
    assert book.speeds_mps == [8.0] * 3


def test_offsets_are_kept_or_ignored() -> None:
    tracks = [track([DAY_US, DAY_US + 5]), track([2 * DAY_US]), track([0, 7], planned=True)]
    kept = play(tracks, FakeTime())
    assert [[fix[0] - START_US for fix in book.fixes] for book in kept] == [
        [0, 5],
        [DAY_US],
        [0, 7],
    ]
    together = play(tracks, FakeTime(), start_together=True)
    assert [[fix[0] - START_US for fix in book.fixes] for book in together] == [[0, 5], [0], [0, 7]]
    assert longest_offset_s(tracks) == 86_400
    assert longest_offset_s(tracks[2:]) == 0


def test_fixes_of_one_instant_are_all_reported_in_their_order() -> None:
    (book,) = play([track([0, 5, 5, 5])], FakeTime())
    assert [fix[1] for fix in book.fixes] == [0, 0.01, 0.02, 0.03]
    assert len({fix[0] for fix in book.fixes[1:]}) == 1


def test_repeating_begins_again_after_a_pause() -> None:
    time = FakeTime()
    book = Notebook(time)
    player = Player([track([0, 1_000_000])], [book], clock=time.now_us, pace=time.pace, repeat=True)

    async def three_rounds() -> None:
        playing = asyncio.create_task(player.run())
        await turns_until(lambda: len(book.fixes) >= 6)
        playing.cancel()

    asyncio.run(three_rounds())
    begins_us = [fix[0] for fix in book.fixes[::2]]
    assert begins_us[1] - begins_us[0] == round((1 + REPEAT_PAUSE_S) * 1e6)
    assert begins_us[2] - begins_us[1] == begins_us[1] - begins_us[0]


@pytest.mark.parametrize("speed", [0, -1, NAN, float("inf")])
def test_impossible_speeds_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        play([track([0])], FakeTime(), speed=speed)


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(
        st.lists(st.integers(0, 10**9), min_size=1, max_size=12), min_size=1, max_size=4
    ),
    speed=st.floats(0.01, 1_000),
    together=st.booleans(),
    glance_s=st.sampled_from([0.0, 0.000_3, 0.7]),
)
def test_everything_is_played_once_never_early_and_in_order(
    times: list[list[int]],
    speed: float,
    together: bool,  # noqa: FBT001
    glance_s: float,
) -> None:
    tracks = [track(t) for t in times]
    time = FakeTime(glance_s)
    books = play(tracks, time, speed=speed, start_together=together)
    plan = schedule(tracks, start_together=together)
    first_us = min(min(t) for t in times)
    for each, book in zip(tracks, books, strict=True):
        zero_us = int(each.times_us[0]) if together else first_us
        expected = [int((int(t) - zero_us) / speed) for t in each.times_us]
        assert [fix[0] - START_US for fix in book.fixes] == expected
        assert [fix[1] for fix in book.fixes] == each.lat_deg.tolist()
        # never dated after the moment it is handed over (a microsecond for rounding)
        assert all(told >= fix[0] - 1 for fix, told in zip(book.fixes, book.told_us, strict=True))
    assert time.sleeps <= len(plan.due_us)
