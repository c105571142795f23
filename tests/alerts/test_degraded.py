"""A degraded state is told once when it has lasted, again while it lasts, and its end where it was told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.degraded import OVER_AFTER_S, REMIND_S, TOLD_AFTER_S, Degraded
from tests.alerts.builders import NOW_US, SECOND_US


class Watch:
    def __init__(self) -> None:
        self.degraded = Degraded()
        self.second = 0

    def see(self, seconds: float, *names: str) -> list[tuple[str, str]]:
        """What is told in so many seconds in which these states are seen."""
        told: list[tuple[str, str]] = []
        for _ in range(round(seconds)):
            self.second += 1
            present = {name: f"{name} is away" for name in names}
            now_us = NOW_US + self.second * SECOND_US
            told += [(one.kind, one.name) for one in self.degraded.update(present, now_us)]
        return told


def test_what_lasts_is_told_and_so_is_its_end() -> None:
    watch = Watch()
    assert watch.see(TOLD_AFTER_S, "database") == []
    assert watch.see(1, "database") == [("begins", "database")]
    assert watch.see(100, "database") == []
    assert watch.see(OVER_AFTER_S - 1) == []
    assert [one.name for one in watch.degraded.going_on] == ["database"]
    assert watch.see(1) == [("over", "database")]
    assert watch.degraded.going_on == []


def test_what_is_over_at_once_is_shown_and_not_told() -> None:
    watch = Watch()
    assert watch.see(TOLD_AFTER_S / 2, "engine") == []
    assert [one.since_us for one in watch.degraded.going_on] == [NOW_US + SECOND_US]
    assert watch.see(60) == []
    assert watch.degraded.going_on == []


def test_what_comes_and_goes_is_one_state() -> None:
    watch = Watch()
    told = [news for _ in range(10) for news in watch.see(3, "broker") + watch.see(5)]
    assert told == [("begins", "broker")]


def test_while_it_lasts_it_is_told_again() -> None:
    watch = Watch()
    told = watch.see(2 * REMIND_S + 2 * TOLD_AFTER_S, "database")
    assert told == [("begins", "database"), ("lasts", "database"), ("lasts", "database")]


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sets(st.sampled_from(["broker", "database"]))),
        max_size=12,
    )
)
def test_every_beginning_has_one_end_and_nothing_else_is_told(
    spans: list[tuple[int, set[str]]],
) -> None:
    watch = Watch()
    told = [news for seconds, names in spans for news in watch.see(seconds, *names)]
    told += watch.see(OVER_AFTER_S + 1)
    for name in ("broker", "database"):
        kinds = [kind for kind, about in told if about == name]
        assert kinds == ["begins", "over"] * (len(kinds) // 2)
    assert watch.degraded.going_on == []
