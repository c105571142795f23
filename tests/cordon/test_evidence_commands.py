"""The commands, and witnesses as other organisations run them: processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.embedded.ports import free_port
from devices.instants import to_iso
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.granting import grant
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import store_some

CUSTODY = (
    *(
        "--actor",
        "Sgt Kim",
        "--case",
        "26/118",
        "--purpose",
        "disclosure",
        "--note",
        "trial 26/118",
    ),
    *("--recipient", "Crown Court"),
)

pytestmark = pytest.mark.timeout(180)


class WitnessProcess:
    """``cordon witness`` that can be killed and started again."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.command = [
            sys.executable,
            "-m",
            "cordon.cli",
            "witness",
            "--name",
            name,
            "--port",
            str(port),
        ]
        self.command += ["--directory", str(folder / name)]
        self.folder = folder
        keys = subprocess.run(self.command, capture_output=True, text=True, check=True, cwd=folder)
        self.setting = {"url": f"http://127.0.0.1:{port}", "keys": keys.stdout.split()}
        self.process: subprocess.Popen[str] | None = None

    def start(self, logs: Path) -> None:
        self.process = subprocess.Popen(
            [*self.command, "--logs", str(logs)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
        )
        assert self.process.stdout is not None
        while "Listening" not in self.process.stdout.readline():
            assert self.process.poll() is None

    def stop(self, *, kill: bool) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        if kill:
            process.kill()
        else:
            process.terminate()
        code = process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        return code


@pytest.fixture
def witnesses(tmp_path: Path) -> Iterator[list[WitnessProcess]]:
    found = [WitnessProcess(tmp_path, f"w{number}.test", free_port()) for number in range(3)]
    yield found
    for witness in found:
        if witness.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                witness.stop(kill=True)


def invoke(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cordon, arguments, env=environment)


def approved(environment: dict[str, str], *asked: str) -> str:
    """Ask for a pack, have somebody else approve it; the id of the request."""
    made = invoke(environment, "evidence", "request", *asked)
    assert made.exit_code == 0, made.output
    request = made.stdout.strip()
    own = invoke(environment, "evidence", "approve", request, "--by", "Sgt Kim")
    assert "Nobody decides about their own request" in str(own.exception)
    waits = invoke(environment, "evidence", "requests")
    assert f"{request}  waits" in waits.stdout
    done = invoke(environment, "evidence", "approve", request, "--by", "Insp Okafor", "--note", "n")
    assert f"{request}  approved" in done.stdout
    [one] = json.loads(invoke(environment, "evidence", "requests", "--json").stdout)
    assert (one["recipient"], one["decided_by"]) == ("Crown Court", "Insp Okafor")
    other = invoke(environment, "evidence", "request", *asked)
    no = ("evidence", "approve", other.stdout.strip(), "--by", "Insp Okafor", "--refuse")
    assert "refused" in invoke(environment, *no, "--note", "no order").stdout
    refused = invoke(
        environment, "evidence", "export", "--request", other.stdout.strip(), "nowhere"
    )
    assert "Insp Okafor refused this request: no order" in str(refused.exception)
    both = invoke(
        environment, "evidence", "export", "--request", request, "--case", "o1", "nowhere"
    )
    assert "name it alone" in str(both.exception)
    return request


def check_export(
    environment: dict[str, str], tmp_path: Path, witnesses: list[WitnessProcess]
) -> None:
    """What a second person approved is made, proven, and made once."""
    keys = tmp_path / "keys"
    keys.write_text(
        "\n".join([*(tmp_path / "logs").read_text().split(), *witnesses[1].setting["keys"]])
    )
    out = str(tmp_path / "out")
    window = ("--from", to_iso(NOW_US), "--to", to_iso(NOW_US + 60_000_000))
    alone = invoke(environment, "evidence", "export", "--device", "tag-1", *window, *CUSTODY, out)
    assert "after a second person has approved it" in str(alone.exception)
    request = approved(environment, "--device", "tag-1", *window, *CUSTODY)
    refused = invoke(environment, "evidence", "export", "--request", request, out + "-early")
    assert "no grant is in force" in str(refused.exception)
    dsn = environment["CORDON_DATABASE_URL"]
    grant(dsn, "Sgt Kim", "26/118", "device:tag-1", purpose="disclosure")  # it is not used up
    early = invoke(environment, "evidence", "export", "--request", request, out + "-early")
    assert "not sealed, or not witnessed yet" in str(early.exception)
    assert invoke(environment, "evidence", "seal", "--once").exit_code == 0
    done = invoke(environment, "evidence", "export", "--request", request, out)
    assert done.exit_code == 0, done.output
    assert "holds 22 records and the places of 0 withheld ones" in done.stdout
    trusting = ("--keys", str(keys), "--json")
    assert invoke(environment, "evidence", "verify", out, *trusting).exit_code == 3
    keys.write_text(keys.read_text() + "\n" + "\n".join(witnesses[2].setting["keys"]))
    assert invoke(environment, "evidence", "verify", out, *trusting).exit_code == 0
    again = invoke(environment, "evidence", "export", "--request", request, out)
    assert "good for one pack" in str(again.exception)
    environment = environment | {"CORDON_EVIDENCE_SECOND_PERSON": "false"}
    again = invoke(environment, "evidence", "export", "--device", "tag-1", *window, *CUSTODY, out)
    assert "is not empty" in str(again.exception)
    by_one = invoke(
        environment, "evidence", "export", "--device", "tag-1", *window, *CUSTODY, out + "-2"
    )
    assert "No second person approved this pack" in by_one.stderr
    told = invoke(environment, "evidence", "verify", out, "--keys", str(keys))
    assert told.exit_code == 0


def checked(environment: dict[str, str]) -> tuple[int, Any]:
    result = invoke(environment, "evidence", "check", "--json")
    return result.exit_code, json.loads(result.stdout)


def test_sealed_witnessed_killed_and_checked(
    database: Database, tmp_path: Path, witnesses: list[WitnessProcess]
) -> None:
    async def store(number: int) -> None:
        store = Store(database.dsn)
        await store.migrate()
        await store_some(store, number)
        await store.close()

    environment = {
        "CORDON_DATABASE_URL": database.dsn,
        "CORDON_STATE_DIRECTORY": str(tmp_path / "state"),
        "CORDON_EVIDENCE_ORIGIN": "cordon.test/log",
        "CORDON_LOGS_LEVEL": "error",
    }

    asyncio.run(store(1))
    assert invoke(environment, "evidence", "seal", "--once").exit_code == 0
    logs = tmp_path / "logs"
    logs.write_text(invoke(environment, "evidence", "key").stdout)
    for witness in witnesses:
        witness.start(logs)
    environment["CORDON_EVIDENCE_WITNESSES"] = json.dumps([w.setting for w in witnesses])

    sealed = invoke(environment, "evidence", "seal", "--once")
    assert "witnessed up to 2" in sealed.stdout
    witnesses[0].stop(kill=True)
    asyncio.run(store(2))
    sealed = invoke(environment, "evidence", "seal", "--once")
    assert "witnessed up to 3" in sealed.stdout  # two of three are enough
    witnesses[0].start(logs)  # it remembers size 2, and is shown the way from there
    sealed = invoke(environment, "evidence", "seal", "--once")
    assert "witnessed up to 4" in sealed.stdout
    code, found = checked(environment)
    assert (code, found["findings"], found["batches"]) == (0, [], 4)

    check_export(environment, tmp_path, witnesses)
    with psycopg.connect(database.dsn) as connection:
        connection.execute("UPDATE evidence.fix SET lat_e7 = lat_e7 + 1 WHERE device = 'tag-1'")
    code, found = checked(environment)
    assert code == 1
    assert "not those that were sealed" in found["findings"][0]
    assert [witness.stop(kill=False) for witness in witnesses] == [0, 0, 0]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    environment = {"CORDON_STATE_DIRECTORY": str(tmp_path), "CORDON_DATABASE_URL": "host=/nowhere"}
    witness = '[{"url": "http://w.test", "keys": ["nonsense"]}]'
    for extra, said in [
        ({"CORDON_EVIDENCE_WITNESSES": witness}, "is none"),
        ({}, "cannot be reached"),
    ]:
        result = invoke(environment | extra, "evidence", "check")
        assert said in str(result.exception), result.output
    assert os.environ.get("CORDON_EVIDENCE_WITNESSES") is None
