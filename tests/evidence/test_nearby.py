"""Who was near a place: nobody who was there is said not to have been, and who was not is told so."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cordon.cli import cordon
from devices.instants import to_iso
from devices.store import CaseloadStore
from evidence.nearby import GREATEST_MPS, LOOK_S, Answer, Question, answer
from evidence.store import Store
from evidence.transitions import DeviceFixes
from geofence.proximity import SIGMAS_PER_R68
from tests.conftest import Database
from tests.cordon.running import HOME, one_pair
from tests.evidence.granting import grant
from tests.evidence.positions import SECOND_US, fixes_at
from tests.evidence.samples import NOW_US, batch_of


def asked(fixes: DeviceFixes, for_s: float = 0, within_m: float = 100) -> Answer:
    until_us = NOW_US + round(for_s * SECOND_US)
    question = Question(*HOME, within_m, NOW_US, until_us)
    return answer(question, "tag-1", "he", fixes)


def test_each_verdict() -> None:
    assert asked(fixes_at()).verdict == "unknown"
    assert asked(fixes_at((0, 20, 5))).verdict == "near"
    assert asked(fixes_at((-30, 5_000, 5), (30, 5_000, 5))).verdict == "was_not"
    assert asked(fixes_at((-600, 5_000, 5))).verdict == "possible"
    assert asked(fixes_at((-600, 50_000, 5))).verdict == "was_not"
    # Between two distant fixes there is time to have been there and to have come back.
    assert asked(fixes_at((-10, 5_000, 5), (590, 5_000, 5)), for_s=580).verdict == "possible"
    assert asked(fixes_at((-10, 5_000, 5), (50, 5_000, 5)), for_s=30).verdict == "was_not"
    wide = asked(fixes_at((0, 300, 400)))
    assert wide.verdict == "possible"
    assert wide.probability is not None
    assert 0 < wide.probability < 0.5


@given(
    st.lists(
        st.tuples(st.floats(1, 900), st.floats(-1, 1), st.floats(0, 5)), min_size=1, max_size=8
    ),
    st.floats(-20_000, 20_000),
    st.floats(0, 900),
)
def test_whoever_was_there_is_never_excluded(
    legs: list[tuple[float, float, float]], start_m: float, for_s: float
) -> None:
    """A walk along a line at any speed of a car, seen with errors of up to 5 sigmas."""
    at_s, north_m = -600.0, start_m
    rows, nearest_m = [], math.inf
    for length_s, speed, sigmas in legs:
        end_s, end_m = at_s + length_s, north_m + speed * 0.99 * GREATEST_MPS * length_s
        low_s, high_s = max(at_s, 0.0), min(end_s, for_s)
        if low_s <= high_s:
            way = [north_m + (end_m - north_m) * (s - at_s) / length_s for s in (low_s, high_s)]
            crossed = min(way) <= 0 <= max(way)
            nearest_m = min(nearest_m, 0.0 if crossed else min(map(abs, way)))
        at_s, north_m = end_s, end_m
        if abs(at_s) < LOOK_S:
            rows.append((at_s, north_m + sigmas * 10 * SIGMAS_PER_R68, 10.0))
    found = asked(fixes_at(*rows), for_s)
    if nearest_m <= 100:
        assert found.verdict != "was_not"
    if found.least_m is not None and math.isfinite(nearest_m):
        assert found.least_m <= nearest_m * 1.01 + 1


@pytest.mark.timeout(120)
async def test_the_command_names_who_asks_and_who_was_there(
    store: Store, database: Database
) -> None:
    caseloads = CaseloadStore(database.dsn)
    await caseloads.migrate()
    await caseloads.save(one_pair())
    await caseloads.close()
    batch = batch_of(1, [("tag-1", 1, NOW_US)])
    batch.fixes["lat_e7"], batch.fixes["lon_e7"] = round(HOME[0] * 1e7), round(HOME[1] * 1e7)
    batch.fixes["accuracy_cm"], batch.fixes["kind"] = 500, 0
    await store.write_journal([(1, batch)])
    where = ["--lat", str(HOME[0]), "--lon", str(HOME[1]), "--within", "50", "--at", to_iso(NOW_US)]
    who = ["--actor", "DC Roe", "--purpose", "investigation", "--case", "26/1", "--json"]
    grant(database.dsn, "DC Roe", "26/1", "*")

    def run(*words: str) -> tuple[int, str]:
        env = {"CORDON_DATABASE_URL": database.dsn}
        done = CliRunner().invoke(cordon, ["evidence", "near", *words], env=env)
        return done.exit_code, done.stdout

    code, out = await asyncio.to_thread(run, *where, *who)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    found = json.loads(lines[0])
    assert (code, len(lines), found["person"], found["verdict"]) == (0, 1, "he", "near")
    who[1] = "DC Doe"
    code, _ = await asyncio.to_thread(run, *where, *who)
    assert code == 1
