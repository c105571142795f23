"""The benchmark of the log: that it runs and says what it claims to; its figures are not judged."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from benchmarks.commands import bench


def test_storing_sealing_reading_and_replaying_are_measured() -> None:
    result = CliRunner().invoke(bench, ["evidence", "--rows", "20000", "--batch", "2000", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["server"].startswith("PostgreSQL")
    assert (report["rows"], report["devices"]) == (2 * 8_640, 2)
    assert report["seal_us_per_row"] * report["seal_rows_per_s"] == pytest.approx(1e6)
    for name in (
        "rows_per_s",
        "verify_rows_per_s",
        "replay_fixes_per_s",
        "device_day_ms",
        "erase_hour_s",
    ):
        assert report[name] > 0
    assert report["replay_equal"].endswith(" 0 different")
    assert report["replay_equal"][0] != "0"
