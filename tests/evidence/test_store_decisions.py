"""Decisions in the store: to the bit, once, and with their reasons."""

from __future__ import annotations

import math

from alerts.decisions import decode_decisions, encode_decisions
from evidence.decided import DecisionEntry
from evidence.store import Store
from geofence.anomaly_state import Anomaly
from geofence.levels import Cause, Level
from tests.evidence.conftest import Probe
from tests.evidence.samples import (
    DAY_US,
    NOW_US,
    anomaly_of,
    decision_of,
)


async def test_decisions_keep_their_numbers_bit_for_bit(store: Store, probe: Probe) -> None:
    odd = decision_of(
        2,
        distance_m=math.nan,
        distance_low_m=-math.inf,
        distance_high_m=5e-324,
        probability=-0.0,
        level=Level.UNKNOWN,
    )
    written = await store.write_decisions([(1, [decision_of(1), odd]), (2, [decision_of(3)])])
    assert written.decisions == 3
    [row] = probe.ask(
        "SELECT distance_m, distance_low_m, distance_high_m, probability, time_to_contact_s,"
        " level, fix_time_b, evidence.us(fix_time_a), after_position"
        " FROM evidence.decision WHERE number = 2"
    )
    assert math.isnan(row[0])
    assert row[1:5] == (-math.inf, 5e-324, 0.0, math.inf)
    assert math.copysign(1, row[3]) == -1
    assert row[5:] == (Level.UNKNOWN, None, NOW_US - 1, 2)


async def test_decisions_again_change_nothing(store: Store, probe: Probe) -> None:
    group = [(4, [decision_of(1), decision_of(2)])]
    await store.write_decisions(group)
    again = await store.write_decisions(group)
    assert (again.decisions, again.skipped) == (0, 1)
    republished = await store.write_decisions([(5, [decision_of(2), decision_of(3)])])
    assert republished.decisions == 1
    assert probe.count("decision") == 3


async def test_decisions_say_why(store: Store, probe: Probe) -> None:
    path = decision_of(
        1, cause=Cause.PATH, sigma_m=7.5, ring_m=200.0, closest_m=-0.0, closest_us=NOW_US - 7
    )
    silent = decision_of(2, cause=Cause.SILENCE, ring_m=200.0)
    [old] = decode_decisions(encode_decisions([decision_of(3)]).replace(b"CD2", b"CD1", 1))
    await store.write_decisions([(1, [path, silent]), (2, [old])])
    first, second, third = probe.ask(
        "SELECT cause, sigma_m, ring_m, closest_m, evidence.us(closest_at)"
        " FROM evidence.decision ORDER BY number"
    )
    assert first == (Cause.PATH, 7.5, 200.0, -0.0, NOW_US - 7)
    assert math.copysign(1, first[3]) == -1
    assert (second[0], second[2], second[4]) == (Cause.SILENCE, 200.0, None)
    assert math.isnan(second[1])
    assert math.isnan(second[3])
    assert third == (None,) * 5


async def test_anomalies_are_kept_among_the_decisions(store: Store, probe: Probe) -> None:
    began = anomaly_of(1, quantity=math.nan)
    ended = anomaly_of(1, began=False, decided_at_us=NOW_US + 40 * DAY_US)
    pair = anomaly_of(1, kind=Anomaly.STAYS_BEHIND, companion="own-1")
    group: list[DecisionEntry] = [(1, [decision_of(1)]), (2, [began, pair]), (3, [ended])]
    written = await store.write_decisions(group)
    assert (written.decisions, written.anomalies, written.entries) == (1, 3, 3)
    again = await store.write_decisions(group)
    assert (again.anomalies, again.skipped) == (0, 3)
    republished = await store.write_decisions([(9, [began, ended, pair])])
    assert (republished.anomalies, republished.entries) == (0, 1)
    rows = probe.ask(
        "SELECT kind, began, number, evidence.us(onset_at), count, device, companion, person,"
        " role, agency, rules, stream_position, after_position, quantity"
        " FROM evidence.anomaly ORDER BY decided_at, kind"
    )
    onset_us = NOW_US - 60_000_000
    whose = ("w1", "wearer", "centre", "r1")
    assert [row[:-1] for row in rows] == [
        (Anomaly.CLONE, True, 1, onset_us, 7, "tag-1", "", *whose, 2, 1),
        (Anomaly.STAYS_BEHIND, True, 1, onset_us, 7, "tag-1", "own-1", *whose, 2, 1),
        (Anomaly.CLONE, False, 1, onset_us, 7, "tag-1", "", *whose, 3, 1),
    ]
    assert math.isnan(rows[0][-1])
    assert rows[1][-1] == rows[2][-1] == 51_234.5
