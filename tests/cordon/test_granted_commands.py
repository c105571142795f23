"""Each command that reads of a case: refused without a grant, and told how to get one; let in with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result

from alerts.conduct import Pattern, Subject
from alerts.conduct_rules import ConductRules
from cordon.cli import cordon
from cordon.errors import CordonError
from devices.instants import to_iso
from evidence.conduct import add_patterns
from tests.conftest import Database
from tests.evidence.access_world import CASE, OTHER_CASE, WINDOW, set_up
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US

WITHIN = ("--from", to_iso(WINDOW[0]), "--to", to_iso(WINDOW[1]))
PAIR = ("he-1", "she-1")
FILES = f"case:{CASE}"
PLACE = ("--lat", "51.5", "--lon", "0", "--within", "100", "--at", to_iso(WINDOW[0]))
PATTERN = Pattern(
    pattern_id="pattern-1",
    version=1,
    subject=Subject(wearer="he-1", protected="she-1", agency="centre", profile="default"),
    state="going_on",
    began_us=NOW_US,
    last_us=NOW_US,
    persistent=False,
    occasions={"approach": 3},
    reasons=(),
    acts=(),
    rules=ConductRules(),
)
CONTENT = b"time,lat,lon,camera,plate,clock_error_s\n2026-11-18T10:00:05Z,51.5,0,C1,AB12,2\n"
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "near": (("evidence", "near", *PLACE), ("*",)),
    "timeline": (("evidence", "timeline", *WITHIN), PAIR),
    "approaches": (("evidence", "approaches", *WITHIN), PAIR),
    "approaches of a pair": (
        ("evidence", "approaches", *WITHIN, "--wearer", "he-1", "--protected", "she-1"),
        PAIR,
    ),
    "overlay show": (("evidence", "overlay", "show", "OVERLAY"), (FILES,)),
    "overlay compare": (
        ("evidence", "overlay", "compare", "--subject", "he-1", "--out", "FOLDER"),
        ("he-1", FILES),
    ),
    "export": (("evidence", "export", *WITHIN, "--recipient", "court", "FOLDER"), PAIR),
    "export of a device": (
        ("evidence", "export", "--device", "tag-1", *WITHIN, "--recipient", "court", "FOLDER"),
        ("he-1",),
    ),
    "conduct list": (("conduct", "list"), ("*",)),
    "conduct show": (("conduct", "show", "pattern-1"), PAIR),
    "replay": (("replay", *WITHIN), PAIR),
    "replay of all": (("replay", "--subject", "*", *WITHIN), ("*",)),
}
NOTHING_STORED = "no state of the service"
"""What a replay says that is let in here."""


class Scene:
    """The commands on a database that has something of everything but a service's course."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder, self.number = dsn, folder, 0
        self.overlay = ""

    def run(self, *words: str) -> Result:
        state = str(self.folder / "state")
        environment = {"CORDON_DATABASE_URL": self.dsn, "CORDON_STATE_DIRECTORY": state}
        environment["CORDON_EVIDENCE_SECOND_PERSON"] = "false"  # packs are asked for elsewhere
        return CliRunner().invoke(cordon, words, env=environment | {"CORDON_LOGS_LEVEL": "error"})

    def ask(
        self, name: str, *more: str, case: str = CASE, purpose: str = "investigation"
    ) -> Result:
        self.number += 1
        places = {"OVERLAY": self.overlay, "FOLDER": str(self.folder / f"out-{self.number}")}
        words = [places.get(word, word) for word in COMMANDS[name][0]]
        said = ("--actor", "ana", "--case", case, "--purpose", purpose, "--note", "file 1")
        return self.run(*words, *said, *more)


@pytest.fixture
async def filled(database: Database) -> str:
    await set_up(database.dsn)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        await add_patterns(connection, [PATTERN], NOW_US)
    return database.dsn


@pytest.fixture
def scene(filled: str, tmp_path: Path) -> Scene:
    found = Scene(filled, tmp_path)
    assert found.run("evidence", "seal", "--once").exit_code == 0
    file = tmp_path / "ring-road.csv"
    file.write_bytes(CONTENT)
    given = ("--kind", "anpr", "--case", CASE, "--source", "the city", "--by", "Kim")
    kept = found.run(
        *("evidence", "overlay", "import", str(file), *given), "--purpose", "26/1", "--json"
    )
    found.overlay = msgspec.json.decode(kept.stdout)["overlay"]["overlay_id"]
    assert found.run("evidence", "seal", "--once").exit_code == 0
    return found


@pytest.fixture
def probe(filled: str) -> Probe:
    return Probe(filled)


def refusal(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, CordonError)
    assert done.stdout == "", "nothing is shown"
    return str(done.exception)


def let_in(done: Result) -> bool:
    return done.exit_code == 0 or NOTHING_STORED in str(done.exception)


def attempts(probe: Probe) -> list[tuple[Any, ...]]:
    return probe.ask(
        "SELECT subject, allowed, purpose FROM evidence.access WHERE who = 'ana'"
        ' AND "case" = %s ORDER BY at_us',
        CASE,
    )


def given_by(text: str) -> list[tuple[str, ...]]:
    """The commands that a refusal names."""
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(shlex.split(line)[1:]) for line in lines if line.startswith("cordon evidence ")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_grant_no_and_with_the_one_that_is_named_yes(
    scene: Scene, probe: Probe, name: str
) -> None:
    subjects = COMMANDS[name][1]
    text = refusal(scene.ask(name))
    assert text.count("no grant is in force") == len(subjects)
    assert attempts(probe) == [(subject, False, "investigation") for subject in subjects]
    grants = []
    for words in given_by(text):
        done = scene.run(*words, "--by", "chief")
        assert done.exit_code == 0, done.output
        grants.append(done.output.split()[0])
    assert len(grants) == len(subjects)
    told = scene.ask(name)
    assert let_in(told), (told.output, told.exception)
    assert attempts(probe)[-len(subjects) :] == [
        (subject, True, "investigation") for subject in subjects
    ]
    # Grants of this case, and no other; of this purpose, and no other; of this role.
    assert refusal(scene.ask(name, case=OTHER_CASE))
    in_other = 'SELECT count(*) FROM evidence.access WHERE allowed AND "case" = %s'
    assert probe.value(in_other, OTHER_CASE) == 0
    assert "no grant is in force" in refusal(scene.ask(name, purpose="safeguarding"))
    assert refusal(scene.ask(name, "--role", "prosecutor"))
    assert refusal(scene.ask(name, "--role", "agency"))
    assert scene.run("evidence", "revoke", grants[0], "--reason", "moved").exit_code == 0
    assert refusal(scene.ask(name)).count("no grant is in force") == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["near", "timeline", "export", "conduct show"])
def test_in_an_emergency_whoever_breaks_the_glass_is_let_in(
    scene: Scene, probe: Probe, name: str
) -> None:
    text = refusal(scene.ask(name, "--note", "she does not answer", purpose="emergency"))
    for words in given_by(text):
        assert scene.run(*words).exit_code == 0, words
    assert let_in(scene.ask(name, purpose="emergency"))
    assert probe.ask("SELECT DISTINCT who, reason FROM evidence.break_glass") == [
        ("ana", "she does not answer")
    ]
    assert {one[1:] for one in attempts(probe)} == {(False, "emergency"), (True, "emergency")}


def test_what_is_said_of_a_purpose_that_is_none(scene: Scene) -> None:
    done = scene.ask("timeline", purpose="hearing on 3 December")
    assert done.exit_code == 2
    assert "Say in words what for with --note" in " ".join(done.stderr.split())
