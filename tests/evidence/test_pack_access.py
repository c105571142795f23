"""Who looked, in packs: proven like everything else, by side, and of this case alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devices.instants import to_iso
from evidence import seal_reader
from evidence.inquiries import About, Inquiry, note_inquiry
from evidence.store import Store
from tests.evidence.access_world import control_rows
from tests.evidence.case_world import FROM_US, SECOND_US, TO_US, build, pack
from tests.evidence.conftest import Probe
from tests.evidence.sealing_world import sealer_of, witness_here
from tests.evidence.test_case_pack import everything_in, shown_by_kind
from tests.evidence.test_export import NOT_WITNESSED, verify
from tests.evidence.test_report import said, words_of

WITHIN = FROM_US + 200 * SECOND_US
LOOKS = [
    # who, case, subject, when
    ("Kim of this case", "o1", "w1", WITHIN),
    ("Lee of another case", "26/4711", "w1", WITHIN),
    ("Mo at the map", "", "*", WITHIN),
    ("Nia of everybody elsewhere", "26/4711", "*", WITHIN),
    ("Ono at her", "", "p1", WITHIN),
    ("Pat at the case", "o1", "case:o1", TO_US + 999 * SECOND_US),
    ("Quy too late", "o1", "w1", TO_US + 999 * SECOND_US),
    ("Ron at a stranger", "o2", "w2", WITHIN),
]


async def looked(dsn: str, looks: list[tuple[str, str, str, int]]) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for who, case, subject, at_us in looks:
            inquiry = Inquiry(who, "duty", case or "x")
            await note_inquiry(connection, inquiry, About("track", [subject]), at_us)
            await connection.execute(
                "UPDATE evidence.access SET \"case\" = '' WHERE \"case\" = 'x'"
            )  # as the console has it


async def packed(store: Store, probe: Probe, folder: Path, side: str, **more: Any) -> None:
    await build(store, probe.dsn, folder)
    await looked(probe.dsn, LOOKS)
    await sealer_of(probe.dsn, folder).turn()
    await pack(probe.dsn, folder / "out", side, **more)
    code, found = verify(folder / "out")
    assert code == NOT_WITNESSED, found


def subjects(folder: Path) -> set[str]:
    runs = json.loads((folder / "proof.json").read_text())["runs"]
    return {run["subject"] for run in runs if run["kind"] == "access"}


async def test_the_court_sees_who_looked_at_this_case(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    refuge = (WITHIN - SECOND_US, WITHIN + SECOND_US)  # hides no record of who looked
    await packed(store, probe, tmp_path, "court", withheld_us=(refuge,))
    out = tmp_path / "out"
    assert subjects(out) == {"w1", "p1", "*", "case:o1"}
    rows = list(csv.DictReader((out / "access.csv").read_text().splitlines()))
    assert {row["who"] for row in rows} == {
        *("Kim of this case", "Mo at the map", "Ono at her", "Pat at the case"),
    }
    assert {row["at"] for row in rows if row["of"] == "w1"} == {to_iso(WITHIN)}
    assert shown_by_kind(out)["access"][0] == 4
    whole = everything_in(out)
    for other in (b"Lee of", b"Nia of", b"Quy too", b"Ron at", b"26/4711"):
        assert other not in whole, other
    text = words_of((out / "report.pdf").read_bytes())
    assert said("Who looked") in text
    assert said("Kim of this case") in text
    withheld = shown_by_kind(out)["access"][1]
    assert withheld >= 2
    assert said(f"{withheld} more records of access") in text


async def test_refusals_are_told(store: Store, probe: Probe, tmp_path: Path) -> None:
    await build(store, probe.dsn, tmp_path)
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT evidence.open_access('ana', '', 'investigator', 'o1', 'w1', 'investigation', '{fix}',"
            " now() - interval '1 day', now(), '')"
        )
        connection.execute("UPDATE evidence.access SET at_us = %s", (WITHIN,))
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack(probe.dsn, tmp_path / "out")
    [row] = csv.DictReader((tmp_path / "out" / "access.csv").read_text().splitlines())
    assert (row["who"], row["allowed"]) == ("ana", "False")
    assert row["refused"].startswith("no grant is in force")


async def test_his_side_is_not_told_who_looked_when(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await packed(store, probe, tmp_path, "wearer")
    out = tmp_path / "out"
    assert subjects(out) == {"case:o1"}
    assert shown_by_kind(out)["access"] == (0, 1), "a place, for a court to have it opened"
    whole = everything_in(out)
    for who, *_ in LOOKS:
        assert who.encode() not in whole
    assert "access" in json.loads((out / "proof.json").read_text())["absent"]


async def test_her_side_sees_who_looked_at_her(store: Store, probe: Probe, tmp_path: Path) -> None:
    await packed(store, probe, tmp_path, "protected")
    out = tmp_path / "out"
    assert subjects(out) == {"p1", "*"}
    whole = everything_in(out)
    for who, _, subject, _ in LOOKS:
        seen = who in {"Ono at her", "Mo at the map"}
        assert (who.encode() in whole) == seen, (who, subject)


@pytest.mark.parametrize("away", [False, True], ids=["witnesses there", "witnesses long away"])
async def test_a_pack_waits_for_no_look_that_is_not_witnessed_yet(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, away: bool
) -> None:
    """Somebody looks at the map at any moment: what is asked for is proven by witnesses all the same."""
    if away:  # then what is signed has to do
        monkeypatch.setattr(seal_reader, "WITNESS_WAIT_S", 0.0)
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        await build(store, probe.dsn, tmp_path, one, two)
        await looked(probe.dsn, LOOKS[2:3])
        await sealer_of(probe.dsn, tmp_path, one, two).turn()
        await sealer_of(probe.dsn, tmp_path, one, two).turn()
        keys = [*one.keys, *two.keys]
    await looked(probe.dsn, [("Sam at the map", "", "*", WITHIN + 1)])
    await sealer_of(probe.dsn, tmp_path).turn()  # sealed, and witnessed by nobody
    await looked(probe.dsn, [("Tess at the map", "", "*", WITHIN + 2)])  # not even sealed
    done = await pack(probe.dsn, tmp_path / "out", witness_keys=keys)
    assert done.witnessed != away
    table = (tmp_path / "out" / "access.csv").read_text()
    assert "Mo at the map" in table
    assert ("Sam" in table) == away
    assert "Tess" not in table


@pytest.mark.usefixtures("store")
def test_every_control_record_is_made(probe: Probe) -> None:
    control_rows(probe.dsn)
    for name in ("pack_request", "pack_decision", "pack_use"):
        assert probe.count(name) == 1
