from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.errors import CordonError
from tests.benchmarks.walks import DEGREE_M, encounter_rows, row, write

SCORE = {
    "true",
    "found",
    "false",
    "reported",
    "alerts_per_encounter",
    "delay_p50_s",
    "delay_p95_s",
}


def run(*arguments: str | Path) -> Result:
    words: Sequence[str] = [str(argument) for argument in arguments]
    return CliRunner().invoke(cordon, words)


def test_bench_is_a_command_of_cordon_though_nothing_imports_it() -> None:
    assert "bench" in run("--help").stdout
    listed = run("bench", "--help").stdout
    assert "encounters" in listed
    assert "distance" in listed
    assert run("nothing-of-the-kind").exit_code == 2


def test_encounters_prints_one_object(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    result = run("bench", "encounters", "--file", path, "--radius", "100", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    report = msgspec.json.decode(result.stdout)
    assert report.keys() > SCORE | {"raw", "gated"}
    assert report["raw"].keys() == report["gated"].keys() == SCORE
    assert (report["true"], report["found"], report["false"]) == (1, 1, 0)


def test_encounters_prints_a_table(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    lines = run("bench", "encounters", "--file", path, "--geodesic").stdout.splitlines()
    assert "100 m, a fix every 1 s, geodesic" in lines[0]
    assert lines[1].split()[:2] == ["true", "found"]
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["engine", "1", "1"],
        ["raw", "1", "1"],
        ["gated", "1", "1"],
    ]


def test_a_file_with_one_recording_is_said_to_be_useless(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", [row("a", at_s, 0.0) for at_s in range(100)])
    result = run("bench", "encounters", "--file", path)
    assert isinstance(result.exception, CordonError)
    assert "nothing to score" in str(result.exception)


@pytest.mark.parametrize("name", ["encounters", "distance"])
def test_what_is_wrong_with_a_file_is_said_without_a_traceback(tmp_path: Path, name: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    result = run("bench", name, "--file", path)
    assert isinstance(result.exception, CordonError)
    assert "other.csv" in str(result.exception)


def test_distance_prints_one_object_or_a_table() -> None:
    report = msgspec.json.decode(run("bench", "distance", "--pairs", "100000", "--json").stdout)
    assert report.keys() >= {"max_error_m", "pairs", "ns_per_pair", "geod_ns_per_pair", "ratio"}
    assert (report["pairs"], report["file_pairs"]) == (100_000, 0)
    table = run("bench", "distance", "--pairs", "100000").stdout.splitlines()
    assert [line.split()[0] for line in table[2:]] == ["engine", "pyproj.Geod", "ratio"]


def test_encounters_draws_pages(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    result = run("bench", "encounters", "--file", path, "--plot", tmp_path / "pages")
    assert result.exit_code == 0, result.output
    (page,) = (tmp_path / "pages").iterdir()
    assert page.name == "01-ordinary-100m-1s.png"
    assert page.stat().st_size > 10_000
    assert "true encounters, by the highest" in result.stdout


def test_the_curve_is_one_object_or_a_table(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    curve = ("bench", "encounters", "--file", path, "--curve")
    report = msgspec.json.decode(run(*curve, "--json").stdout)
    assert report.keys() >= {"points", "shipped", "halves", "pairs"}
    table = run(*curve, "--plot", tmp_path / "pages").stdout.splitlines()
    assert table[0].startswith("1 pairs of 2 recordings, 100 m, a fix every 1 s, plane")
    assert table[2].split()[:4] == ["0.15", "1", "1", "0"]
    assert (tmp_path / "pages" / "curve-100m-1s.png").stat().st_size > 10_000


def test_placements_belong_to_the_curve(tmp_path: Path) -> None:
    path = write(tmp_path / "walks.csv", encounter_rows())
    assert run("bench", "encounters", "--file", path, "--placements", "5").exit_code == 2
    result = run("bench", "encounters", "--file", path, "--curve", "--placements", "5")
    assert isinstance(result.exception, CordonError)
    assert "two recordings" in str(result.exception)


def test_fit_prints_tables_and_draws(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("oxford_walks", "sf_phones"):
        (data / folder).mkdir(parents=True)
    off_m = np.random.default_rng(1).normal(0, 5, (2, 130))
    rows = [
        row(name, at_s, at_s, fix_m=at_s + off_m[i, at_s], confidence_m=5)
        for i, name in enumerate("ab")
        for at_s in range(90)
    ]
    write(data / "oxford_walks" / "fixes_truth_dev.csv", rows)
    fixes = [
        f"android-1,r,{s},{s},{37 + s * 1e-5 + off_m[0, s] / DEGREE_M:.7f},-122,9"
        for s in range(0, 130, 2)
    ]
    truth = [f"trip,leg,{s},{37 + s * 1e-5:.7f},-122" for s in range(130)]
    name = "car_scooter_brex_san_jose.csv.gz"
    for kind, header, lines in (
        ("fixes", "phone,range,ts,write_ts,lat,lon,acc", fixes),
        ("reference", "trip,leg,ts,latitude,longitude", truth),
    ):
        (data / "sf_phones" / f"{kind}_{name}").write_text("\n".join([header, *lines]))
    pictures = tmp_path / "pictures"
    result = run("bench", "fit", "--data", data, "--folds", "2", "--plot", pictures)
    assert result.exit_code == 0, result.output
    for part in ("push[0]", "walks, 15 s", "android phones", "truth within the radius of"):
        assert part in result.stdout
    assert {path.name for path in pictures.iterdir()} == {
        "receivers.png", "calibration.png", "parameters.png",
    }  # fmt: skip
    assert all(path.stat().st_size > 10_000 for path in pictures.iterdir())


def test_fit_says_which_file_is_missing(tmp_path: Path) -> None:
    result = run("bench", "fit", "--data", tmp_path)
    assert isinstance(result.exception, CordonError)
    assert "fixes_truth_dev.csv" in str(result.exception)


def test_alerts_prints_one_column_for_each_number_of_open_alerts() -> None:
    sizes = ("--open", "10", "--open", "60")
    report = msgspec.json.decode(run("bench", "alerts", *sizes, "--json").stdout)
    assert [row["open"] for row in report["rows"]] == [10, 60]
    assert all(row["asked"] > row["open"] for row in report["rows"])
    assert report["ratio"] > 0
    lines = run("bench", "alerts", *sizes).stdout.splitlines()
    assert lines[0].startswith("a new tier 1 takes")
    assert lines[1].split() == ["open", "10", "60"]
