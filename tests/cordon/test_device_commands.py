"""``cordon device`` and ``cordon ca``, as given at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.errors import CordonError
from cordon.identity.sheet import Setup, sheet
from tests.conftest import Database

Give = Callable[..., Result]


@pytest.fixture
def given(database: Database, tmp_path: Path) -> Give:
    """Gives a command; errors meant for people are raised."""
    environment = {
        "CORDON_DATABASE_URL": database.dsn,
        "CORDON_STATE_DIRECTORY": str(tmp_path / "state"),
        "CORDON_BROKER_PUBLIC_ADDRESS": "broker.example:8883",
    }

    def give(*arguments: str) -> Result:
        found = CliRunner().invoke(cordon, arguments, env=environment)
        if isinstance(found.exception, CordonError):
            raise found.exception
        assert found.exit_code == 0, found.output
        return found

    return give


def test_a_password_is_shown_once_and_kept_nowhere(given: Give, database: Database) -> None:
    said = given("device", "provision", "tag-7", "--kind", "tag", "--by", "Kim").output
    assert "broker.example:8883" in said
    password = said.split("shown only now: ")[1].split()[0]
    assert len(password) == 32
    with psycopg.connect(database.dsn) as connection:
        [row] = connection.execute("select to_jsonb(c)::text from caseload.credential c").fetchall()
        kinds = connection.execute("select id, kind from caseload.device").fetchall()
    assert password not in row[0]
    assert kinds == [("tag-7", "tag")]
    listed = json.loads(given("device", "list", "--json").output)
    assert [(r["device"], r["state"], r["issued_by"]) for r in listed] == [
        ("tag-7", "valid", "Kim")
    ]


def test_all_that_have_none_are_given_one(given: Give) -> None:
    given("device", "provision", "tag-1", "phone-1", "--kind", "tag")
    given("device", "revoke", "tag-1", "--reason", "lost", "--by", "Kim")
    made = json.loads(given("device", "provision", "--all", "--json").output)
    assert list(made) == ["tag-1"]
    listed = json.loads(given("device", "list", "--json").output)
    assert [r["state"] for r in listed] == ["revoked", "valid", "valid"]
    assert listed[0]["reason"] == "lost"
    assert listed[0]["revoked_by"] == "Kim"


def test_a_new_password_takes_the_place_of_the_old_one_unless_that_is_kept(given: Give) -> None:
    for arguments in ([], [], ["--keep"]):
        given("device", "provision", "tag-1", *arguments)
    listed = json.loads(given("device", "list", "--json").output)
    assert [r["state"] for r in listed] == ["revoked", "valid", "valid"]


def test_a_sheet_and_certificates_are_written_for_their_owner_alone(
    given: Give, tmp_path: Path
) -> None:
    page, folder = tmp_path / "tag-1.html", tmp_path / "certificates"
    said = given("device", "provision", "tag-1", "--sheet", str(page)).output
    assert "shown only now" not in said
    text = page.read_text()
    assert "broker.example:8883" in text
    assert "<svg" in text
    assert page.stat().st_mode & 0o077 == 0
    given("device", "provision", "tag-2", "--certificate", str(folder))
    assert {file.name for file in folder.iterdir()} == {"tag-2.crt", "tag-2.key", "ca.crt"}
    assert (folder / "tag-2.key").stat().st_mode & 0o077 == 0
    assert "SHA-256" in given("ca", "show").output


def test_what_cannot_be_done_is_said(given: Give) -> None:
    for arguments, said in (
        (["provision", "a.b"], "cannot be the id"),
        (["provision", "service"], "broker's own"),
        (["provision"], "Name a device"),
        (["revoke", "tag-1", "--reason", "x"], "credential in force"),
        (["revoke", "tag-1", "--reason", " "], "Say why"),
        (["adopt", "tag-1"], "Say what it is"),
        (["adopt"], "history yet"),
    ):
        with pytest.raises(CordonError, match=said):
            given("device", *arguments)


def test_a_device_is_adopted(given: Give) -> None:
    said = given("device", "adopt", "ghost", "--kind", "handset").output
    assert "shown only now" in said
    assert "device: ghost" in said


def test_the_code_on_a_sheet_says_all_that_is_needed() -> None:
    setup = Setup("tag-<1>", "b:1", tls=True, ca_fingerprint=bytes(32), password="secret")
    assert json.loads(setup.scanned()) == {
        "v": 1,
        "broker": "b:1",
        "tls": True,
        "user": "tag-<1>",
        "password": "secret",
        "ca_sha256": "00" * 32,
    }
    assert "tag-<1>" not in sheet([setup])


def test_a_doctor_that_finds_no_broker_says_what_to_do(given: Give) -> None:
    with pytest.raises(CordonError, match="Start the service first"):
        given("doctor")
