"""Killed between any two steps, the sealer goes on with a log that continues all it ever signed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from evidence.audit import audit
from evidence.log.notes import parse_checkpoint
from evidence.store import Store
from evidence.witness_client import Witness
from tests.evidence.conftest import Probe
from tests.evidence.crashing_sealer import KILLED
from tests.evidence.sealing_world import ORIGIN, log_keys, sealer_of, store_some, witness_here

PROGRAM = "tests.evidence.crashing_sealer"
STEPS = [
    "opened",
    "batch written",
    "batch committed",
    "head proven",
    "head remembered",
    "head signed",
    "head kept",
    "witness signed",
    "cosignature kept",
]


def run(dsn: str, folder: Path, number: int, witness: Witness) -> subprocess.CompletedProcess[str]:
    keys = [key.text for key in witness.keys]
    return subprocess.run(
        [sys.executable, "-m", PROGRAM, dsn, str(folder), str(number), witness.url, *keys],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timeout(240)
async def test_killed_at_every_step(store: Store, probe: Probe, tmp_path: Path) -> None:
    with witness_here(tmp_path, "w1.test") as witness:
        for number, step in enumerate(STEPS, 1):
            await store_some(store, number)
            ended = run(probe.dsn, tmp_path, number, witness)
            assert ended.returncode == KILLED, ended.stderr
            assert f"killed at: {step}" in ended.stderr
        await store_some(store, len(STEPS) + 1)
        ended = run(probe.dsn, tmp_path, len(STEPS) + 1, witness)
        assert ended.returncode == 0, "there are more crash points than this test knows"
        sealer = sealer_of(probe.dsn, tmp_path, witness)
        await sealer.turn()
        note = witness.newest(ORIGIN)
        assert note is not None
        head = parse_checkpoint(note.text)
        assert head.size == sealer.progress.size == sealer.progress.cosigned_size
        async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
            found = await audit(connection, log_keys(), [("the witness", head)])
        assert found.findings == []
        assert (found.rows, found.waiting) == (25 * (len(STEPS) + 1), 0)
