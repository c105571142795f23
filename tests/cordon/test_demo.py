"""``cordon demo`` and its neighbours, run as a person runs them: as programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cordon.demo import for_a_demo
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.settings import Settings

LIMIT_S = 150
pytestmark = pytest.mark.timeout(300)

WALKS = """\
id,time,lat,lon,confidence_50pct_m
{rows}
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    # Under root the database's folder may lie outside the test's own.
    for folder in (tmp_path / "state").glob("demo*/postgres"):
        shutil.rmtree(EmbeddedPostgres(folder).directory, ignore_errors=True)


def cordon(state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cordon.cli", "--state", str(state), *arguments]


def walks(tmp_path: Path, seconds: int = 12) -> Path:
    """Two people: one stands, one walks up to her from 400 m and away again, 50 m a second."""
    rows = []
    for second in range(seconds):
        away_m = abs(400 - 2 * 400 * second / seconds)
        for name, north_m in (("a", away_m), ("b", 0.0)):
            lat = 54.0 + north_m / 111_300
            rows.append(f"{name},2026-01-01T00:00:{second:02d}Z,{lat:.7f},4.0,5.0")
    file = tmp_path / "walks.csv"
    file.write_text(WALKS.format(rows="\n".join(rows)))
    return file


def children_of(state: Path) -> list[int]:
    """Processes that work in this state directory, by their command lines."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(state).encode() in line:
                found.append(int(entry.name))
    return found


def test_a_headless_run_loses_nothing_and_says_so(state: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        cordon(
            state,
            "demo",
            "--headless",
            "--json",
            "--speed",
            "1",
            "--for",
            "25",
            "--tracks",
            str(walks(tmp_path)),
        ),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["lost"] == 0
    assert result["published"] == result["acknowledged"] == 24
    assert result["journaled"] == result["stored"] == 24
    assert result["alerts"] == 1
    assert result["latency_ms"]["p50"] > 0
    assert "Starting the broker" in done.stderr
    assert not children_of(state)


def test_servers_killed_in_the_middle_come_back_and_nothing_is_lost(
    state: Path, tmp_path: Path
) -> None:
    arguments = cordon(
        state,
        "demo",
        "--headless",
        "--json",
        "--speed",
        "1",
        "--tracks",
        str(walks(tmp_path, seconds=30)),
        "--for",
        "40",
    )
    demo = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    said = ""
    for line in demo.stderr:
        said += line
        if "Running for" in line:
            break
    servers = servers_of(demo.pid)
    assert len(servers) == 2, said
    for pid, _program in servers:
        os.kill(pid, signal.SIGKILL)
    out, err = demo.communicate(timeout=LIMIT_S)
    assert demo.returncode == 0, err
    result = json.loads(out)
    assert result["lost"] == 0
    assert result["published"] == result["stored"] == 60
    assert err.count("embedded_server_started_again") == 2


def servers_of(parent: int) -> list[tuple[int, str]]:
    """Broker and database that this process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
        except (OSError, IndexError):
            continue
        if ppid == parent and program.endswith(("nats-server", "postgres")):
            found.append((int(entry.name), program))
    return found


class Demo:
    """A demo that runs until it is told to stop."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            cordon(state, "demo", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def wait_until_up(self) -> str:
        """Wait for the console's address, and return it."""
        line = self.wait_for("Console")
        found = re.search(r"Console\s+(http://127\.0\.0\.1:\d+/enter\?token=\S+)", line)
        assert found, line
        return found[1]

    def wait_for(self, words: str) -> str:
        """Wait for a line with these words, and return it."""
        assert self.process.stderr is not None
        deadline = time.monotonic() + LIMIT_S
        for line in self.process.stderr:
            self.said += line
            if words in line:
                return line
            assert time.monotonic() < deadline, self.said
        raise AssertionError(f"the demo ended early: {self.said}")

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode


def test_ctrl_c_stops_everything_and_a_second_start_finds_its_data(state: Path) -> None:
    first = Demo(state)
    first.wait_until_up()
    assert first.end(signal.SIGINT) == 0
    assert not children_of(state)
    ports = json.loads((state / "demo" / "broker" / "broker.json").read_text())

    second = Demo(state)
    second.wait_until_up()
    # Killed without a chance to tidy up: the kernel ends what it had started.
    second.end(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while children_of(state):
        assert time.monotonic() < deadline, "something outlived the killed demo"
        time.sleep(0.05)

    third = Demo(state)
    third.wait_until_up()
    assert json.loads((state / "demo" / "broker" / "broker.json").read_text()) == ports
    assert third.end(signal.SIGTERM) == 0


def test_two_demos_do_not_share_a_directory(state: Path) -> None:
    first = Demo(state)
    first.wait_until_up()
    second = subprocess.run(
        cordon(state, "demo", "--headless", "--for", "1"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert second.returncode == 1
    assert f"process {first.process.pid}" in second.stderr
    assert "--state" in second.stderr
    caseload = subprocess.run(
        cordon(state / "demo", "caseload", "show"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    shown: dict[str, Any] = json.loads(caseload.stdout)
    assert "tag-guest" in {device["id"] for device in shown["devices"]}
    first.end(signal.SIGINT)


def test_recorded_tracks_are_kept_apart_and_guest_is_invited_to_where_they_are(
    state: Path, tmp_path: Path
) -> None:
    demo = Demo(state, "--tracks", str(walks(tmp_path)))
    demo.wait_until_up()
    invitation = demo.wait_for("mosquitto_pub")
    assert '\\"lat\\": 54.001, \\"lon\\": 4.0,' in invitation
    (folder,) = state.glob("demo-walks-*")
    assert not (state / "demo").exists()
    shown = subprocess.run(
        cordon(folder, "caseload", "show"), capture_output=True, text=True, check=True
    )
    devices = {device["id"] for device in json.loads(shown.stdout)["devices"]}
    assert devices == {"tag-a", "phone-b", "tag-guest"}
    demo.end(signal.SIGINT)


def test_each_play_has_a_folder_of_its_own(tmp_path: Path) -> None:
    def folder(state: str, *tracks: str) -> Path:
        settings = for_a_demo(Settings(state_directory=state), [tmp_path / name for name in tracks])
        return Path(settings.state_directory)

    assert folder("s") == folder("s/demo") == Path("s/demo")
    assert folder("s", "a.csv") == folder("s/demo", "a.csv") == folder("s", "a.csv")
    others = {
        folder("s"),
        folder("s", "a.csv"),
        folder("s", "b.csv"),
        folder("s", "a.csv", "b.csv"),
    }
    assert len(others) == 4
    assert len(folder("s", f"{'a' * 300}.csv").name) < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["caseload", "show"], "Start the service first"),
        (["--settings", "/nowhere.toml", "config"], "/nowhere.toml cannot be read"),
        (["simulate", "tracks", "README.md"], "README.md"),
        (["simulate", "town", "--port", "1", "--for", "5"], "no MQTT broker answers"),
    ],
)
def test_errors_are_for_people(state: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        cordon(state, *arguments),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches(state: Path) -> None:
    for command in ([], ["demo"], ["caseload"], ["simulate", "tracks"], ["config"]):
        done = subprocess.run(
            cordon(state, *command, "--help"), capture_output=True, text=True, check=True
        )
        assert len(done.stdout.splitlines()) > 5
