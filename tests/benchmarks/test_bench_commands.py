from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.errors import CordonError
from tests.benchmarks.walks import encounter_rows, row, write

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
    assert [line.split()[:3] for line in lines[2:]] == [
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
