"""The benchmark of the log: that it runs and says what it claims to; its figures are not judged."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from benchmarks.commands import bench


def test_sealing_and_verifying_are_measured() -> None:
    result = CliRunner().invoke(bench, ["evidence", "--rows", "2000", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["rows"] == 2000
    assert report["seal_us_per_row"] * report["rows_per_s"] == pytest.approx(1e6)
    assert report["verify_rows_per_s"] > 0


def test_a_person_reads_a_table() -> None:
    result = CliRunner().invoke(bench, ["evidence", "--rows", "1000"])
    assert [line.split()[0] for line in result.output.splitlines()[1:]] == [
        "us_per_row",
        "seal",
        "verify",
        "pymerkle",
    ]
