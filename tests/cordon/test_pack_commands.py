"""Asking for a pack, approving it and making it by commands: of whom it is, and what uses an approval up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from cordon import pack_commands
from cordon.cli import cordon
from cordon.errors import CordonError
from devices.instants import to_iso
from evidence import export_folder
from tests.conftest import Database
from tests.evidence.access_world import CASE, OTHER_CASE, WINDOW, set_up
from tests.evidence.conftest import Probe
from tests.evidence.granting import grant

WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))
WHO = ("--actor", "Sgt Kim", "--purpose", "disclosure", "--note", "trial 26/118")
FOR = ("--recipient", "Crown Court")
SQL = Path(__file__).parents[2] / "evidence" / "sql"

pytestmark = pytest.mark.timeout(300)


class Office:
    """The commands, on a database with two orders."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder = dsn, folder

    def run(self, *words: str) -> Result:
        environment = {
            "CORDON_DATABASE_URL": self.dsn,
            "CORDON_STATE_DIRECTORY": str(self.folder / "state"),
            "CORDON_LOGS_LEVEL": "error",
        }
        return CliRunner().invoke(cordon, ("evidence", *words), env=environment)

    def ask(self, *more: str, case: str = CASE) -> str:
        done = self.run("request", "--case", case, *WITHIN, *WHO, *FOR, *more)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout.strip()

    def approved(self, *more: str) -> str:
        made = self.ask(*more)
        assert self.run("approve", made, "--by", "Insp Okafor").exit_code == 0
        assert self.run("seal", "--once").exit_code == 0
        return made

    def refused(self, request: str) -> str:
        """What is said where no pack is made; nothing is written."""
        out = self.folder / "out"
        done = self.run("export", "--request", request, str(out))
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, CordonError), done.exception
        assert not out.exists() or not any(out.iterdir())
        return str(done.exception)

    def state(self, request: str) -> str:
        lines = self.run("requests").stdout.splitlines()
        [line] = [line for line in lines if line.startswith(request)]
        return line.split()[1]

    def change(self, query: str, *values: Any) -> None:
        """As somebody does who has the login that owns the tables."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(query.encode(), values or None)


@pytest.fixture
async def filled(database: Database) -> str:
    await set_up(database.dsn)
    return database.dsn


@pytest.fixture
def office(filled: str, tmp_path: Path) -> Office:
    found = Office(filled, tmp_path)
    assert found.run("seal", "--once").exit_code == 0
    return found


@pytest.fixture
def probe(filled: str) -> Probe:
    return Probe(filled)


def test_who_decides_sees_by_which_grant_it_will_be_made(office: Office) -> None:
    made = office.ask()
    [line] = office.run("requests").stdout.splitlines()
    assert line.startswith(made)
    assert f"by a grant of case {CASE} to the investigator for 'disclosure'" in line


def test_grants_of_another_case_open_no_pack(office: Office, probe: Probe) -> None:
    """Also where the database lets it pass, as it did once."""
    made = office.approved()
    grant(office.dsn, "Sgt Kim", OTHER_CASE, "he-2", "she-1", purpose="disclosure")
    query = "UPDATE evidence.pack_request SET grant_case = %s"
    office.change(query, OTHER_CASE)
    assert "a grant of another case than its own" in office.refused(made)
    before = (SQL / "0017_pack_requests.sql").read_text()
    start = before.index("CREATE FUNCTION evidence.use_pack_request")
    function = before[start : before.index("END $$;", start) + len("END $$;")]
    office.change(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    assert f"takes a grant of that case, not of {OTHER_CASE}" in office.refused(made)
    assert probe.ask("SELECT step FROM evidence.disclosure") == [("failed",)]
    assert probe.value("SELECT count(*) FROM evidence.access WHERE allowed") == 0


def test_what_is_withheld_begins_before_it_ends(office: Office) -> None:
    backwards = f"{to_iso(WINDOW[1])}/{to_iso(WINDOW[0])}"
    for words in (("request", *FOR), ("export", *FOR, "out")):
        said = (words[0], "--case", CASE, *WITHIN, *WHO, *words[1:], "--withhold", backwards)
        done = office.run(*said)
        assert done.exit_code == 2
        assert "ends before it begins" in " ".join(done.stderr.split())


def test_what_fails_before_anything_is_read_uses_no_approval_up(
    office: Office, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = office.approved()
    rename = "ALTER FUNCTION evidence.{} RENAME TO {}"
    office.change(rename.format("people_ever_of_case", "moved"))
    assert "of an older version" in office.refused(made)
    office.change(rename.format("moved", "people_ever_of_case"))
    assert office.state(made) == "approved"

    async def stopped(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr(pack_commands, "open_reading", stopped)
        done = office.run("export", "--request", made, str(office.folder / "out"))
    assert "Aborted!" in done.output
    assert office.state(made) == "approved"
    assert probe.ask("SELECT step FROM evidence.disclosure") == [("failed",), ("failed",)]
    grant(office.dsn, "Sgt Kim", CASE, "he-1", "she-1", purpose="disclosure")
    done = office.run("export", "--request", made, str(office.folder / "out"))
    assert done.exit_code == 0, (done.output, done.exception)
    assert office.state(made) == "used"


def test_a_device_that_nobody_carried_is_of_a_file_and_of_no_order(office: Office) -> None:
    grant(office.dsn, "Sgt Kim", CASE, "device:tag-9", purpose="disclosure")
    of_order = office.approved("--device", "tag-9")
    assert "this case is not about this person" in office.refused(of_order)
    grant(office.dsn, "Sgt Kim", "26/118", "device:tag-9", purpose="disclosure")
    of_file = office.ask("--device", "tag-9", case="26/118")
    assert office.run("approve", of_file, "--by", "Insp Okafor").exit_code == 0
    assert office.run("seal", "--once").exit_code == 0
    assert "Nothing of tag-9 is stored" in office.refused(of_file), "it may be read"
    told = " ".join(office.run("request", "--help").output.split())
    assert "--case is one that is no order" in told


def test_a_pack_that_is_broken_off_while_it_is_written(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = office.approved()
    grant(office.dsn, "Sgt Kim", CASE, "he-1", "she-1", purpose="disclosure")
    out = office.folder / "out"

    def stopped() -> str:
        assert (out / "proof.json").exists()
        signal.raise_signal(signal.SIGINT)
        return "page"

    with monkeypatch.context() as patch:
        patch.setattr(export_folder, "page_text", stopped)
        assert "Aborted!" in office.run("export", "--request", made, str(out)).output
    assert list(out.iterdir()) == []
    assert office.state(made) == "approved"


def test_a_database_of_the_version_before_is_named(office: Office) -> None:
    office.change("DROP FUNCTION evidence.list_pack_requests()")
    before = (SQL / "0017_pack_requests.sql").read_text()
    start = before.index("CREATE FUNCTION evidence.list_pack_requests")
    office.change(before[start : before.index("$$;", start) + len("$$;")])
    assert "of an older version" in str(office.run("requests").exception)
