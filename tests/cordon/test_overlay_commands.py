"""Files of third parties: kept whole for a case, listed, shown, removed; every reading recorded."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon.cli import cordon
from evidence.audit import Audit, audit
from tests.conftest import Database
from tests.evidence.access_world import CASE, login, set_up
from tests.evidence.conftest import Probe
from tests.evidence.granting import grant
from tests.evidence.sealing_world import log_keys, sealer_of

Run = Callable[..., Result]
CONTENT = (
    b"time,lat,lon,camera,plate,clock_error_s\r\n"
    b"2026-11-18T10:00:05Z,51.5074,-0.1278,C1,AB12 CDE,2\r\n"
    b"2026-11-18T10:00:05Z,north,-0.1278,C1,AB12 CDE,2\r\n"
)
WHO = ("--by", "DC Roe", "--purpose", "case 26/4711", "--source", "city traffic control")
READER = ("--actor", "Sgt Kim", "--purpose", "investigation", "--case", CASE, "--note", "hearing")


@pytest.fixture
async def filled(database: Database) -> str:
    await set_up(database.dsn)
    grant(database.dsn, "Sgt Kim", CASE, "he-1", f"case:{CASE}")
    return database.dsn


@pytest.fixture
def probe(filled: str) -> Probe:
    return Probe(filled)


@pytest.fixture
def run(filled: str) -> Run:
    def call(*words: str, dsn: str = filled) -> Result:
        environment = {"CORDON_DATABASE_URL": dsn}
        return CliRunner().invoke(cordon, ["evidence", "overlay", *words], env=environment)

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "ring-road.csv"
    made.write_bytes(CONTENT)
    return made


def brought(run: Run, file: Path, *words: str, **where: str) -> Result:
    return run("import", str(file), "--kind", "anpr", "--case", CASE, *WHO, *words, **where)


def why(done: Result) -> str:
    assert done.exit_code == 1, done.output
    return str(done.exception)


def test_a_file_is_kept_whole_and_the_same_twice_changes_nothing(
    run: Run, file: Path, probe: Probe, tmp_path: Path
) -> None:
    done = brought(run, file)
    assert done.exit_code == 0, done.output
    assert "1 events, 1 lines that cannot be read): kept." in done.stdout
    assert "line 3 cannot be read: lat is 'north', which is no number" in done.stderr
    again = brought(run, file, "--json")
    told = json.loads(again.stdout)
    assert (told["is_new"], len(told["refused"])) == (False, 1)
    assert probe.count("overlay") == 1
    [[found, digest]] = probe.ask("SELECT overlay_id, sha256 FROM evidence.overlay")
    assert digest == hashlib.sha256(CONTENT).digest()
    access = (
        "SELECT who, purpose, \"case\", note FROM evidence.access WHERE what = 'overlay import'"
    )
    note = (
        f"overlay {found}: anpr 'ring-road.csv' from 'city traffic control', SHA-256 {digest.hex()}, "
        "zone none, clock error by line"
    )
    assert probe.ask(access) == [("DC Roe", "case 26/4711", CASE, note)]
    listed = run("list", "--case", CASE).stdout
    assert "from city traffic control; by DC Roe" in listed
    assert digest.hex() in listed
    assert run("list", "--case", "another").stdout == "No file is kept.\n"
    [one] = json.loads(run("list", "--json").stdout)
    assert (one["name"], one["bytes"], one["refused"]) == ("ring-road.csv", len(CONTENT), 1)
    shown = json.loads(run("show", str(found), *READER).stdout)
    assert shown["content"]["events"][0]["detail"] == {"plate": "AB12 CDE"}
    assert shown["content"]["refused"][0]["text"].startswith("2026-11-18T10:00:05Z,north")
    out = tmp_path / "out.csv"
    assert run("show", str(found), *READER, "--original", str(out)).exit_code == 0
    assert out.read_bytes() == CONTENT
    assert "cannot be written" in why(run("show", str(found), *READER, "--original", str(out)))
    reads = f"SELECT count(*) FROM evidence.access WHERE note = 'overlay {found}; hearing'"
    assert probe.value(reads + " AND who = 'Sgt Kim' AND allowed AND what = 'overlay'") == 3


def test_what_is_not_said_is_asked_for(run: Run, file: Path, probe: Probe) -> None:
    assert "--clock-error-s" in why(brought(run, rewritten(file, b"clock_error_s", b"other")))
    bare = rewritten(file, b"05Z,51", b"05,51")
    assert "--zone Europe/Madrid" in why(brought(run, bare))
    assert "no time zone" in why(brought(run, bare, "--zone", "Madrid/Europe"))
    assert "no time zone" in why(brought(run, bare, "--zone", "../etc/passwd"))
    assert "to name its purpose" in why(brought(run, bare, "--zone", "UTC", "--purpose", " "))
    assert "who gave the file" in why(brought(run, bare, "--zone", "UTC", "--source", " "))
    assert probe.count("overlay") == 0
    assert brought(run, bare, "--zone", "Europe/Madrid").exit_code == 0
    other = why(brought(run, bare, "--zone", "UTC"))
    assert "is there already" in other
    assert "Europe/Madrid" in other
    assert "There is no overlay" in why(run("show", "0" * 32, *READER))
    assert "no grant is in force" in why(run("show", overlay_of(probe), *READER[2:]))


def rewritten(file: Path, old: bytes, new: bytes) -> Path:
    file.write_bytes(CONTENT.replace(old, new))
    return file


def overlay_of(probe: Probe) -> str:
    return str(probe.value("SELECT overlay_id FROM evidence.overlay"))


def test_a_hold_keeps_it_and_a_removal_is_recorded(run: Run, file: Path, probe: Probe) -> None:
    assert brought(run, file).exit_code == 0
    overlay = overlay_of(probe)
    words = ("remove", overlay, "--by", "chief", "--reason", "of another case")
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        held = connection.execute(
            "SELECT evidence.place_hold('court', %s, '{he-1}', now(), now() + interval '1 day',"
            " 'appeal', now())",
            (CASE,),
        ).fetchone()
        assert held is not None
        assert "under hold" in why(run(*words))
        connection.execute("SELECT evidence.release_hold(%s, 'court', 'over')", held)
    assert probe.count("overlay") == 1
    assert "to name its purpose" in why(run(*words[:-1], " "))
    assert run(*words).exit_code == 0
    assert probe.count("overlay") == 0
    [record] = probe.ask(
        "SELECT who, purpose, note LIKE %s FROM evidence.access WHERE what = 'overlay remove'",
        f"overlay {overlay}:%SHA-256 {hashlib.sha256(CONTENT).hexdigest()}%",
    )
    assert record == ("chief", "of another case", True)
    assert "There is no overlay" in why(run(*words))


async def test_what_was_altered_in_the_database_is_not_used(
    run: Run, file: Path, probe: Probe, tmp_path: Path
) -> None:
    assert (await asyncio.to_thread(brought, run, file)).exit_code == 0
    overlay = overlay_of(probe)
    sealer = sealer_of(probe.dsn, tmp_path)
    async with asyncio.timeout(60):
        await sealer.turn()
        while (found := await audited(probe.dsn)).waiting:  # transactions of others can hold it up
            await sealer.turn()
    assert found.findings == []
    changed = CONTENT.replace(b"10:00:05", b"11:00:05")
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        for column, value in (("zone", "Asia/Tokyo"), ("clock_error_s", 9), ("source", "others")):
            old = connection.execute(f"SELECT {column} FROM evidence.overlay".encode()).fetchone()
            assert old is not None
            change = f"UPDATE evidence.overlay SET {column} = %s"
            connection.execute(change.encode(), (value,))
            shown = await asyncio.to_thread(run, "show", overlay, *READER)
            assert "not as its import was recorded" in why(shown), column
            connection.execute(change.encode(), old)
        assert (await asyncio.to_thread(run, "show", overlay, *READER)).exit_code == 0
        connection.execute(
            "UPDATE evidence.overlay SET content = %s, sha256 = sha256(%s)", (changed, changed)
        )
        shown = await asyncio.to_thread(run, "show", overlay, *READER)
        assert "not as its import was recorded" in why(shown)
        connection.execute(
            "UPDATE evidence.access SET note = replace(note, %s, %s)",
            (hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(changed).hexdigest()),
        )
    assert (await audited(probe.dsn)).findings, "the log covers the record of the import"


async def test_the_services_login_keeps_and_compares_and_the_owner_removes(
    run: Run, file: Path, probe: Probe, tmp_path: Path
) -> None:
    async with login(probe.dsn, "cordon_writer") as service:
        dsn = await service.own_dsn()
        kept = await asyncio.to_thread(brought, run, file, dsn=dsn)
        assert kept.exit_code == 0, kept.exception
        words = ("compare", "--person", "he-1", *READER, "--out")
        done = await asyncio.to_thread(run, *words, str(tmp_path / "out"), dsn=dsn)
        assert done.exit_code == 0, done.exception
        assert "1 findings" in done.stdout
        removing = ("remove", overlay_of(probe), "--by", "chief", "--reason", "over")
        assert "may not do it" in why(await asyncio.to_thread(run, *removing, dsn=dsn))
    async with login(probe.dsn, "cordon_investigator") as reader:
        looked = await asyncio.to_thread(run, "list", dsn=await reader.own_dsn())
        assert "may not do it" in why(looked)
    assert (await asyncio.to_thread(run, *removing)).exit_code == 0


async def audited(dsn: str) -> Audit:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        return await audit(connection, log_keys(), [])
