"""What was found of devices and told to them, stored from the decisions stream."""

from __future__ import annotations

import math

from evidence.decided import DecisionEntry
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, command_of, decision_of, gap_of, health_of


async def test_the_health_of_devices_is_kept_among_the_decisions(
    store: Store, probe: Probe
) -> None:
    began = health_of(1)
    ended = health_of(1, began=False, decided_at_us=NOW_US + 40 * DAY_US)
    many = health_of(1, kind="fleet_silent", device="", agency="centre", quantity=math.nan)
    group: list[DecisionEntry] = [(1, [decision_of(1)]), (2, [began, many]), (3, [ended])]
    written = await store.write_decisions(group)
    assert (written.decisions, written.device_health, written.entries) == (1, 3, 3)
    assert (await store.write_decisions(group)).skipped == 3
    republished = await store.write_decisions([(9, [began, ended, many])])
    assert (republished.device_health, republished.entries) == (0, 1)
    rows = probe.ask(
        "SELECT kind, began, number, evidence.us(onset_at), cause, device, person, role, agency"
        " FROM evidence.device_health ORDER BY decided_at, kind DESC"
    )
    onset_us = NOW_US - 240_000_000
    whose = ("w1", "wearer", "centre")
    assert rows == [
        ("silent", True, 1, onset_us, "offline", "tag-1", *whose),
        ("fleet_silent", True, 1, onset_us, "offline", "", *whose),
        ("silent", False, 1, onset_us, "offline", "tag-1", *whose),
    ]


async def test_gaps_are_kept_with_the_times_they_opened_and_closed(
    store: Store, probe: Probe
) -> None:
    filled = gap_of(1, "filled", missing=0, decided_at_us=NOW_US + 40 * DAY_US)
    group: list[DecisionEntry] = [(1, [gap_of(1), gap_of(2)]), (2, [filled])]
    assert (await store.write_decisions(group)).sequence_steps == 3
    assert (await store.write_decisions([(9, [gap_of(1), filled])])).sequence_steps == 0
    rows = probe.ask(
        "SELECT number, first_seq, last_seq, evidence.us(opened_at), evidence.us(told_at),"
        " evidence.us(closed_at), state, missing FROM evidence.sequence_gap ORDER BY number"
    )
    opened_us = NOW_US - 60_000_000
    closed_us = NOW_US + 40 * DAY_US
    assert rows == [
        (1, 4712, 4719, opened_us, NOW_US + 1, closed_us, "filled", 0),
        (2, 4712, 4719, opened_us, NOW_US + 2, None, "opened", 8),
    ]


async def test_commands_are_kept_with_their_reasons(store: Store, probe: Probe) -> None:
    received = command_of(1, "received", decided_at_us=NOW_US + 5)
    group: list[DecisionEntry] = [(1, [command_of(1), command_of(2, reason="near")])]
    group.append((2, [received]))
    assert (await store.write_decisions(group)).commands == 3
    assert (await store.write_decisions([(9, [command_of(1), received])])).commands == 0
    rows = probe.ask(
        "SELECT command_id, state, reason, device, interval_s, evidence.us(issued_at)"
        " FROM evidence.command ORDER BY decided_at"
    )
    rest = ("tag-1", 15.0, NOW_US - 60_000_000)
    assert rows == [
        ("command-1", "issued", "random", *rest),
        ("command-2", "issued", "near", *rest),
        ("command-1", "received", "random", *rest),
    ]
