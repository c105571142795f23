"""The command desk: raises, repetitions, and how little the wearer learns from them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.command_changes import CommandChange
from devices.command_desk import (
    EXPIRY_US,
    MAX_ISSUES,
    RAISED_S,
    REPEAT_US,
    CommandDesk,
    CommandStateError,
    Sending,
)
from devices.command_timing import (
    DECOY_EPOCH_US,
    JITTER_US,
    LEAST_TURNS,
    MOST_TURNS,
    TURN_US,
    Timing,
    cell_of,
)
from devices.commands import TAG_COMMAND_BYTES, TagAddress, decode_command, to_tag
from devices.instants import from_iso
from devices.reports import Receipt
from devices.watches import Bearer

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US
HOUR_S = 3600


def bearer(device: str, *, interval_s: float = 60.0, person: str = "") -> Bearer:
    handset = device.startswith("phone")
    return Bearer(
        device=device,
        kind="handset" if handset else "tag",
        person=person or ("she" if handset else "he"),
        role="protected" if handset else "wearer",
        fix_interval_s=interval_s,
        agencies=("centre",),
    )


class Bench:
    """A desk, its devices, and everything it gave."""

    def __init__(self, secret: bytes = b"secret", *bearers: Bearer, answers: bool = True) -> None:
        self.desk = CommandDesk(secret, START_US)
        given = bearers or (bearer("tag-1"), bearer("phone-1"))
        self.bearers = {one.device: one for one in given}
        self.desk.plan(self.bearers, START_US)
        self.answers = answers
        self.sent: list[tuple[int, Sending]] = []
        self.changes: list[CommandChange] = []

    def pass_time(self, until_s: float, step_s: float = 0.2, from_s: float = 0.0) -> None:
        for step in range(round(from_s / step_s) + 1, round(until_s / step_s) + 1):
            self.advance(START_US + round(step * step_s * SECOND_US))

    def advance(self, now_us: int) -> None:
        sendings, changes = self.desk.advance(now_us)
        self.changes += changes
        for one in sendings:
            self.sent.append((now_us, one))
            if self.answers:
                receipt = Receipt(0, one.device, one.command.id, "received", now_us, None)
                self.changes += self.desk.answered(receipt, now_us)

    def near(self, at_s: float, *, holds: bool) -> None:
        at_us = START_US + round(at_s * SECOND_US)
        self.desk.near("w", ("tag-1", "phone-1"), at_us, holds=holds)

    def told(self, device: str) -> list[tuple[float, float]]:
        """Seconds since the start, and the interval."""
        return [
            ((from_iso(one.command.time) - START_US) / SECOND_US, one.command.interval_s)
            for _, one in self.sent
            if one.device == device
        ]


def spells(told: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Beginnings and lengths of the raises, in seconds."""
    found, began = [], None
    for at_s, interval_s in told:
        if interval_s == RAISED_S and began is None:
            began = at_s
        elif interval_s != RAISED_S and began is not None:
            found.append((began, at_s - began))
            began = None
    return found


def test_both_are_raised_while_near_and_lowered_afterwards() -> None:
    bench = Bench()
    start_s = quiet_from(bench)
    bench.near(start_s, holds=True)
    bench.pass_time(start_s + 3000, from_s=start_s)
    for device in ("tag-1", "phone-1"):
        [(raised_s, interval_s)] = [one for one in bench.told(device) if one[0] > start_s]
        assert interval_s == RAISED_S
        assert 0 < raised_s - start_s <= 7
    bench.near(start_s + 3000, holds=False)
    bench.answers = True
    bench.pass_time(start_s + 3000 + 4 * HOUR_S, from_s=start_s + 3000)
    lowered = [one for one in bench.told("phone-1") if one[0] > start_s + 3000]
    assert [interval_s for _, interval_s in lowered] == [60.0]
    assert {change.reason for change in bench.changes if change.device == "phone-1"} == {
        "near",
        "over",
    }


def quiet_from(bench: Bench) -> float:
    """Let time pass to a moment at which the tag is not raised and will not be for an hour."""
    timing = Timing(b"secret")
    turn = timing.next_turn("tag-1", START_US)
    while True:
        following = timing.next_random("tag-1", turn)
        if following - turn > 1500:
            start_us = timing.turn_us("tag-1", turn + 700)
            bench.advance(start_us)
            return (start_us - START_US) / SECOND_US
        turn = following


def test_a_device_that_reports_often_anyway_is_told_nothing() -> None:
    bench = Bench(b"secret", bearer("tag-1", interval_s=10), bearer("phone-1", interval_s=15))
    bench.near(1, holds=True)
    bench.pass_time(24 * HOUR_S, step_s=60)
    assert bench.sent == []


def test_what_is_not_answered_is_repeated_with_the_same_id_and_given_up_in_the_end() -> None:
    bench = Bench(b"secret", bearer("phone-1"), answers=False)
    bench.near(1, holds=True)
    bench.pass_time(500)
    ids = [one.command.id for _, one in bench.sent]
    assert len(ids) > 10
    assert len(set(ids)) == 1
    gaps = np.diff([at_us for at_us, _ in bench.sent])
    assert (gaps >= REPEAT_US).all()
    bench.pass_time(2 * HOUR_S, from_s=500)
    issued = [change for change in bench.changes if change.state == "issued"]
    unanswered = [change for change in bench.changes if change.state == "unanswered"]
    raised = [change for change in issued if change.interval_s == RAISED_S]
    assert [change.reason for change in raised] == ["near", "repeated", "repeated"][:MAX_ISSUES]
    assert len(unanswered) == len(raised)
    assert all(at_us < one.expires_us for at_us, one in bench.sent)
    assert len({one.command.id for _, one in bench.sent}) == len(issued)


def test_a_device_that_comes_back_is_told_what_holds() -> None:
    bench = Bench(b"secret", bearer("phone-1"), answers=False)
    bench.near(1, holds=True)
    bench.pass_time(2 * HOUR_S)
    sent = len(bench.sent)
    bench.answers = True
    bench.desk.online("phone-1", START_US + 2 * HOUR_S * SECOND_US)
    bench.pass_time(2 * HOUR_S + 10, from_s=2 * HOUR_S)
    [(_, again)] = bench.sent[sent:]
    assert again.command.interval_s == RAISED_S
    # It is on and answers; it reboots, and has forgotten.
    bench.desk.online("phone-1", START_US + (2 * HOUR_S + 60) * SECOND_US)
    bench.pass_time(2 * HOUR_S + 70, from_s=2 * HOUR_S + 10)
    assert [one.command.id for _, one in bench.sent[sent:]] == [again.command.id] * 2


def test_who_is_not_raised_and_has_answered_is_not_disturbed_when_he_comes_back() -> None:
    bench = Bench(b"secret", bearer("phone-1"))
    bench.near(1, holds=True)
    bench.pass_time(60)
    bench.near(60, holds=False)
    bench.pass_time(2 * HOUR_S, from_s=60)
    sent = len(bench.sent)
    bench.desk.online("phone-1", START_US + 2 * HOUR_S * SECOND_US)
    bench.pass_time(3 * HOUR_S, from_s=2 * HOUR_S, step_s=1)
    assert len(bench.sent) == sent == 2


def test_with_another_bearer_a_raise_ends() -> None:
    bench = Bench(b"secret", bearer("phone-1"))
    bench.near(1, holds=True)
    bench.pass_time(60)
    bench.desk.plan({"phone-1": bearer("phone-1", person="another")}, START_US + 60 * SECOND_US)
    bench.pass_time(70, from_s=60)
    assert [interval_s for _, interval_s in bench.told("phone-1")] == [RAISED_S, 60.0]


@settings(max_examples=25, deadline=None)
@given(
    secret=st.binary(min_size=1, max_size=32),
    moves=st.lists(
        st.tuples(st.integers(0, 4 * HOUR_S), st.sampled_from(["on", "off", "online", "place"])),
        max_size=8,
    ),
    steps=st.sampled_from([1, 17, 600]),
    restart=st.booleans(),
)
def test_however_time_is_brought_and_over_a_restart_it_is_the_same(
    secret: bytes, moves: list[tuple[int, str]], steps: int, *, restart: bool
) -> None:
    def life(step_s: int, *, restarts: bool) -> list[tuple[str, str, int, float]]:
        desk = CommandDesk(secret, START_US)
        desk.plan({one: bearer(one) for one in ("tag-1", "phone-1")}, START_US)
        given: list[tuple[str, str, int, float]] = []
        last_s = 0
        for at_s, kind in [*sorted(moves), (5 * HOUR_S, "end")]:
            for second in (*range(last_s + step_s, at_s, step_s), at_s):
                sendings, _ = desk.advance(START_US + second * SECOND_US)
                given += [
                    (s.device, s.command.id, from_iso(s.command.time), s.command.interval_s)
                    for s in sendings
                ]
            now_us, last_s = START_US + at_s * SECOND_US, at_s
            if kind in {"on", "off"}:
                desk.near("w", ("tag-1", "phone-1"), now_us, holds=kind == "on")
            elif kind == "online":
                desk.online("tag-1", now_us)
            elif kind == "place":
                desk.at("tag-1", at_s * 100_000, 0, now_us)
            if restarts:
                desk = CommandDesk.restore(desk.snapshot())
        return given

    assert life(steps, restarts=restart) == life(60, restarts=False)


@given(data=st.binary(max_size=60), cut=st.integers(1, 20))
def test_a_damaged_state_is_told(data: bytes, cut: int) -> None:
    whole = Bench().desk.snapshot()
    for damaged in (b"", data, b"CC9" + whole[3:], whole[:-cut]):
        with pytest.raises(CommandStateError):
            CommandDesk.restore(damaged)


# What the wearer can observe


def test_every_command_to_a_tag_has_one_size() -> None:
    bench = Bench(b"secret", bearer("tag-1", interval_s=86_399.123456))
    bench.near(1, holds=True)
    bench.pass_time(100)
    bench.near(100, holds=False)
    bench.pass_time(3 * HOUR_S, from_s=100, step_s=5)
    payloads = [to_tag(TagAddress("tag-1"), one.command).payload for _, one in bench.sent]
    assert len(payloads) >= 2
    assert {len(payload) for payload in payloads} == {TAG_COMMAND_BYTES}
    assert decode_command(payloads[0]) == bench.sent[0][1].command
    assert {frozenset(msgspec.json.decode(payload)) for payload in payloads} == {
        frozenset({"type", "id", "time", "expires", "interval_s"})
    }


@cache
def day(secret: bytes, near_s: tuple[float, float] | None) -> list[tuple[float, float]]:
    """What a tag is told in a day, with or without an approach; it answers."""
    bench = Bench(secret)
    marks = [] if near_s is None else [(near_s[0], True), (near_s[1], False)]
    last_s = 0.0
    for at_s, holds in [*marks, (24.0 * HOUR_S, None)]:
        bench.pass_time(at_s, from_s=last_s, step_s=20.0)
        if holds is not None:
            bench.near(at_s, holds=holds)
        last_s = at_s
    return bench.told("tag-1")


SECRETS = [number.to_bytes(4, "big") for number in range(120)]
APPROACH_S = (40_000.0, 40_240.0)
"""Four minutes at the outer ring, shorter than any raise."""


def test_an_approach_adds_one_raise_and_changes_no_other() -> None:
    """The allowed raise: one more, or none where one goes on already; everything else is as it was."""
    added = 0
    for secret in SECRETS:
        without, with_ = spells(day(secret, None)), spells(day(secret, APPROACH_S))
        during = [one for one in with_ if one not in without]
        gone = [one for one in without if one not in with_]
        assert len(during) <= 1
        # One that would have begun during the added raise is part of it.
        assert len(gone) <= 2
        added += len(during)
        for began_s, _ in during:
            assert began_s <= APPROACH_S[1] + 7
    assert added >= 0.7 * len(SECRETS)


def distance(some: list[float], others: list[float]) -> float:
    """Of Kolmogorov and Smirnov: the greatest difference of the two distributions."""
    points = np.sort(np.concatenate([some, others]))
    shares = [
        np.searchsorted(np.sort(one), points, side="right") / len(one) for one in (some, others)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def test_a_raise_by_approach_looks_like_one_by_chance() -> None:
    """Lengths, and the moments within a turn, of raises of both kinds come from one distribution.

    With 0.1 % error two samples of n and m differ by at most 1.95 * sqrt((n + m) / (n m)).
    """
    chance: list[tuple[float, float]] = []
    approach: list[tuple[float, float]] = []
    for secret in SECRETS:
        without = spells(day(secret, None))
        chance += without
        approach += [
            one
            for one in spells(day(secret, APPROACH_S))
            if one not in without and one[0] > APPROACH_S[0]
        ]
    count = (len(chance), len(approach))
    assert min(count) >= 70
    limit = 1.95 * np.sqrt(sum(count) / (count[0] * count[1]))
    for what in (lambda one: one[1], lambda one: one[0] % (TURN_US / SECOND_US)):
        assert distance(list(map(what, chance)), list(map(what, approach))) < limit
    # And there are enough of them by chance that one by approach is one of many.
    assert len(chance) / len(SECRETS) > 4


def test_repetitions_look_alike_too() -> None:
    """A tag that is off the air is called again at the same pace whatever the reason is."""

    def pauses(*, approach: bool) -> list[int]:
        found: list[int] = []
        for secret in SECRETS[:40]:
            bench = Bench(secret, bearer("tag-1"), answers=False)
            if approach:
                bench.near(1000, holds=True)
                bench.pass_time(1300, from_s=990)
            else:
                bench.pass_time(6 * HOUR_S, step_s=5.0)
            times = [from_iso(one.command.time) for _, one in bench.sent]
            sent = [
                at_us
                for (at_us, _), time in zip(bench.sent, times, strict=True)
                if time == times[0]
            ]
            found += [round(pause / SECOND_US) for pause in np.diff(sent)][:8]
        return found

    by_chance, by_approach = pauses(approach=False), pauses(approach=True)
    assert set(by_approach) <= set(range(30, 38))
    assert set(by_chance) <= set(range(30, 44))  # seen every five seconds


@given(
    secret=st.binary(min_size=1, max_size=32),
    device=st.text("abc-", min_size=1, max_size=8),
    after=st.integers(0, 10**9),
)
def test_turns_go_forward(secret: bytes, device: str, after: int) -> None:
    timing = Timing(secret)
    turn = timing.next_turn(device, START_US + after)
    here, before = timing.turn_us(device, turn), timing.turn_us(device, turn - 1)
    assert before <= START_US + after < here
    assert here - before < TURN_US + JITTER_US
    assert timing.next_random(device, turn) > turn
    assert LEAST_TURNS <= timing.raised_turns(device, turn) <= MOST_TURNS


def test_places_raise_the_rate_again_and_again_but_few_of_them_do() -> None:
    timing = Timing(b"secret")
    cells = [
        cell_of(lat * 100_000 + 5, lon * 100_000 + 5) for lat in range(40) for lon in range(40)
    ]
    epoch_us = START_US - START_US % DECOY_EPOCH_US
    decoys = [cell for cell in cells if timing.is_decoy("tag-1", cell, START_US)]
    assert 0.04 < len(decoys) / len(cells) < 0.09
    later_us = epoch_us + DECOY_EPOCH_US - 1
    assert sum(timing.is_decoy("tag-1", cell, later_us) for cell in decoys) == len(decoys)
    assert decoys != [cell for cell in cells if timing.is_decoy("tag-2", cell, START_US)]
    bench = Bench(b"secret")
    start_s = quiet_from(bench)
    lat, lon = decoys[0]
    at_us = START_US + round(start_s * SECOND_US)
    bench.desk.at("tag-1", lat * 100_000 + 7, lon * 100_000 + 7, at_us)
    bench.pass_time(start_s + 10, from_s=start_s)
    assert bench.changes[-2].reason == "place"
    assert bench.told("tag-1")[-1][1] == RAISED_S
    assert EXPIRY_US > REPEAT_US
