"""Files of others in packs: as received, proven by the record of their import, and for the court alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devices.instants import to_iso
from evidence import overlays
from evidence.overlay_csv import Terms
from evidence.overlays import NewOverlay
from evidence.selection import ExportError
from evidence.store import Store
from tests.evidence.case_world import HERS, HIS, SECOND_US, build, pack
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import sealer_of
from tests.evidence.test_case_pack import encodings, everything_in, shown_by_kind
from tests.evidence.test_export import ALTERED, NOT_WITNESSED, verify
from tests.evidence.test_report import said, words_of


def line(second: int, place: tuple[int, int], camera: str, plate: str = "AB12 CDE") -> str:
    at = to_iso(NOW_US + second * SECOND_US)
    return f"{at},{place[0] / 1e7:.7f},{place[1] / 1e7:.7f},{camera},{plate},2\r\n"


HEAD = "time,lat,lon,camera,plate,clock_error_s\r\n"
FILE = (
    HEAD
    + line(121, HIS[2], "C-near")  # where he was
    + line(241, (HIS[4][0] + 400_000, HIS[4][1]), "C-far")  # 4.4 km north of him
    + line(5_000, HIS[5], "C-later")  # after the window
    + "north,,,\r\n"
).encode()
OF_HERS = (HEAD + line(122, HERS[2], "C-hers", "P1 HER")).encode()


async def kept(dsn: str, *contents: bytes) -> list[str]:
    """Take the files in. Returns their ids."""
    found = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for number, content in enumerate(contents):
            new = NewOverlay(
                *("DC Roe", "case 26/118", "o1", "traffic control", f"ring road {number}.csv"),
                content,
                Terms("anpr"),
            )
            done = await overlays.keep(connection, new, NOW_US + number)
            found.append(str(done.overlay.overlay_id))
    return found


async def packed(
    store: Store, probe: Probe, folder: Path, side: str = "court", **more: Any
) -> tuple[str, str]:
    await build(store, probe.dsn, folder)
    first, second = await kept(probe.dsn, FILE, OF_HERS)
    await sealer_of(probe.dsn, folder).turn()
    await pack(probe.dsn, folder / "out", side, **more)
    code, found = verify(folder / "out")
    assert code == NOT_WITNESSED, found
    return first, second


async def test_the_court_gets_the_file_as_received_with_what_the_positions_say(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    first, second = await packed(store, probe, tmp_path)
    out = tmp_path / "out"
    assert (out / "overlays" / f"{first}.csv").read_bytes() == FILE
    assert (out / "overlays" / f"{second}.csv").read_bytes() == OF_HERS
    assert verify(out)[1]["overlays"] == {first: "whole", second: "whole"}
    files = json.loads((out / "overlays" / "provenance.json").read_text())["files"]
    assert [(one["source"], one["part"]) for one in files] == [("traffic control", "whole")] * 2
    rows = list(csv.DictReader((out / "overlays" / "findings.csv").read_text().splitlines()))
    assert {row["name"]: row["verdict"] for row in rows} == {
        "C-near": "supports",
        "C-far": "contradicts",
        "C-hers": "contradicts",
    }
    text = words_of((out / "report.pdf").read_bytes())
    for wanted in ("What others recorded", "ring road 0.csv", "C-near", "A sector is not a place"):
        assert said(wanted) in text, wanted
    assert "C-later" not in text


async def test_an_event_says_nothing_where_its_positions_are_withheld(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    """And lines of that time are not there: what is left is told apart from the file as received."""
    part = (NOW_US + 230 * SECOND_US, NOW_US + 250 * SECOND_US)
    first, second = await packed(store, probe, tmp_path, withheld_us=(part,))
    out = tmp_path / "out"
    assert (out / "overlays" / f"{first}.csv").read_text() == "\n".join(
        [HEAD.strip(), line(121, HIS[2], "C-near"), ""]
    ).replace("\r\n", "\n").replace("\n\n", "\n")
    assert verify(out)[1]["overlays"] == {first: "rows", second: "rows"}
    whole = everything_in(out)
    for secret in (b"C-far", b"C-later", f"{(HIS[4][0] + 400_000) / 1e7:.7f}".encode()):
        assert secret not in whole, secret


async def test_no_side_gets_files_of_others(store: Store, probe: Probe, tmp_path: Path) -> None:
    await packed(store, probe, tmp_path, "wearer")
    out = tmp_path / "out"
    assert not (out / "overlays").exists()
    proof = json.loads((out / "proof.json").read_text())
    assert proof["overlays"] == []
    assert "overlay" in proof["absent"]
    assert shown_by_kind(out)["access"] == (0, 2), "withheld in place, for a court"
    whole = everything_in(out)
    for secret in {code for place in HERS for code in encodings(*place)}:
        assert secret not in whole, secret
    for secret in (b"C-hers", b"P1 HER", b"ring road", b"traffic control"):
        assert secret not in whole, secret


async def test_her_side_gets_none_of_what_others_say_of_him(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await packed(store, probe, tmp_path, "protected")
    whole = everything_in(tmp_path / "out")
    for secret in (b"C-near", b"AB12 CDE", b"traffic control"):
        assert secret not in whole, secret


def other_byte(out: Path, overlay: str) -> None:
    file = out / "overlays" / f"{overlay}.csv"
    file.write_bytes(file.read_bytes().replace(b"AB12", b"AB13"))
    manifest = out / "manifest.sha256"  # a forger mends it: it is not signed
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(one for one in lines if "overlays/" not in one))


def left_out(out: Path, overlay: str) -> None:
    proof = json.loads((out / "proof.json").read_text())
    proof["overlays"] = [one for one in proof["overlays"] if one["overlay"] != overlay]
    (out / "proof.json").write_text(json.dumps(proof))


def without_file(out: Path, overlay: str) -> None:
    (out / "overlays" / f"{overlay}.csv").unlink()


@pytest.mark.parametrize("forge", [other_byte, left_out, without_file])
async def test_a_file_that_was_changed_or_left_out_is_found(
    store: Store, probe: Probe, tmp_path: Path, forge: Callable[[Path, str], None]
) -> None:
    first, _ = await packed(store, probe, tmp_path)
    forge(tmp_path / "out", first)
    assert verify(tmp_path / "out")[0] == ALTERED


async def test_a_file_that_was_removed_and_one_of_another_time_are_named(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    late = (HEAD + line(5_000, HIS[5], "C-later")).encode()
    first, second = await kept(probe.dsn, FILE, late)
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        found = await overlays.list_overlays(connection, "o1")
        [gone] = [one.overlay_id for one in found if str(one.overlay_id) == first]
        await overlays.remove(connection, gone, "Sgt Kim", "of another case", NOW_US + 9)
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack(probe.dsn, tmp_path / "out")
    code, told = verify(tmp_path / "out")
    assert (code, told["overlays"]) == (NOT_WITNESSED, {first: "none", second: "none"})
    proof = json.loads((tmp_path / "out" / "proof.json").read_text())
    whys = {one["overlay"]: one["why"] for one in proof["overlays"]}
    assert "of another case" in whys[first]
    assert "no event" in whys[second]


async def test_a_file_that_is_not_sealed_or_was_altered_stops_the_export(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    await kept(probe.dsn, FILE)
    with pytest.raises(ExportError, match="not sealed, or not witnessed yet"):
        await pack(probe.dsn, tmp_path / "early")
    await sealer_of(probe.dsn, tmp_path).turn()
    other = FILE.replace(b"AB12", b"AB13")
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE evidence.overlay SET content = %s, sha256 = sha256(%s)", (other, other)
        )
    with pytest.raises(ExportError, match="altered in the database"):
        await pack(probe.dsn, tmp_path / "out")
