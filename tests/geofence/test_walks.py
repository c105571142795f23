"""People who walked in Oxford, with a cheap receiver's errors and the truth beside them."""

from __future__ import annotations

import csv
import itertools
import math
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from geofence.distance import geodesic_m
from geofence.engine import Engine
from geofence.levels import Level, Transition
from geofence.plan import Plan
from tests.geofence.plans import NOW_US, S, make_pairs

R50_TO_R68 = math.sqrt(math.log(1 - 0.68) / math.log(1 - 0.5))  # both Rayleigh
Row = tuple[float, float, float, float | None, float, float]


@pytest.fixture(scope="module")
def walks(data_dir: Path) -> dict[str, list[Row]]:
    """Recordings by id: seconds since their start, position, 68 % radius, true position."""
    found: dict[str, list[Row]] = defaultdict(list)
    with (data_dir / "oxford_walks" / "fixes_truth_dev.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["truth_lat"]:
                continue
            at_s = datetime.fromisoformat(row["time"]).timestamp()
            stated = row["confidence_50pct_m"]
            radius_m = float(stated) * R50_TO_R68 if stated not in ("", "nan", "NaN") else None
            place = (float(row["lat"]), float(row["lon"]))
            truth = (float(row["truth_lat"]), float(row["truth_lon"]))
            start_s = found[row["id"]][0][0] if row["id"] in found else at_s
            found[row["id"]].append((at_s, *place, radius_m, *truth))
            assert at_s >= start_s
    return {name: [(row[0] - rows[0][0], *row[1:]) for row in rows] for name, rows in found.items()}


def run(walks: dict[str, list[Row]], alert_m: float) -> dict[str, list[Transition]]:
    """All recordings started together; every two of them are a pair."""
    names = tuple(walks)
    ends = [
        (f"{a}/{b}", names.index(a), names.index(b)) for a, b in itertools.combinations(names, 2)
    ]
    plan = Plan("walks", names, make_pairs(*ends, alert_m=alert_m, pre_alert_m=2 * alert_m))
    engine = Engine(plan, now_us=NOW_US)
    fixes = sorted((row[0], names.index(name), row) for name, rows in walks.items() for row in rows)
    transitions = []
    for second, group in itertools.groupby(fixes, key=lambda fix: int(fix[0])):
        columns = np.array(
            [
                (
                    track,
                    NOW_US + round(at_s * S),
                    round(row[1] * 1e7),
                    round(row[2] * 1e7),
                    -1 if row[3] is None else round(row[3] * 100),
                )
                for at_s, track, row in group
            ],
            np.int64,
        )
        now_us = NOW_US + (second + 1) * S
        transitions += engine.update(*columns.T, now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    by_watch = defaultdict(list)
    for transition in transitions:
        by_watch[transition.watch].append(transition)
    return by_watch


def true_encounters(a: list[Row], b: list[Row], alert_m: float) -> tuple[int, int]:
    """Encounters by the truth, and how many a bare comparison of fixes would report."""
    common = [(x, y) for x, y in zip(a, b, strict=False)]
    counts = []
    for lat, lon in ((4, 5), (1, 2)):
        count, near = 0, False
        for x, y in common:
            d = geodesic_m(x[lat], x[lon], y[lat], y[lon])  # type: ignore[arg-type]
            if not near and d < alert_m:
                near, count = True, count + 1
            elif near and d > 1.1 * alert_m:
                near = False
        counts.append(count)
    return counts[0], counts[1]


@pytest.mark.parametrize("alert_m", [100.0, 500.0])
def test_every_true_encounter_alerts_and_few_others_do(
    walks: dict[str, list[Row]], alert_m: float
) -> None:
    by_watch = run(walks, alert_m)
    true, raw, raised, met_without_alert = 0, 0, 0, 0
    for a, b in itertools.combinations(walks, 2):
        truth, bare = true_encounters(walks[a], walks[b], alert_m)
        high = [t for t in by_watch[f"{a}/{b}"] if t.level in (Level.ALERT, Level.CONTACT)]
        began = [t for t in high if t.previous not in (Level.ALERT, Level.CONTACT)]
        true, raw, raised = true + truth, raw + bare, raised + len(began)
        met_without_alert += bool(truth) and not began
    assert true >= 40
    assert met_without_alert == 0
    assert raised <= 1.3 * true
    assert raised < raw / 3


def test_an_encounter_is_raised_and_cleared(walks: dict[str, list[Row]]) -> None:
    by_watch = run(walks, 100.0)
    cleared = [
        transitions
        for transitions in by_watch.values()
        if {Level.ALERT, Level.CLEAR} <= {t.level for t in transitions}
    ]
    assert len(cleared) >= 10
    # No chatter: nowhere three alarms begin within a minute for one pair.
    for transitions in by_watch.values():
        begun_us = [t.decided_at_us for t in transitions if t.previous == Level.CLEAR]
        for first_us, third_us in zip(begun_us, begun_us[2:], strict=False):
            assert third_us - first_us > 60 * S
