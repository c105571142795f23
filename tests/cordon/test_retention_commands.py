"""``cordon evidence hold|erase|retain``, on a real database with a log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.clock import wall_clock_us
from devices.caseload import Caseload, Person
from devices.instants import to_iso
from devices.store import CaseloadStore
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, WINDOW, caseload, set_up
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import seal_all, sealer_of

Run = Callable[..., Result]
WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))


@pytest.fixture
async def filled(database: Database, tmp_path: Path) -> str:
    await set_up(database.dsn)
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


@pytest.fixture
async def aged(database: Database, tmp_path: Path) -> tuple[dict[str, str], int]:
    """A database with reports 20 days old, sealed by the command, and when they were received."""
    old_us = wall_clock_us() - 20 * DAY_US
    caseloads, store = CaseloadStore(database.dsn), Store(database.dsn)
    await caseloads.migrate()
    await caseloads.save(caseload())
    await caseloads.close()
    await store.migrate()
    rows = [("tag-1", 1, old_us), ("tag-2", 1, old_us)]
    await store.write_journal([(1, batch_of(1, rows, received_us=old_us))])
    await store.close()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("UPDATE caseload.assignment SET valid_from = '2000-01-01Z'")
    environment = {
        "CORDON_DATABASE_URL": database.dsn,
        "CORDON_STATE_DIRECTORY": str(tmp_path),
        "CORDON_LOGS_LEVEL": "error",
    }
    return environment, old_us


def test_retention_shows_first_and_then_does(aged: tuple[dict[str, str], int]) -> None:
    environment, old_us = aged

    def run(*arguments: str, **settings: str) -> str:
        result = CliRunner().invoke(cordon, ["evidence", *arguments], env=environment | settings)
        assert result.exit_code == 0, result.output
        return result.output

    days = {"CORDON_EVIDENCE_RETAIN_POSITIONS_DAYS": "1"}
    run("seal", "--once")
    assert "Nothing is older" in run("retain")
    window = ("--from", "2000-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z")
    hold_id = run("hold", "--case", CASE, *window, "--reason", "appeal").split()[0]
    line = f"{to_iso(old_us)[:10]}: 1 of fix, 1 of message; 3 stay under hold\n"
    assert run("retain", "--dry-run", **days) == line
    assert run("retain", "--dry-run", **days) == line, "nothing of it has gone"
    assert run("retain", **days).startswith(line)
    assert "nothing; 3 stay under hold" in run("retain", **days)
    run("release", hold_id, "--reason", "over")
    found = json.loads(run("retain", "--json", **days))
    assert [day["rows"] for day in found["days"]] == [{"batch": 1, "fix": 1, "message": 1}]
    assert len(found["dropped"]) >= 3, "the pieces of that day are empty"
    assert "Nothing is older" in run("retain", **days)
    run("seal", "--once")
    assert "are as they were sealed, 5 more were erased" in run("check")


async def put_in_force_again(dsn: str) -> None:
    """The first version of the caseload has been replaced for ten days."""
    caseloads = CaseloadStore(dsn)
    new = Person(id="she-9", role="protected", name="Ida")
    await caseloads.save(Caseload(people=(new,)))
    await caseloads.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE caseload.caseload_version SET loaded_at = now() - (12 - version) * interval '1 day'"
        )


def test_retention_of_the_caseload_shows_first_and_then_does(
    aged: tuple[dict[str, str], int],
) -> None:
    environment, _ = aged

    def run(*arguments: str, **settings: str) -> str:
        result = CliRunner().invoke(cordon, ["evidence", *arguments], env=environment | settings)
        assert result.exit_code == 0, result.output
        return result.output

    asyncio.run(put_in_force_again(environment["CORDON_DATABASE_URL"]))
    run("seal", "--once")
    days = {"CORDON_EVIDENCE_RETAIN_CASELOAD_DAYS": "5"}
    line = "1 versions of the caseload deleted; names of 1 people struck out of 1 that stay.\n"
    assert run("retain", "--dry-run", **days) == line
    assert json.loads(run("retain", "--dry-run", "--json", **days))["caseload"] == {
        "deleted": 1, "people": 1, "versions": 1,
    }  # fmt: skip
    assert run("retain", **days) == line
    assert "Nothing is older" in run("retain", **days)
    run("seal", "--once")
    assert "are as they were sealed" in run("check")
