"""A pack about a case: everything that concerns it, for whom it is, and nothing of hers for his side."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from devices.instants import to_iso
from evidence import sealing
from evidence.erasing import Order, erase
from evidence.keeping import Plan
from evidence.selection import ExportError
from evidence.store import Store
from tests.evidence.case_world import CENTRE, HERS, HIS, SECOND_US, build, pack
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US, change_of
from tests.evidence.sealing_world import log_keys, sealer_of, witness_here
from tests.evidence.test_export import NOT_WITNESSED, PROVEN, verify
from tests.evidence.test_store import alert_entries

EVERYTHING = {
    "fix", "message", "event", "receipt", "decision", "anomaly", "device_health", "sequence_step",
    "command", "alert_change", "delivery", "caseload_entry",
}  # fmt: skip


async def packed(
    store: Store, probe: Probe, folder: Path, side: str, **more: Any
) -> dict[str, Any]:
    await build(store, probe.dsn, folder)
    await pack(probe.dsn, folder / "out", side, **more)
    code, found = verify(folder / "out")
    assert code == NOT_WITNESSED, found
    return found


def shown_by_kind(folder: Path) -> dict[str, tuple[int, int]]:
    """Records shown and withheld of each kind."""
    runs = json.loads((folder / "proof.json").read_text())["runs"]
    found: dict[str, tuple[int, int]] = {}
    for line in (folder / "records.jsonl").read_text().splitlines():
        run, *_, content = json.loads(line)[:5]
        kind = runs[run]["kind"]
        shown, withheld = found.get(kind, (0, 0))
        is_shown = len(content) == 32  # a salt
        found[kind] = (shown + is_shown, withheld + (not is_shown))
    return found


async def test_the_court_gets_everything_that_concerns_the_case(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        await build(store, probe.dsn, tmp_path, one, two)
        keys = [*one.keys, *two.keys]
        await pack(probe.dsn, tmp_path / "out", witness_keys=keys)
    trusted = tmp_path / "trusted"
    trusted.write_text("\n".join(key.text for key in [*log_keys(), *keys]))
    code, found = verify(tmp_path / "out", "--keys", trusted)
    assert code == PROVEN
    kinds = shown_by_kind(tmp_path / "out")
    assert kinds.keys() == EVERYTHING
    assert all(withheld == 0 for _, withheld in kinds.values())
    assert kinds["caseload_entry"] == (5, 0)  # order, two conditions, two devices
    assert (kinds["fix"], kinds["alert_change"], kinds["delivery"]) == ((16, 0), (4, 0), (3, 0))
    assert found["logs"][0]["mldsa44"] == ["cordon.test/log", "w1.test", "w2.test"]
    assert found["missing"] == [{"device": "tag-1", "first": 4712, "last": 4719, "reports": 8}]
    said = json.loads((tmp_path / "out" / "custody.jsonl").read_text().splitlines()[-1])
    assert (said["exported_by"], said["recipient"]) == ("Sgt Kim", "the court")


@pytest.mark.parametrize("side", ["court", "wearer"])
async def test_a_record_erased_between_others_shows_its_place_and_whose_decision_it_was(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """Each in a segment of its own: that of what was erased holds nothing else of the case."""
    monkeypatch.setattr(sealing, "SEGMENT_BATCHES", 1)
    await build(store, probe.dsn, tmp_path)
    sealer = sealer_of(probe.dsn, tmp_path)
    for number in (5, 6, 7):
        change = change_of(number)
        change = msgspec.structs.replace(change, time=to_iso(NOW_US + number * SECOND_US))
        await store.write_alerts(alert_entries((10 + number, msgspec.json.encode(change))))
        await sealer.turn()
    alert = change_of(6).data.alert_id
    window = (NOW_US + 6 * SECOND_US, NOW_US + 6 * SECOND_US + 1)
    order = Order("retention", "job", "the night's run", "*", *window, "over")
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        await erase(connection, Plan({"alert_change": {alert: (window,)}}), order, NOW_US)
    await sealer.turn()
    await pack(probe.dsn, tmp_path / "out", side)
    code, found = verify(tmp_path / "out")
    assert code == NOT_WITNESSED, found
    withheld = {run["kind"]: run["withheld"] for run in found["runs"]}
    report = (tmp_path / "out" / "report.pdf").read_bytes()
    if side == "court":
        assert withheld["alert_change"] == [6]
        assert "by the night's run, asked for by job (both as stated): over" in found["erasures"][0]
        assert b"night" in report
    else:  # he is not told of alerts, so not of what became of them
        assert "alert_change" not in withheld
        assert found["erasures"] == []
        assert b"night" not in report


async def test_custody_is_sealed_and_the_next_pack_shows_it(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await packed(store, probe, tmp_path, "court")
    await sealer_of(probe.dsn, tmp_path).turn()
    with pytest.raises(ExportError, match="not empty"):
        await pack(probe.dsn, tmp_path / "out")
    steps = probe.ask("SELECT step, actor, shown, length(manifest_sha256) FROM evidence.disclosure")
    assert [row[0] for row in steps] == ["opened", "written", "opened", "failed"]
    assert steps[1][1:] == (
        "Sgt Kim",
        probe.value("SELECT max(shown) FROM evidence.disclosure"),
        32,
    )
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack(probe.dsn, tmp_path / "again")
    assert verify(tmp_path / "again")[0] == NOT_WITNESSED
    assert shown_by_kind(tmp_path / "again")["disclosure"] == (4, 0)


async def test_what_changes_in_the_caseload_is_kept_once(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    assert probe.count("caseload_entry") == 5
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO caseload.caseload_version (version, sha256, document) SELECT 2, 'x', "
            "jsonb_set(document, '{orders,0,conditions}', (document #> '{orders,0,conditions}') - 1)"
            " FROM caseload.caseload_version"
        )
    await sealer_of(probe.dsn, tmp_path).turn()
    await sealer_of(probe.dsn, tmp_path).turn()
    assert probe.ask(
        "SELECT entry, document::text FROM evidence.caseload_entry WHERE version = 2"
    ) == [("condition/c2", "null")]


def encodings(lat_e7: int, lon_e7: int) -> Iterator[bytes]:
    """Each way in which a pack, or anything near it, writes a coordinate down."""
    for value in (lat_e7, lon_e7):
        degrees = value / 1e7
        yield str(value).encode()
        yield struct.pack(">i", value)
        yield struct.pack("<i", value)
        yield struct.pack(">d", degrees)
        yield struct.pack("<d", degrees)
        for digits in (4, 5, 6, 7):
            yield f"{degrees:.{digits}f}".encode()
        yield repr(degrees).encode()


def everything_in(folder: Path) -> bytes:
    """All bytes of a pack, and once more what stands there in hexadecimal, as bytes."""
    parts = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            parts += [path.name.encode(), data, *unpacked(path, data)]
    return b"\0".join(parts)


def unpacked(path: Path, data: bytes) -> Iterator[bytes]:
    if path.name == "records.jsonl":
        for line in data.splitlines():
            yield from (bytes.fromhex(part) for part in json.loads(line)[4:])


async def test_his_side_holds_no_byte_of_where_she_was(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    found = await packed(store, probe, tmp_path, "wearer", charged=frozenset({"a1"}))
    whole = everything_in(tmp_path / "out")
    place = (round(CENTRE[0] * 1e7), round(CENTRE[1] * 1e7))
    for secret in {code for pair in [*HERS, place] for code in encodings(*pair)}:
        assert secret not in whole, secret
    for text in (b"handset-1", b"412.25", b"her home", b"beacon_seen", b'"near"'):
        assert text not in whole, text
    # The same search does find what is there.
    assert struct.pack(">i", HIS[3][0]) in whole
    assert str(HIS[3][0] / 1e7).encode() in whole
    kinds = shown_by_kind(tmp_path / "out")
    assert kinds["fix"] == (8, 0)
    assert kinds["message"] == (8, 1)  # the one that heard her
    assert kinds["event"] == (0, 1)
    assert kinds["command"] == (0, 1)
    assert kinds["caseload_entry"] == (2, 2)
    assert (kinds["alert_change"], kinds["delivery"]) == ((0, 4), (0, 3))
    assert found["devices"] == ["tag-1"]
    assert {"decision", "fix"} <= found["absent"].keys()


async def test_when_there_were_alerts_is_not_told_to_his_side(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    found = await packed(store, probe, tmp_path, "wearer")
    kinds = shown_by_kind(tmp_path / "out")
    assert not kinds.keys() & {"decision", "alert_change", "delivery"}
    assert {"decision", "alert_change", "delivery"} <= found["absent"].keys()


async def test_her_side_holds_no_position_of_his(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await packed(store, probe, tmp_path, "protected")
    whole = everything_in(tmp_path / "out")
    for secret in {code for pair in HIS for code in encodings(*pair)}:
        assert secret not in whole, secret
    kinds = shown_by_kind(tmp_path / "out")
    assert (kinds["fix"], kinds["decision"], kinds["alert_change"]) == ((8, 0), (2, 0), (4, 0))


async def test_a_refuge_is_withheld_with_the_bytes_it_came_in(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    refuge = (NOW_US + 150 * SECOND_US, NOW_US + 270 * SECOND_US)
    await packed(store, probe, tmp_path, "court", withheld_us=(refuge,))
    whole = everything_in(tmp_path / "out")
    for place in HERS[3:5]:
        codes = [
            code for code in encodings(*place) if len(code) != 7
        ]  # four digits: a zone's corner
        assert not [code for code in codes if code in whole]
    assert shown_by_kind(tmp_path / "out")["fix"] == (12, 4)


async def test_devices_of_others_and_other_times_stay_out(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM evidence.caseload_entry")
    with pytest.raises(ExportError, match="holds no order o1"):
        await pack(probe.dsn, tmp_path / "out")
