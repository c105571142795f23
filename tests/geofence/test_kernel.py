from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = "from geofence.distance import geodesic_m; print(geodesic_m(51.5, 0.0, 51.6, 0.1))"


def run(folder: Path, path: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=path,
    )
    return done.stdout


def copy_room(target: Path) -> Path:
    room = target / "geofence"
    room.mkdir(parents=True)
    for source in (ROOT / "geofence").glob("*.py"):
        (room / source.name).write_bytes(source.read_bytes())
    return room


def test_compiled_code_is_kept_and_shared(tmp_path: Path) -> None:
    copy_room(tmp_path / "a")
    first = run(tmp_path / "cache", tmp_path / "a")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nb?")}
    assert run(tmp_path / "cache", tmp_path / "a") == first
    assert kept
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nb?")}


def test_processes_that_begin_at_once_share_a_folder(tmp_path: Path) -> None:
    copy_room(tmp_path / "a")
    with ThreadPoolExecutor() as pool:
        printed = set(pool.map(lambda _: run(tmp_path / "cache", tmp_path / "a"), range(3)))
    assert len(printed) == 1
    kept = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()
    }
    assert {path.suffix for path in kept} == {".nbi", ".nbc"}
    assert {run(tmp_path / "cache", tmp_path / "a")} == printed
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_a_changed_room_never_runs_old_code(tmp_path: Path) -> None:
    room = copy_room(tmp_path / "a")
    before = run(tmp_path / "cache", tmp_path / "a")
    # The constant stands in another kernel than the one called, and could as well be in another
    # file; dates and sizes of files say nothing.
    source = room / "distance.py"
    stat = source.stat()
    source.write_text(source.read_text().replace("6_378_137.0", "6_478_137.0"))
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run(tmp_path / "cache", tmp_path / "a") != before
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    copy_room(tmp_path / "a")
    (tmp_path / "file").write_text("not a folder")
    assert run(tmp_path / "file", tmp_path / "a") == run(tmp_path / "cache", tmp_path / "a")
    assert not list((tmp_path / "a").rglob("*.nb?"))
