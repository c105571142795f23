"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [
    "alerts",
    "benchmarks",
    "console",
    "cordon",
    "devices",
    "evidence",
    "geofence",
    "ingest",
    "simulators",
    "tests",
]
FILE_LINES = 400
FUNCTION_LINES = 70
_READS_THE_TIME = re.compile(
    r"\b(time\.time(_ns)?\(|datetime\.(now|utcnow|today)\(|date\.today\(|time\.gmtime\()"
)
_CLOCK = Path("cordon/clock.py")
_CATCH_ALL = {"utils", "util", "helpers", "common", "misc"}


def sources(*endings: str) -> list[Path]:
    """All source files of the rooms, relative to the root."""
    return [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in endings and "vendor" not in path.parts
    ]


@pytest.mark.parametrize("path", sources(".py", ".js", ".css", ".sql"), ids=str)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", sources(".py"), ids=str)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize(
    "path", [p for p in sources(".py") if p.parts[0] != "tests" and p != _CLOCK], ids=str
)
def test_only_the_clock_reads_the_time(path: Path) -> None:
    found = _READS_THE_TIME.search((ROOT / path).read_text())
    assert found is None, "take a Clock instead"


def test_no_module_is_a_drawer_for_everything() -> None:
    assert not [path for path in sources(".py", ".js") if path.stem in _CATCH_ALL]


def test_nothing_names_a_registry_or_a_machine() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    # In pieces, so that this file does not match itself.
    named = re.compile(
        "py" + r"pi\.org|files\.python" + r"hosted|npm" + r"js\.(org|com)|/wo" + "rk/"
    )
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".ico"}:
            found = named.search(path.read_text(errors="replace"))
            assert found is None, name
