"""``cordon device`` and ``cordon ca``, as given at a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from cordon.errors import CordonError
from cordon.identity.sheet import Setup, sheet
from cordon.settings import Settings
from cordon.simulate_commands import _broker as devices_at
from devices.credential_store import CredentialStore
from tests.conftest import Database

Give = Callable[..., Result]


@pytest.fixture
def given(database: Database, tmp_path: Path) -> Give:
    """Gives a command; errors meant for people are raised."""
    return giver(database, tmp_path)


def giver(database: Database, folder: Path) -> Give:
    environment = {
        "CORDON_DATABASE_URL": database.dsn,
        "CORDON_STATE_DIRECTORY": str(folder / "state"),
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


@pytest.mark.parametrize("algorithm", ["hmac", "ed25519"])
def test_a_key_to_sign_with_is_shown_once(
    given: Give, database: Database, tmp_path: Path, algorithm: str
) -> None:
    said = given("device", "provision", "tag-7", "--sign", algorithm).output
    assert "has to sign from now on" in said
    secret = bytes.fromhex(said.split("The key, shown only now: ")[1].split()[0])
    page = tmp_path / "tag-7.html"
    said = given(
        "device", "provision", "tag-7", "--sign", algorithm, "--sheet", str(page), "--key-only"
    ).output
    assert "shown only now" not in said
    assert "key number 1" in page.read_text()
    listed = given("device", "list", "--json").output
    assert [(r["credential"], r["state"]) for r in json.loads(listed)] == [
        ("password", "valid"),
        (f"{algorithm} 0", "revoked"),
        (f"{algorithm} 1", "valid"),
    ]
    assert secret.hex() not in listed
    with psycopg.connect(database.dsn) as connection:
        found = connection.execute("select key from caseload.signing_key").fetchall()
    # Whoever checks an HMAC must be able to make it; the private half of a pair is kept nowhere.
    assert (secret in {row[0] for row in found}) == (algorithm == "hmac")


def test_what_is_printed_is_what_simulated_devices_take(given: Give, tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    given("device", "provision", "phone-1")
    made = {
        **json.loads(given("device", "provision", "phone-1", "--json").output),
        **json.loads(given("device", "provision", "tag-1", "--sign", "ed25519", "--json").output),
    }
    file.write_text(json.dumps(made))
    broker = devices_at(Settings(), None, None, file, None, None)
    assert broker.passwords == {"phone-1": made["phone-1"], "tag-1": made["tag-1"]["password"]}
    assert broker.keys["tag-1"].secret.hex() == made["tag-1"]["key"]
    assert made["tag-1"]["key"] not in repr(broker) + repr(broker.keys)


def test_a_device_may_keep_the_key_it_made_itself(given: Give) -> None:
    public = bytes(range(32))
    for text in (public.hex(), base64.b64encode(public).decode().rstrip("=")):
        arguments = ["tag-1", "--sign", "ed25519", "--signing-key", text, "--json"]
        made = json.loads(given("device", "provision", *arguments).output)
        assert made["tag-1"]["key"] == ""
        assert made["tag-1"]["password"]


def test_signing_is_given_up_only_when_that_is_said(given: Give, database: Database) -> None:
    def must_sign() -> bool:
        async def ask() -> bool:
            async with CredentialStore(database.dsn).open() as found:
                return (await found.registry()).signs("tag-1").must_sign

        return asyncio.run(ask())

    given("device", "provision", "tag-1", "--sign", "hmac")
    given("device", "provision", "tag-1")
    assert must_sign()
    given("device", "revoke", "tag-1", "--reason", "lost")
    assert must_sign()
    said = given("device", "provision", "tag-1", "--sign", "none").output
    assert "need not sign" in said
    assert not must_sign()


def test_a_password_for_a_device_that_lacks_a_key_to_sign_with_comes_with_a_warning(
    given: Give,
) -> None:
    def lacking() -> list[bool]:
        return [row["lacks_key"] for row in json.loads(given("device", "list", "--json").output)]

    given("device", "provision", "tag-7", "--sign", "hmac")
    assert "has no key" not in given("device", "provision", "tag-7").stderr
    assert not any(lacking())
    given("device", "revoke", "tag-7", "--reason", "lost")
    for more in ([], ["--json"]):
        said = given("device", "provision", "tag-7", *more)
        assert "tag-7 has to sign and has no key" in said.stderr
        assert "--sign none" in said.stderr
    assert all(lacking())
    assert "tag-7" in next(
        line for line in given("device", "list").output.splitlines() if "no key" in line
    )
    for more in (["--key-only", "--sign", "hmac"], ["--sign", "none"]):
        assert given("device", "provision", "tag-7", *more).stderr == ""
        assert not any(lacking())


def test_every_change_of_keys_is_seen_by_who_follows(given: Give, database: Database) -> None:
    def version() -> int:
        with psycopg.connect(database.dsn) as connection:
            row = connection.execute("select version from caseload.credential_version").fetchone()
            assert row is not None
            return int(row[0])

    given("device", "provision", "tag-1")
    seen = [version()]
    for arguments in (
        ("provision", "tag-1", "--sign", "hmac", "--key-only"),
        ("revoke", "tag-1", "--key", "0", "--reason", "seen by somebody"),
    ):
        given("device", *arguments)
        seen.append(version())
    assert seen == sorted(set(seen))


def test_what_cannot_be_done_is_said(empty_database: Database, tmp_path: Path) -> None:
    given = giver(empty_database, tmp_path)
    for arguments, said in (
        (["provision", "a.b"], "cannot be the id"),
        (["provision", "service"], "broker's own"),
        (["provision"], "Name a device"),
        (["revoke", "tag-1", "--reason", "x"], "credential in force"),
        (["revoke", "tag-1", "--reason", " "], "Say why"),
        (["revoke", "tag-1", "--key", "0", "--reason", "x"], "credential in force"),
        (["provision", "tag-1", "--key-only"], "goes with --sign"),
        (["provision", "tag-1", "--sign", "hmac", "--signing-key", "00"], "goes with --sign"),
        (["provision", "a", "b", "--sign", "ed25519", "--signing-key", "00"], "one device"),
        (["provision", "tag-1", "--sign", "ed25519", "--signing-key", "zz"], "32 bytes"),
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


def test_the_code_on_a_sheet_says_with_what_to_sign() -> None:
    setup = Setup("tag-1", "b:1", True, b"", "secret", "ed25519", 3, "ab" * 32)
    assert (
        json.loads(setup.scanned()).items()
        >= {
            "sign": "ed25519",
            "key_number": 3,
            "signing_key": "ab" * 32,
        }.items()
    )
    assert "Ed25519, key number 3" in sheet([setup])


def test_a_doctor_that_finds_no_broker_says_what_to_do(given: Give) -> None:
    with pytest.raises(CordonError, match="Start the service first"):
        given("doctor")
