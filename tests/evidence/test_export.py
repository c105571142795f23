"""Exports: what they prove to somebody who has nothing but the folder; what they do not let pass."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
import psycopg
import pytest

from devices.reports import Event, Message, Refusal
from evidence import export as export_module
from evidence import sealing
from evidence.covered import fix_rows
from evidence.erasing import Order
from evidence.export import Exported, Signers, export
from evidence.log.leaves import FIX_PAYLOAD, chain_of
from evidence.log.signing import VerifierKey
from evidence.retention import erase_subject
from evidence.selection import Asked, ExportError
from evidence.store import Store
from tests.evidence.access_world import WINDOW, fill
from tests.evidence.conftest import Probe
from tests.evidence.custody import of_device
from tests.evidence.samples import NOW_US, batch_of
from tests.evidence.sealing_world import log_keys, sealer_of, store_some, witness_here

PROVEN, ALTERED, NO_PACK, NOT_WITNESSED = 0, 1, 2, 3
MINUTE_US = 60_000_000


async def written(
    dsn: str, folder: Path, asked: Asked, keys: list[VerifierKey], quorum: int = 2
) -> Exported:
    asked = replace(asked, custody=msgspec.structs.replace(asked.custody, disclosure=token_hex(8)))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        signers = Signers(log_keys(), keys, quorum)
        return await export(connection, asked, folder, signers, lambda: NOW_US)


def verify(folder: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Run the folder's own verifier, apart from everything of ours."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), "--json"]
    ended = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


@pytest.fixture(params=[360, 2], ids=["one segment", "segments of two batches"])
async def exported(
    store: Store,
    probe: Probe,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, Path]:
    """An export of the middle of what tag-1 sent, and the file of trusted keys."""
    monkeypatch.setattr(sealing, "SEGMENT_BATCHES", request.param)
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        sealer = sealer_of(probe.dsn, tmp_path, one, two)
        for number in range(1, 7):
            await store_some(store, number, devices=5)
            await sealer.turn()
        event = Event(4, "tag-1", 9, NOW_US + 3_000_005, "panic", None, {})
        refusal = Refusal(5, "tag-1", "bad_json", "no JSON", None, 1, bytes(32))
        late = [("tag-1", 90, NOW_US + 3_000_009), ("tag-1", 91, NOW_US + 90 * MINUTE_US)]
        others = [("tag-2", 92, NOW_US), ("tag-1", 93, NOW_US + 4_000_999)]
        more = tuple(Message(NOW_US + 3_500_000, "t", b"x") for _ in range(2))
        await store.write_journal(
            [(7, batch_of(7, late + others, events=(event,), refusals=(refusal,), messages=more))]
        )
        await sealer.turn()
        await sealer.turn()
        keys = [*one.keys, *two.keys]
        asked = of_device("tag-1", NOW_US + 3_000_000, NOW_US + 5_000_000)
        done = await written(probe.dsn, tmp_path / "out", asked, keys)
    assert (done.shown, done.withheld, done.witnessed) == (22, 20, True)
    trusted = tmp_path / "trusted"
    trusted.write_text("".join(key.text + "\n" for key in [*log_keys(), *keys]))
    return tmp_path / "out", trusted


async def test_an_export_proves_itself(exported: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trusted = exported
    table = tmp_path / "table.csv"
    code, found = verify(folder, "--keys", trusted, "--table", table)
    assert (code, found["records"], found["withheld"]) == (PROVEN, 22, 20)
    runs = {run["kind"]: run for run in found["runs"]}
    assert runs.keys() == {"fix", "message", "event", "refusal"}
    fixes = runs["fix"]
    assert (fixes["first"], fixes["last"], fixes["shown"]) == (9, 27, 10)
    assert fixes["withheld"] == [*range(17, 25), 27]
    [log] = found["logs"]
    assert set(log["witnesses"]) == {"w1.test", "w2.test"}
    assert log["not_before"] < log["not_after"]
    rows = table.read_text().splitlines()
    assert len(rows) == 11
    assert rows[0].startswith("device,place,time,time_us,seq,received_us")
    assert f",{NOW_US + 3_000_009},90," in "".join(rows)
    code, found = verify(folder)
    assert code == NOT_WITNESSED  # the folder cannot vouch for its own keys
    assert not found["keys_given"]
    assert verify(folder, "--keys", trusted, "--witnesses", 3)[0] == NOT_WITNESSED


async def test_what_is_withheld_is_not_in_the_folder(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    for number in range(1, 5):
        await store_some(store, number)
        await sealer_of(probe.dsn, tmp_path).turn()
    start, end = NOW_US + 2_000_000, NOW_US + 5_000_000
    asked = of_device("tag-1", start, end, ((NOW_US + 3_000_001, NOW_US + 3_000_003),))
    done = await written(probe.dsn, tmp_path / "out", asked, [])
    assert (done.shown, done.withheld) == (20, 4)  # two fixes, and the messages they came in
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        payloads = [row[1] for _, row in await fix_rows(connection, (0, 1 << 62))]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    whole = "".join(path.read_bytes().decode("latin-1") for path in files)
    mine = [payload for payload in payloads if payload[1:33] == chain_of("fix", "tag-1")]
    times = {payload: FIX_PAYLOAD.unpack(payload)[2] for payload in mine}
    inside = [payload for payload in mine if start <= times[payload] < end]
    shown = [payload for payload in inside if not asked.hides(times[payload])]
    assert len(shown) == 10
    assert {payload for payload in payloads if payload.hex() in whole} == set(shown)
    code, found = verify(tmp_path / "out")
    runs = {run["kind"]: run for run in found["runs"]}
    assert (code, runs["fix"]["withheld"]) == (NOT_WITNESSED, [10, 11])


def change_records(change: Callable[[list[list[Any]]], None]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        file = folder / "records.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        change(lines)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return act


def change_proof(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        file = folder / "proof.json"
        proof = json.loads(file.read_text())
        change(proof)
        file.write_text(json.dumps(proof))

    return act


def fixes(lines: list[list[Any]]) -> list[list[Any]]:
    """The shown fixes."""
    return [line for line in lines if len(line) == 6 and line[5].startswith("01")]


def other_byte(lines: list[list[Any]], at: int) -> None:
    line = fixes(lines)[3]
    line[at] = f"{int(line[at][:2], 16) ^ 1:02x}" + line[at][2:]


def renumbered(lines: list[list[Any]]) -> None:
    """Leave one out and close the gap in the numbers."""
    gone = fixes(lines)[2]
    at = lines.index(gone)
    for line in lines[at + 1 :]:
        if line[0] == gone[0]:
            line[1] -= 1
    del lines[at]


def swapped(lines: list[list[Any]]) -> None:
    one, two = fixes(lines)[:2]
    one[4:], two[4:] = two[4:], one[4:]


def without_signatures(name: str) -> Callable[[dict[str, Any]], None]:
    def change(proof: dict[str, Any]) -> None:
        log = proof["logs"][0]
        kept = [li for li in log["checkpoint"].split("\n") if not li.startswith(f"\u2014 {name}")]
        log["checkpoint"] = "\n".join(kept)

    return change


def other_size(proof: dict[str, Any]) -> None:
    log = proof["logs"][0]
    origin, size, rest = log["checkpoint"].split("\n", 2)
    log["checkpoint"] = f"{origin}\n{int(size) + 1}\n{rest}"


def spoil(folder: Path) -> None:
    (folder / "records.jsonl").write_text("hello")


FORGERIES: dict[str, tuple[Callable[[Path], None], int]] = {
    "a payload": (change_records(lambda lines: other_byte(lines, 5)), ALTERED),
    "a salt": (change_records(lambda lines: other_byte(lines, 4)), ALTERED),
    "one left out": (change_records(lambda lines: lines.remove(fixes(lines)[2])), ALTERED),
    "one left out, renumbered": (change_records(renumbered), ALTERED),
    "the last left out": (change_records(lambda lines: lines.remove(lines[-1])), ALTERED),
    "two swapped": (change_records(swapped), ALTERED),
    "one twice": (change_records(lambda lines: lines.append(lines[-1])), ALTERED),
    "another device": (change_proof(lambda p: p["runs"][0].update(subject="tag-2")), ALTERED),
    "another kind": (change_proof(lambda p: p["runs"][0].update(kind="status")), ALTERED),
    "a batch's header": (
        change_proof(lambda p: p["logs"][0]["batches"][0].update(header="43424831" + "00" * 132)),
        ALTERED,
    ),
    "the log's size": (change_proof(other_size), ALTERED),
    "no signature of the log": (change_proof(without_signatures("cordon.test/log")), ALTERED),
    "no witness": (change_proof(without_signatures("w1.test")), NOT_WITNESSED),
    "no proof": (lambda folder: (folder / "proof.json").unlink(), NO_PACK),
    "other text": (spoil, NO_PACK),
}


@pytest.mark.parametrize("exported", [360], indirect=True)
async def test_forgeries_are_found(exported: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trusted = exported
    for number, (name, (forge, wanted)) in enumerate(FORGERIES.items()):
        copy = tmp_path / f"forged-{number}"
        shutil.copytree(folder, copy)
        forge(copy)
        code, found = verify(copy, "--keys", trusted)
        assert code == wanted, (name, found)


async def test_what_cannot_be_exported_is_named(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_some(store, 1)
    whole = of_device("tag-1", NOW_US, NOW_US + MINUTE_US)
    for asked, said in [
        (of_device("tag-9", NOW_US, NOW_US + 1), "Nothing of tag-9"),
        (of_device("tag-1", NOW_US, NOW_US), "begin before it ends"),
        (whole, "not sealed yet"),
    ]:
        with pytest.raises(ExportError, match=said):
            await written(probe.dsn, tmp_path / "out", asked, [])
    await sealer_of(probe.dsn, tmp_path).turn()
    for name in ("actor", "purpose", "recipient"):
        nobody = msgspec.structs.replace(whole.custody, **{name: " "})
        with pytest.raises(ExportError, match=f"name the {name}"):
            await written(probe.dsn, tmp_path / "out", replace(whole, custody=nobody), [])
    his = msgspec.structs.replace(whole.custody, side="wearer")
    with pytest.raises(ExportError, match="name the case"):
        await written(probe.dsn, tmp_path / "out", replace(whole, custody=his), [])
    with monkeypatch.context() as patch:
        patch.setattr(export_module, "RECORDS_LIMIT", 7)
        with pytest.raises(ExportError, match="more than one pack holds"):
            await written(probe.dsn, tmp_path / "out", whole, [])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ExportError, match="not empty"):
        await written(probe.dsn, tmp_path / "full", whole, [])
    (tmp_path / "out").mkdir(mode=0o755)
    done = await written(probe.dsn, tmp_path / "out", whole, [])
    assert (done.shown, done.witnessed) == (8, False)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700, "nobody else reads it"
    assert verify(tmp_path / "out")[0] == NOT_WITNESSED


async def test_an_export_says_what_was_erased(store: Store, probe: Probe, tmp_path: Path) -> None:
    """Its places stand there like those of what is withheld; the rest is as provable as before."""
    await fill(probe.dsn, store)
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    window = (NOW_US + 2, NOW_US + 3)
    order = Order("erasure", "the court", "chief", "he-1", *window, "acquitted")
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        await erase_subject(connection, "he-1", window, order, NOW_US)
    await sealer.turn()
    done = await written(probe.dsn, tmp_path / "out", of_device("tag-1", *WINDOW), [])
    assert (done.shown, done.withheld) == (2, 4)
    code, found = verify(tmp_path / "out")
    withheld = {run["kind"]: run["withheld"] for run in found["runs"]}
    assert (code, withheld) == (NOT_WITNESSED, {"fix": [1, 3], "message": [2, 3]})
    [text] = found["erasures"]
    assert "2 records from 2026" in text
    assert "by chief, asked for by the court (both as stated): acquitted" in text
    with pytest.raises(ExportError, match="asked for by the court"):
        await written(probe.dsn, tmp_path / "none", of_device("tag-1", *window), [])
