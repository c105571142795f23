"""Events beside positions: who was there is never said to be elsewhere, nor the other way round."""

from __future__ import annotations

import csv
import json
import math
import stat
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cordon.cli import cordon
from devices.instants import to_iso
from evidence.nearby import GREATEST_MPS
from evidence.overlay_compare import Finding, counts, find, gap_s
from evidence.overlay_csv import Event, Kind
from evidence.overlay_words import CANNOT_TELL, says
from evidence.store import Store
from evidence.transitions import DeviceFixes
from geofence.proximity import SIGMAS_PER_R68
from tests.conftest import Database
from tests.cordon.running import HOME, METRE_DEG, load, one_pair
from tests.evidence.conftest import Probe
from tests.evidence.granting import grant
from tests.evidence.positions import SECOND_US, fixes_at
from tests.evidence.samples import NOW_US, batch_of

OVERLAY = UUID(int=1)


def event_of(error_s: float = 0, reach_m: float | None = 50, **sector: float) -> Event:
    return Event(
        line=2,
        time_us=NOW_US,
        written="then",
        clock_error_s=error_s,
        lat=HOME[0],
        lon=HOME[1],
        reach_m=reach_m,
        **sector,  # type: ignore[arg-type]
    )


def found(fixes: DeviceFixes, event: Event | None = None, kind: Kind = "anpr") -> Finding:
    return find(OVERLAY, kind, event or event_of(), "tag-1", fixes)


def test_each_verdict_in_words() -> None:
    there = found(fixes_at((-5, 10, 5), (5, -10, 5)))
    assert (there.verdict, there.cannot_be, there.known_share) == ("supports", False, 1)
    assert "within the area of the camera" in says(there, "he")
    assert there.distance_m == pytest.approx(0, abs=0.1)
    assert gap_s(there) == 10
    away = found(fixes_at((-25, 9_000, 5), (-5, 9_000, 5), (5, 9_000, 5), (25, 9_000, 5)))
    assert (away.verdict, away.cannot_be) == ("contradicts", True)
    assert "cannot have been" in says(away, "he")
    assert away.most_m is not None
    assert away.outside_m == pytest.approx(9_000 - 50 - 6 * 3.3 - 5 * GREATEST_MPS, abs=10)
    assert away.most_m == pytest.approx(9_000 + 6 * 3.3 + 5 * GREATEST_MPS, abs=10)
    beside = found(fixes_at((-5, 300, 5), (5, 300, 5)))
    assert (beside.verdict, beside.cannot_be) == ("contradicts", False)
    assert "with a probability of less than 0.001 only" in says(beside, "he")
    between = found(fixes_at((-5, 50, 20), (5, 50, 20)))
    assert between.verdict == "says nothing"
    assert "neither 0.050 or less nor 0.950 or more" in says(between, "he")
    nobody = found(fixes_at())
    assert (nobody.verdict, nobody.before, nobody.most_m) == ("says nothing", None, None)
    assert "no positions of he" in says(nobody, "he")
    gap = found(fixes_at((-900, 10, 5), (900, 10, 5)))
    assert (gap.verdict, gap.probability, gap.known_share) == ("says nothing", None, 0)
    assert "900 s before and 900 s after" in says(gap, "he")


def test_a_clock_that_may_be_off_leaves_open_what_a_right_one_does_not() -> None:
    passing = fixes_at(*((s, 15.0 * s, 5) for s in range(-120, 121, 10)))
    assert found(passing).verdict == "supports"
    late = event_of(60)
    assert found(passing, late).verdict == "supports", (
        "at some instant of the two minutes he was there"
    )
    mean = found(passing, late).probability_mean
    assert mean is not None
    assert mean < 0.2
    shifted = msgspec.structs.replace(event_of(), time_us=NOW_US + 60 * SECOND_US)
    assert found(passing, shifted).verdict == "contradicts"
    assert found(passing, msgspec.structs.replace(shifted, clock_error_s=90)).verdict == "supports"
    assert "at some instant within the 60 s" in says(found(passing, late), "he")
    partly = found(fixes_at((-60, 400, 5), (-30, 400, 5), (0, 400, 5)), event_of(60))
    assert (partly.verdict, partly.known_share) == ("says nothing", 0.5)
    assert "in the 50% of the clock's time that is known" in says(partly, "he")


def test_one_fix_that_is_far_off_excludes_nobody() -> None:
    stray = found(fixes_at((-20, 0, 5), (0, 9_000, 5), (20, 0, 5)))
    assert stray.verdict == "says nothing"
    assert stray.known_share == 0, "nobody moves so fast: it is no journey"
    alone = found(fixes_at((0, 9_000, 5)))
    assert alone.verdict == "says nothing"


def test_a_sector_is_not_a_place() -> None:
    sector = event_of(0, 2_000, azimuth_deg=0, beam_deg=90)
    inside = found(fixes_at((-5, 1_000, 10), (5, 1_000, 10)), sector, "cell")
    assert inside.verdict == "supports"
    assert inside.area_m2 == pytest.approx(math.pi * 2_000**2 / 4)
    assert "3.14 km\u00b2" in says(inside, "he")
    assert "A sector is not a place." in says(inside, "he")
    behind = found(fixes_at((-5, -900, 10), (5, -900, 10)), sector, "cell")
    assert behind.verdict == "contradicts"
    assert "beyond its stated sector" in says(behind, "he")
    assert any("A sector is not a place" in text for text in CANNOT_TELL)


LEGS = st.lists(
    st.tuples(st.floats(1, 900), st.floats(-1, 1), st.floats(0, 5)), min_size=1, max_size=8
)


@given(LEGS, st.floats(-20_000, 20_000), st.floats(0, 900))
def test_whoever_was_there_is_never_excluded(
    legs: list[tuple[float, float, float]], start_m: float, error_s: float
) -> None:
    """A walk along a line at any speed of a car, seen with errors of up to 5 sigmas."""
    at_s, north_m = -1_500.0, start_m
    rows, nearest_m = [], math.inf
    for length_s, speed, sigmas in legs:
        end_s, end_m = at_s + length_s, north_m + speed * 0.99 * GREATEST_MPS * length_s
        low_s, high_s = max(at_s, -error_s), min(end_s, error_s)
        if low_s <= high_s:
            way = [north_m + (end_m - north_m) * (s - at_s) / length_s for s in (low_s, high_s)]
            crossed = min(way) <= 0 <= max(way)
            nearest_m = min(nearest_m, 0.0 if crossed else min(map(abs, way)))
        at_s, north_m = end_s, end_m
        rows.append((at_s, north_m + sigmas * 10 * SIGMAS_PER_R68, 10.0))
    one = found(fixes_at(*rows), event_of(error_s))
    if nearest_m <= 50:
        assert not one.cannot_be
    assert 0 <= one.known_share <= 1
    if one.probability is not None and one.probability_mean is not None:
        assert one.probability_mean <= one.probability + 1e-9
    assert sum(counts([one]).values()) == 1
    assert says(one, "he")
    if one.cannot_be:
        assert one.verdict == "contradicts"


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(-300, 300)), min_size=2, max_size=9))
def test_what_lies_behind_a_wider_clock_is_never_less_likely(
    steps: list[tuple[float, float]],
) -> None:
    at_s, rows = -300.0, []
    for wait_s, north_m in steps:
        at_s += wait_s
        rows.append((at_s, north_m, 8.0))
    fixes = fixes_at(*rows)
    before = 0.0
    for error_s in (0, 30, 300):
        one = found(fixes, event_of(error_s))
        assert (one.probability or 0.0) >= before - 0.02, "instants are looked at in steps"
        before = one.probability or 0.0


ANPR = "time,lat,lon,camera,plate,clock_error_s\n"


def row(at_s: float, north_m: float, name: str) -> str:
    lat = HOME[0] + north_m * METRE_DEG
    return f"{to_iso(NOW_US + round(at_s * SECOND_US))},{lat:.7f},{HOME[1]},{name},=1234 BCD,2\n"


@pytest.fixture
async def filled(store: Store, database: Database) -> str:
    await load(database.dsn, one_pair())
    seconds = range(-600, 601, 10)
    batch = batch_of(1, [("tag-1", s + 601, NOW_US + s * SECOND_US) for s in seconds])
    batch.fixes["lat_e7"] = [round((HOME[0] + s * METRE_DEG) * 1e7) for s in seconds]
    batch.fixes["lon_e7"], batch.fixes["accuracy_cm"] = round(HOME[1] * 1e7), 500
    batch.fixes["kind"] = 0
    await store.write_journal([(1, batch)])
    grant(database.dsn, "DC Roe", "order-1", "he", "x", "case:order-1")
    return database.dsn


def run(dsn: str, *words: str) -> Result:
    environment = {"CORDON_DATABASE_URL": dsn}
    return CliRunner().invoke(cordon, ["evidence", "overlay", *words], env=environment)


CASE = ("--case", "order-1")
WHO = ("--actor", "DC Roe", "--purpose", "investigation", "--note", "who was there")


def brought(dsn: str, folder: Path, kind: str, text: str, *case: str) -> None:
    file = folder / f"{kind}.csv"
    file.write_text(text)
    given = ("--source", "the city", "--by", "DC Roe", "--purpose", "26/4711")
    done = run(dsn, "import", str(file), "--kind", kind, *(case or CASE), *given)
    assert done.exit_code == 0, done.output


def test_the_command_writes_what_it_found_and_records_who_asked(
    filled: str, tmp_path: Path, probe: Probe
) -> None:
    rows = [row(60, 60, "here"), row(60, 5_000, "there"), row(90_000, 0, "never\x1b[2J<"), "x,y\n"]
    brought(filled, tmp_path, "anpr", ANPR + "".join(rows))
    sector = f"{to_iso(NOW_US)},{HOME[0]},{HOME[1]},0,120,3000,1\n"
    brought(
        filled,
        tmp_path,
        "cell",
        "time,lat,lon,azimuth_deg,beam_deg,range_m,clock_error_s\n" + sector,
    )
    out = tmp_path / "out"
    done = run(filled, "compare", *CASE, "--person", "he", *WHO, "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["counts"] == {"supports": 1, "contradicts": 1, "says nothing": 2}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    table = list(csv.DictReader((out / "findings.csv").read_text().splitlines()))
    verdicts = {(line["name"], line["verdict"]) for line in table}
    assert {
        ("here", "supports"),
        ("there", "contradicts"),
        ("never\x1b[2J<", "says nothing"),
    } < verdicts
    assert table[1]["as_written"].endswith("Z")
    assert json.loads((out / "comparison.json").read_bytes()) == told
    svg = "".join(ET.fromstring((out / "picture.svg").read_text()).itertext())
    assert "Case order-1 beside the positions of he" in svg
    readme = (out / "README.txt").read_text()
    assert "1 lines could not be read" in readme
    assert "A sector is not a place" in readme
    assert "\x1b" not in readme + svg
    assert "never" in svg
    asked = probe.ask(
        'SELECT subject, who, note, "case" FROM evidence.access '
        "WHERE what = 'overlay compare' ORDER BY subject"
    )
    assert asked == [
        (subject, "DC Roe", "who was there", "order-1") for subject in ("case:order-1", "he")
    ]
    span = ("--from", to_iso(NOW_US + SECOND_US), "--to", to_iso(NOW_US + 3_600 * SECOND_US))
    some = run(
        filled, "compare", *CASE, "--person", "he", *WHO, "--out", str(tmp_path / "2"), *span
    )
    assert "2 findings: 1 supports, 1 contradicts, 0 says nothing." in some.stdout
    third = ("--person", "x", *WHO, "--out", str(tmp_path / "3"))
    assert "not about this person" in str(run(filled, "compare", *CASE, *third).exception)
    other = ("--case", "26/1")
    brought(filled, tmp_path, "anpr", ANPR + "".join(rows), *other)
    grant(filled, "DC Roe", "26/1", "x", "case:26/1")
    nobody = run(filled, "compare", *other, *third)
    assert "3 events are of times in which x is not known to have carried" in nobody.stdout


def test_refusals(filled: str, tmp_path: Path, probe: Probe) -> None:
    def why(*words: str) -> str:
        done = run(filled, "compare", *words)
        assert done.exit_code == 1, done.output
        return str(done.exception)

    out = ("--out", str(tmp_path / "out"))
    assert "No file is kept for the case" in why(*CASE, "--person", "he", *WHO, *out)
    assert "No file is kept for the case" in why("--case", "", "--person", "he", *WHO, *out)
    brought(filled, tmp_path, "anpr", ANPR + row(0, 0, "a") + row(101 * 86_400, 0, "b"))
    assert "no grant is in force" in why(*CASE, "--person", "he", *WHO[2:], *out)
    assert probe.count("access") == 3, "that of the import, and the refusals"
    assert "more than 100 days apart" in why(*CASE, "--person", "he", *WHO, *out)
    assert not (tmp_path / "out").exists()
    many = "".join(row(n / 1_000, 0, f"c{n}") for n in range(5_001))
    brought(filled, tmp_path, "anpr", ANPR + many)
    assert "5003 events" in why(*CASE, "--person", "he", *WHO, *out)
    full = ("--out", str(tmp_path))
    span = ("--from", to_iso(NOW_US), "--to", to_iso(NOW_US + 1))
    assert "not empty" in why(*CASE, "--person", "he", *WHO, *span, *full)
