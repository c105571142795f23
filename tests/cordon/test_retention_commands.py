"""``cordon evidence hold|erase|retain``, on a real database with a log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from devices.instants import to_iso
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, SINCE_US, WINDOW, fill
from tests.evidence.samples import NOW_US, batch_of
from tests.evidence.sealing_world import seal_all, sealer_of

Run = Callable[..., Result]
WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))


@pytest.fixture
async def filled(database: Database, tmp_path: Path) -> str:
    store = Store(database.dsn)
    await store.migrate()
    await fill(database.dsn, store)
    await store.close()
    await seal_all(sealer_of(database.dsn, tmp_path), database.dsn)
    return database.dsn


@pytest.fixture
def run(filled: str) -> Run:
    def call(*arguments: str, **settings: str) -> Result:
        environment = {"CORDON_DATABASE_URL": filled, **settings}
        return CliRunner().invoke(cordon, ["evidence", *arguments], env=environment)

    return call


async def report_once_more(dsn: str) -> None:
    """A fix that nobody seals."""
    store = Store(dsn)
    await store.write_journal([(5, batch_of(5, [("tag-1", 5, NOW_US + 5)]))])
    await store.close()


def test_holding_erasing_and_releasing(run: Run, filled: str) -> None:
    held = run("hold", "--case", CASE, *WITHIN, "--reason", "appeal", "--by", "court")
    assert held.exit_code == 0, held.output
    hold_id = held.output.split()[0]
    assert "order-1: he-1, she-1" in run("holds").output
    assert json.loads(run("holds", "--json").output)[0]["people"] == ["he-1", "she-1"]
    erase = ("erase", "--subject", "he-1", *WITHIN, "--reason", "acquitted", "--by", "chief")
    refused = run(*erase, "--asked-by", "court")
    assert "under hold" in str(refused.exception)
    assert run("release", hold_id, "--reason", "over").exit_code == 0
    assert run("release", hold_id, "--reason", "over").exit_code == 1
    assert run("holds").output == ""
    assert "two people" in str(run(*erase, "--asked-by", "chief").exception)
    asyncio.run(report_once_more(filled))
    done = run(*erase, "--asked-by", "court")
    assert "erased: 2 of fix, 3 of message; 2 keys destroyed" in done.output, done.output
    assert "2 rows of it are not sealed yet" in done.output
    assert "as stated: asked for by court, carried out by chief" in done.output
    assert done.exit_code == 1
    assert "Nothing of this is stored" in str(run(*erase, "--asked-by", "court").exception)
    wrong = run("hold", "--case", "no-such", *WITHIN, "--reason", "appeal")
    assert "so name people" in str(wrong.exception)


def test_retention_shows_first_and_then_does(run: Run) -> None:
    """The samples' present is some days from ours: whatever today is, SINCE_US is long ago."""
    assert "Nothing is older" in run("retain").output
    hold = ("hold", "--case", CASE, "--from", to_iso(SINCE_US), "--to", "2100-01-01T00:00:00Z")
    assert run(*hold, "--reason", "appeal").exit_code == 0
    days = {"CORDON_EVIDENCE_RETAIN_POSITIONS_DAYS": "100000"}
    assert "Nothing is older" in run("retain", "--dry-run", **days).output
