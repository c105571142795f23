"""``cordon evidence grant`` and what goes with it, on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.errors import CordonError
from devices.instants import to_iso
from tests.conftest import Database
from tests.evidence.access_world import CASE, WINDOW, Login, login, set_up
from tests.evidence.granting import grant

Run = Callable[..., Result]
OF_HIM = ("--case", CASE, "--subject", "he-1")
OF_NOBODY = ("--reason", "r", "--by", "somebody else")
WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))
READ = (*OF_HIM, "--purpose", "investigation", "--kind", "fix", *WITHIN)


@pytest.fixture
async def filled(database: Database) -> str:
    await set_up(database.dsn)
    return database.dsn


@pytest.fixture
def run(filled: str) -> Run:
    def call(*arguments: str, dsn: str = filled, **settings: str) -> Result:
        environment = {"CORDON_DATABASE_URL": dsn, **settings}
        return CliRunner().invoke(cordon, ["evidence", *arguments], env=environment)

    return call


def test_granting_reading_and_revoking(run: Run) -> None:
    read = ("read", *READ, "--by", "ana")
    refused = run(*read)
    assert refused.exit_code == 1
    assert "no grant is in force" in str(refused.exception)
    assert f"evidence grant --to ana --role investigator {' '.join(OF_HIM)} --purpose" in str(
        refused.exception
    )
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


async def test_each_login_can_do_what_is_written_of_it_and_is_told_what_it_cannot(
    filled: str, run: Run
) -> None:
    async with login(filled, "cordon_owner") as chief, login(filled, "cordon_investigator") as ana:
        owner, reader = await chief.own_dsn(), await ana.own_dsn()
        await asyncio.to_thread(_as_owner, run, owner, chief, ana)
        await asyncio.to_thread(_as_investigator, run, owner, reader, ana)


def _as_owner(run: Run, owner: str, chief: Login, ana: Login) -> None:
    def done(*arguments: str) -> str:
        return succeeded(run(*arguments, dsn=owner))

    def refused(*arguments: str, **settings: str) -> str:
        return refusal(run(*arguments, dsn=owner, **settings))

    given = ("--role", "investigator", *OF_HIM, "--purpose", "investigation", "--for", "8h")
    done("grant", "--to", ana.name, *given, "--reason", "file 1")
    grant_id = done("grant", "--to", "another", *given, "--reason", "file 2").split()[0]
    assert {one["granted_by"] for one in json.loads(done("grants", "--json"))} == {chief.name}
    assert done("revoke", grant_id, "--reason", "moved") == "Revoked.\n"
    assert "only who is in cordon_operator" in refused("revoke", grant_id, *OF_NOBODY)
    hold_id = done("hold", "--case", CASE, *WITHIN, "--reason", "appeal").split()[0]
    assert f"he-1, she-1 from {WITHIN[1]}" in done("holds")
    assert "only who is in cordon_operator" in refused("release", hold_id, *OF_NOBODY)
    assert done("release", hold_id, "--reason", "over") == "Released.\n"
    whole = ("--subject", "he-1", *WITHIN, "--reason", "acquitted", "--asked-by", "court")
    days = {"CORDON_EVIDENCE_RETAIN_POSITIONS_DAYS": "1"}
    for owners in (("erase", *whole), ("retain",), ("read", *READ)):
        assert "permission denied" in refused(*owners, **days), owners


def _as_investigator(run: Run, owner: str, reader: str, ana: Login) -> None:
    def done(*arguments: str) -> str:
        return succeeded(run(*arguments, dsn=reader))

    assert len(done("read", *READ).splitlines()) == 2
    assert [one["grantee"] for one in json.loads(done("grants", "--json"))] == [ana.name]
    glass_id = done("break-glass", *OF_HIM, "--reason", "she does not answer").split()[0]
    given = ("--role", "investigator", *OF_HIM, "--purpose", "investigation", "--for", "8h")
    for others in (
        ("grant", "--to", "another", *given, "--reason", "r"),
        ("hold", "--case", CASE, *WITHIN, "--reason", "appeal"),
        ("holds",),
        ("review",),
    ):
        assert "ermission denied" in refusal(run(*others, dsn=reader))
    verdict = ("review", glass_id, "--justified", "--note", "call 77")
    assert f"{ana.name} read of he-1" in succeeded(run("review", dsn=owner))
    assert succeeded(run(*verdict, dsn=owner)) == "Reviewed.\n"


async def test_the_services_login_asks_of_many_people(
    filled: str, run: Run, tmp_path: Path
) -> None:
    who = ("--actor", "DC Roe", "--purpose", "investigation", "--case", "26/1")
    grant(filled, "DC Roe", "26/1", "*", "he-1", "she-1")
    near = ("--lat", "51.5", "--lon", "0", "--within", "100", "--at", to_iso(WINDOW[0]))
    async with login(filled, "cordon_writer", "cordon_sealer") as service:
        dsn = await service.own_dsn()
        found = await asyncio.to_thread(run, "timeline", "--order", CASE, *WITHIN, *who, dsn=dsn)
        assert found.exit_code == 0, found.exception
        found = await asyncio.to_thread(run, "near", *near, *who, dsn=dsn)
        assert found.exit_code == 0, found.exception
        words = ["replay", *who, "--subject", "*", *WITHIN]
        environment = {"CORDON_DATABASE_URL": dsn}
        replayed = await asyncio.to_thread(CliRunner().invoke, cordon, words, env=environment)
        assert "no state of the service" in refusal(replayed)
        everything = ("hand-over", str(tmp_path / "out"), *who[:4], "--recipient", "r")
        refused = await asyncio.to_thread(run, *everything, dsn=dsn)
        assert "ermission denied" in refusal(refused)


def succeeded(ended: Result) -> str:
    assert ended.exit_code == 0, ended.exception
    return ended.output


def refusal(ended: Result) -> str:
    assert isinstance(ended.exception, CordonError), ended.exc_info
    return str(ended.exception)


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
