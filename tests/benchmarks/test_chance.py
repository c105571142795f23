"""Who follows whom by chance: the numbers that the page names are what the command prints."""

from __future__ import annotations

from pathlib import Path

import msgspec
from click.testing import CliRunner

from benchmarks.chance import ChanceReport
from cordon.cli import cordon
from cordon.errors import CordonError
from devices.instants import to_iso
from tests.alerts.builders import START_US

PAGE = Path(__file__).parents[2] / "docs" / "conduct.md"


def run(*arguments: str | Path) -> ChanceReport:
    words = ["bench", "conduct", *map(str, arguments), "--json"]
    result = CliRunner().invoke(cordon, words)
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout, type=ChanceReport)


def rows(name: str, late_min: int, count: int) -> list[str]:
    """So many minutes of a way to the north, 100 m a minute, begun so late."""
    return [
        f"{name},{to_iso(START_US + 60_000_000 * (minute + late_min))},{54 + minute / 1113:.7f},4.0"
        for minute in range(count)
    ]


def test_one_who_goes_the_same_way_behind_another_is_counted_and_not_the_one_ahead(
    tmp_path: Path,
) -> None:
    walks = tmp_path / "walks.csv"
    lines = [*rows("first", 0, 30), *rows("soon", 3, 30), *rows("late", 10, 30)]
    walks.write_text("\n".join(["id,time,lat,lon", *lines]))
    found = run("--file", walks)
    assert (found.tracks, found.pairs) == (3, 6)
    # soon behind first; late behind both; with the shorter lag only soon behind first.
    assert [(row.lag_min, row.pairs) for row in found.rows] == [(15, 3), (5, 1)]
    assert found.look_s > 0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "walks.csv"
    path.write_text("a,b\n1,2")
    result = CliRunner().invoke(cordon, ["bench", "conduct", "--file", str(path)])
    assert isinstance(result.exception, CordonError)
    assert "walks.csv" in str(result.exception)


def test_the_page_says_what_the_buses_show(data_dir: Path) -> None:
    found = run(
        *("--file", data_dir / "liverpool_buses" / "route14_outbound.csv"),
        *("--columns", "id=vehicle_id,time=timestamp,lat=latitude,lon=longitude"),
        *("--time-zone", "Europe/London"),
    )
    usual, short = found.rows
    page = " ".join(PAGE.read_text().split())
    assert f"{usual.pairs} of {found.pairs} ordered pairs" in page
    assert f"with `follow_lag_min` at 5 only {short.pairs}" in page
