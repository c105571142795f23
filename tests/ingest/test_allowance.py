"""The buckets, against a plain twin and against what they promise."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.allowance import BULK_BYTES, TOLD_EVERY_US, Allowances, Verdict
from ingest.native import MAX_PAYLOAD_BYTES

SECOND_US = 1_000_000
PER_S, BURST = 2.0, 4.0

arrivals = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 3 * SECOND_US),
        st.sampled_from([100, 90_000, MAX_PAYLOAD_BYTES + 1]),
    ),
    max_size=60,
)


def twin(steps: Sequence[tuple[str, int, int]]) -> list[Verdict]:
    """Counts anew from the start for every message."""
    verdicts: list[Verdict] = []
    tokens: dict[str, float] = {}
    last: dict[str, int] = {}
    flooding: dict[str, int] = {}  # when it was told last
    now_us = 0
    for device, wait_us, size_bytes in steps:
        now_us += wait_us
        if BULK_BYTES < size_bytes <= MAX_PAYLOAD_BYTES:
            verdicts.append(Verdict.LATER)
            continue
        had = tokens.get(device, BURST) + (now_us - last.get(device, now_us)) * PER_S / SECOND_US
        if had >= BURST:
            had = BURST
            flooding.pop(device, None)
        last[device] = now_us
        if had >= 1.0:
            tokens[device] = had - 1.0
            verdicts.append(Verdict.AT_ONCE)
        else:
            tokens[device] = had
            if device in flooding and now_us - flooding[device] < TOLD_EVERY_US:
                verdicts.append(Verdict.LATER)
                continue
            verdicts.append(Verdict.STILL_FLOOD if device in flooding else Verdict.FLOOD)
            flooding[device] = now_us
    return verdicts


@given(arrivals)
def test_as_its_twin(steps: list[tuple[str, int, int]]) -> None:
    allowances, now_us = Allowances(per_s=PER_S, burst=BURST), 0
    found = []
    for device, wait_us, size_bytes in steps:
        now_us += wait_us
        found.append(allowances.judge(device, size_bytes, now_us))
    assert found == twin(steps)


@given(arrivals)
def test_never_more_than_its_burst_and_its_rate(steps: list[tuple[str, int, int]]) -> None:
    allowances, now_us, passed = Allowances(per_s=PER_S, burst=BURST), 0, 0
    for _device, wait_us, _size in steps:
        now_us += wait_us
        passed += allowances.judge("a", 100, now_us) is Verdict.AT_ONCE
    assert passed <= BURST + PER_S * now_us / SECOND_US + 1e-6


def test_a_flood_is_told_once_until_it_is_over() -> None:
    allowances = Allowances(per_s=PER_S, burst=BURST)
    verdicts = [allowances.judge("a", 100, 0) for _ in range(10)]
    assert verdicts == [Verdict.AT_ONCE] * 4 + [Verdict.FLOOD] + [Verdict.LATER] * 5
    assert allowances.flooding == 1
    assert allowances.judge("a", 100, 2 * SECOND_US) is Verdict.AT_ONCE
    assert allowances.flooding == 0
    assert allowances.judge("b", 100, 0) is Verdict.AT_ONCE


def test_a_flood_that_goes_on_is_told_again_once_a_minute() -> None:
    allowances, told = Allowances(per_s=PER_S, burst=BURST), []
    for tenth in range(10 * 150):
        now_us = tenth * SECOND_US // 10
        verdict = allowances.judge("a", 100, now_us)
        if verdict in {Verdict.FLOOD, Verdict.STILL_FLOOD}:
            told.append((verdict, now_us // SECOND_US))
    first_s = told[0][1]
    still = [(Verdict.STILL_FLOOD, first_s + 60), (Verdict.STILL_FLOOD, first_s + 120)]
    assert told == [(Verdict.FLOOD, first_s), *still]


def test_a_clock_that_steps_back_gives_nothing_and_takes_nothing() -> None:
    allowances = Allowances(per_s=PER_S, burst=1.0)
    assert allowances.judge("a", 100, 5 * SECOND_US) is Verdict.AT_ONCE
    assert allowances.judge("a", 100, 0) is Verdict.FLOOD
    assert allowances.judge("a", 100, 5 * SECOND_US) is Verdict.LATER
    assert allowances.judge("a", 100, 6 * SECOND_US) is Verdict.AT_ONCE


def test_memory_is_bounded() -> None:
    allowances = Allowances(max_devices=10)
    for number in range(1_000):
        allowances.judge(str(number), 100, number)
    assert len(allowances._buckets) == 10
