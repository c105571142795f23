from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from benchmarks.phones import phone_of, read_phones
from simulators.recording import TrackError

FIXES = "phone,range,ts,write_ts,lat,lon,acc"
TRUTH = "trip,leg,ts,latitude,longitude,source"


def fix(at_s: float, *, phone: str = "p", acc: str = "8") -> str:
    return f"{phone},r,{at_s},{at_s + 1},{37 + at_s * 1e-6:.7f},-122,{acc}"


def truth(at_s: float, leg: str = "leg") -> str:
    return f"trip,{leg},{at_s},{37 + at_s * 1e-6:.7f},-122,midpoint"


def files(tmp_path: Path, fixes: list[str], truths: list[str]) -> tuple[Path, Path]:
    paths = tmp_path / "fixes.csv.gz", tmp_path / "truth.csv.gz"
    for path, rows in zip(paths, ([FIXES, *fixes], [TRUTH, *truths]), strict=True):
        path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return paths


def test_each_phone_on_each_unbroken_piece_is_a_recording(tmp_path: Path) -> None:
    # Fixes every 2 s, shuffled and one twice; the truth has a gap of 10 s in the middle.
    fixes = [fix(at_s + 0.5) for at_s in range(100, 400, 2)]
    fixes += [fix(at_s, phone="q") for at_s in range(100, 130)]
    truths = [truth(at_s) for at_s in range(90, 410) if not 200 < at_s < 210]
    found = read_phones(*files(tmp_path, [fixes[7], *reversed(fixes)], truths))
    assert [(one.name, one.whole_s) for one in found] == [("p/leg", 98), ("p/leg", 188)]
    first, second = found
    assert first.time_us[0] == second.time_us[0] == 0
    assert first.time_us.size == 51  # with the one that is there twice
    assert first.truth_time_us[0] == -10_500_000
    lat_deg, lon_deg = first.truth_at(first.time_us)
    assert lat_deg == pytest.approx(first.lat_deg, abs=1e-9)
    assert phone_of(first) == "p"
    assert set(lon_deg.tolist()) == {-122.0}


def test_an_accuracy_that_is_none_is_unknown(tmp_path: Path) -> None:
    fixes = [fix(at_s, acc=acc) for at_s, acc in enumerate(["8", "0", "-1", "", "nan"] * 20)]
    (found,) = read_phones(*files(tmp_path, fixes, [truth(at_s) for at_s in range(101)]))
    assert [math.isnan(one) for one in found.accuracy_m[:5]] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("fixes", "truths", "what"),
    [
        (["p,r,x,1,37,-122,8"], [truth(0)], "line 2, column ts: 'x' is not a number"),
        ([fix(0)], ["trip,leg,0,north,-122,m"], "column latitude"),
        (["p,r,1"], [truth(0)], "fewer cells"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, fixes: list[str], truths: list[str], what: str
) -> None:
    with pytest.raises(TrackError, match=what):
        read_phones(*files(tmp_path, fixes, truths))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    fixes, reference = files(tmp_path, [fix(0)], [truth(0)])
    reference.write_text("trip,ts,longitude\n")
    with pytest.raises(TrackError, match="no leg and no latitude"):
        read_phones(fixes, reference)


def test_the_recorded_phones(data_dir: Path) -> None:
    folder = data_dir / "sf_phones"
    name = "car_scooter_brex_san_jose.csv.gz"
    found = read_phones(folder / f"fixes_{name}", folder / f"reference_{name}")
    assert len(found) == 146
    assert {phone_of(one) for one in found} == {
        "ucb-sdb-android-2", "ucb-sdb-android-3", "ucb-sdb-ios-2", "ucb-sdb-ios-3",
    }  # fmt: skip
