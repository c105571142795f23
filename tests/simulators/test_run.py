"""Whole runs: as a function, and as the process that the command line starts."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.commands import Notify
from devices.instants import to_iso
from simulators.run import (
    Broker,
    Progress,
    SimulationError,
    TownOptions,
    TracksOptions,
    run_town,
    run_tracks,
)
from tests.ingest.waiting import until
from tests.simulators.service import Listener, address, listening

NOWHERE = Broker(host="127.0.0.1", port=9)


def two_tracks(folder: Path, seconds: int = 40) -> str:
    rows = [
        f"{name},2026-01-01T00:00:{second:02d}Z,54.{second:02d},4.0,5"
        for second in range(seconds)
        for name in ("a", "b")
    ]
    path = folder / "tracks.csv"
    path.write_text("\n".join(["id,time,lat,lon,accuracy_m", *rows]))
    return str(path)


def keys(listener: Listener) -> set[tuple[str, str, int]]:
    return {
        (topic.split("/")[2], fix["time"], fix["seq"])
        for topic, payload in listener.messages
        if topic.endswith("/fix")
        for fix in (payload if isinstance(payload, list) else [payload])
    }


async def notice(listener: Listener, fix_times: dict[str, str]) -> None:
    """What the service would send when these fixes raise an alert, and when it is over."""
    now_us = wall_clock_us()
    for version, kind in enumerate(("raised", "returned"), start=1):
        command = Notify(
            id=f"n{version}",
            time=to_iso(now_us),
            expires=to_iso(now_us + 60_000_000),
            alert_id="alert-1",
            version=version,
            kind=kind,
            tier=2,
            level="alert",
            title="",
            text="",
            fix_times=fix_times,
        )
        await listener.send("phone-b", command)


async def test_tracks_are_played_to_the_end_and_scored(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    news: list[Progress] = []
    written = tmp_path / "published.csv"
    options = TracksOptions(files=(two_tracks(tmp_path),), speed=20, published_file=str(written))
    async with listening(broker) as listener:
        run = asyncio.create_task(
            run_tracks(
                options,
                broker=address(broker),
                clock=wall_clock_us,
                progress=news.append,
                stop=asyncio.Event(),
            )
        )
        await until(lambda: len(keys(listener)) >= 10, "fixes arrive")
        device, fix_time, _ = min(keys(listener))
        await notice(listener, {device: fix_time})
        report = await run
        await until(lambda: len(keys(listener)) == 80, "every fix arrives")
        assert keys(listener) == {
            (k.device, to_iso(k.time_us), k.seq) for k in report.published_keys
        }
    assert report.devices == 2
    assert report.published == report.acknowledged == 80
    assert (report.unacknowledged, report.unsent, report.given_up) == (0, 0, 0)
    assert (report.alerts_seen, report.returned_seen, report.notices) == (1, 1, 2)
    assert report.receipts == 4
    assert report.latency_ms.count == 1
    assert report.latency_ms.p50 is not None
    assert report.latency_ms.p50 > 0
    lines = written.read_text().splitlines()
    assert lines[0] == "device,time_us,seq,acknowledged"
    assert len(lines) == 81
    assert all(line.endswith(",1") for line in lines[1:])
    assert news[-1].published == 80


async def test_the_town_lives_until_it_is_stopped(broker: EmbeddedBroker) -> None:
    stop = asyncio.Event()
    news: list[Progress] = []

    def progress(line: Progress) -> None:
        news.append(line)
        if line.acknowledged >= 8:
            stop.set()

    report = await run_town(
        TownOptions(fix_interval_s=0.5),
        broker=address(broker),
        clock=wall_clock_us,
        progress=progress,
        stop=stop,
    )
    assert report.devices == 8
    assert report.published == report.acknowledged >= 8


async def run_nowhere(options: TracksOptions) -> None:
    await run_tracks(
        options, broker=NOWHERE, clock=wall_clock_us, progress=lambda _: None, stop=asyncio.Event()
    )


async def test_what_cannot_be_played_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.stage.CONNECT_WAIT_S", 0.3)
    tracks = two_tracks(tmp_path)
    with pytest.raises(SimulationError, match=r"no MQTT broker answers at 127\.0\.0\.1:9"):
        await run_nowhere(TracksOptions(files=(tracks,)))
    with pytest.raises(SimulationError, match="speed"):
        await run_nowhere(TracksOptions(files=(tracks,), speed=0))
    with pytest.raises(SimulationError, match=r"none\.gpx"):
        await run_nowhere(TracksOptions(files=("none.gpx",)))
    with pytest.raises(SimulationError, match="no track file"):
        await run_nowhere(TracksOptions(files=()))
    with pytest.raises(SimulationError, match="cannot be written"):
        await run_nowhere(TracksOptions(files=(tracks,), published_file=str(tmp_path)))
    monkeypatch.setattr("simulators.run.DEVICES_LIMIT", 1)
    with pytest.raises(SimulationError, match="more than the 1 devices"):
        await run_nowhere(TracksOptions(files=(tracks,)))


# --- as a process ---


def job(broker: Broker, options: dict[str, Any]) -> bytes:
    now = {"instant_us": wall_clock_us(), "monotonic_us": time.monotonic_ns() // 1_000}
    where = {"host": broker.host, "port": broker.port}
    return json.dumps({"options": options, "broker": where, "clock": now}).encode()


async def start(document: bytes) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    process.stdin.write(document)
    process.stdin.close()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_with_a_report(
    broker: EmbeddedBroker, number: signal.Signals
) -> None:
    async with listening(broker) as listener:
        process = await start(job(address(broker), {"scene": "town", "fix_interval_s": 0.5}))
        await until(lambda: len(keys(listener)) >= 10, "fixes arrive", 30)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 10)
        lines = [json.loads(line) for line in out.splitlines()]
        assert process.returncode == 0, err
        report = lines[-1]["report"]
        assert all("progress" in line for line in lines[:-1])
        assert report["published"] == report["acknowledged"] >= 10
        assert "published_keys" not in report
        seen = keys(listener)
        drift_s = [abs(int(k[2]) - wall_clock_us()) / 1e6 for k in seen]
        assert max(drift_s) < 60, "sequence numbers begin at the instant the process was given"


async def test_when_the_process_is_killed_the_last_wills_are_spoken(broker: EmbeddedBroker) -> None:
    def online(listener: Listener) -> list[bool]:
        return [status["online"] for status in listener.reports("status")]

    async with listening(broker) as listener:
        process = await start(job(address(broker), {"scene": "town"}))
        await until(lambda: online(listener) == [True] * 8, "all are there", 30)
        process.kill()
        await process.communicate()
        await until(lambda: online(listener)[8:] == [False] * 8, "all wills are spoken")


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        (b"", 2, "no job"),
        (b'{"options": {"scene": "circus"}}', 2, "circus"),
        (job(NOWHERE, {"scene": "tracks", "files": ["none.gpx"]}), 1, "none.gpx"),
    ],
)
async def test_the_process_says_what_is_wrong(document: bytes, status: int, message: str) -> None:
    process = await start(document)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == status
    assert message in json.loads(out)["error"]
