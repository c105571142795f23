"""``cordon evidence grant`` and what goes with it, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from devices.instants import to_iso
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, WINDOW, fill

Run = Callable[..., Result]
OF_HIM = ("--case", CASE, "--subject", "he-1")
WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))


@pytest.fixture
async def filled(database: Database) -> str:
    store = Store(database.dsn)
    await store.migrate()
    await fill(database.dsn, store)
    await store.close()
    return database.dsn


@pytest.fixture
def run(filled: str) -> Run:
    def call(*arguments: str) -> Result:
        command = ["evidence", *arguments]
        return CliRunner().invoke(cordon, command, env={"CORDON_DATABASE_URL": filled})

    return call


def test_granting_reading_and_revoking(run: Run) -> None:
    read = ("read", *OF_HIM, "--purpose", "investigation", "--kind", "fix", *WITHIN, "--by", "ana")
    refused = run(*read)
    assert refused.exit_code == 1
    assert "no grant is in force" in str(refused.exception)
    given = run(
        *("grant", "--to", "ana", "--role", "investigator", *OF_HIM, "--by", "chief"),
        *("--purpose", "investigation", "--for", "8h", "--reason", "file 1"),
    )
    assert given.exit_code == 0, given.output
    grant_id = given.output.split()[0]
    lines = [json.loads(line) for line in run(*read).output.splitlines()]
    assert [(line["kind"], line["record"]["seq"]) for line in lines] == [("fix", 1), ("fix", 2)]
    assert "in force" in run("grants").output
    assert run("revoke", grant_id, "--reason", "moved").exit_code == 0
    assert run(*read).exit_code == 1
    assert json.loads(run("grants", "--json").output)[0]["revoked_us"] is not None
    assert run("revoke", grant_id, "--reason", "moved").exit_code == 1


def test_breaking_the_glass_and_reviewing_it(run: Run) -> None:
    broken = run("break-glass", *OF_HIM, "--reason", "she does not answer", "--by", "ana")
    assert broken.exit_code == 0, broken.output
    glass_id = broken.output.split()[0]
    done = run(
        *("read", *OF_HIM, "--purpose", "emergency", "--kind", "fix", *WITHIN, "--by", "ana")
    )
    assert len(done.output.splitlines()) == 2
    assert "ana read of he-1" in run("review").output
    verdict = ("review", glass_id, "--justified", "--note", "call 77")
    assert "nobody reviews" in str(run(*verdict, "--by", "ana").exception)
    assert run("review", glass_id).exit_code == 1
    assert run(*verdict, "--by", "chief").exit_code == 0
    assert run("review").output == ""


def test_what_cannot_be_understood_is_said(run: Run) -> None:
    wrong = (
        "read",
        *OF_HIM,
        "--purpose",
        "investigation",
        "--kind",
        "fix",
        "--from",
        "noon",
        "--to",
    )
    assert "not an instant" in run(*wrong, "noon").output
    given = ("grant", "--to", "ana", "--role", "investigator", *OF_HIM, "--reason", "r")
    assert "write 8h or 30d" in str(
        run(*given, "--purpose", "investigation", "--for", "ever").exception
    )
