"""A folder that a power cut leaves is whole if its manifest is there, whatever came before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import psycopg
import pytest

from devices.store import update_tables
from evidence.export_folder import MANIFEST as PACK_MANIFEST
from evidence.handover_export import PROGRESS, hand_over
from evidence.handover_tables import MANIFEST, HandoverError, Manifest
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.custody import of_device
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import sealer_of, store_some
from tests.evidence.test_export import NOT_WITNESSED, verify, written
from tests.power.disk import Disk
from tests.power.mounted import LossyDisk, Nothing
from tests.power.sweep import Found, states

pytestmark = pytest.mark.timeout(300)

STATES, EACH = 4, 5


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "none"


def check_sweep(disk: Disk, done: int, folder: Path, manifest: str, files: dict[str, str]) -> None:
    """Every state is without a manifest, or with it and all files; the latter once it is done."""
    found, whole, unfinished = Found(folder), 0, 0
    for moment, left in states(disk, STATES, each=EACH):
        out = found.with_(left) / "out"
        if (out / manifest).exists():
            assert {name: digest(out / name) for name in files} == files
            whole += 1
        else:
            assert moment < done
            unfinished += 1
    assert whole
    assert unfinished


async def test_a_pack_with_a_manifest_is_whole(
    store: Store, probe: Probe, lossy: LossyDisk, tmp_path: Path
) -> None:
    await store_some(store, 1)
    await sealer_of(probe.dsn, tmp_path).turn()
    await sealer_of(probe.dsn, tmp_path).turn()
    out = lossy.folder / "out"
    asked = of_device("tag-1", NOW_US, NOW_US + 5_000_000)
    await written(probe.dsn, out, asked, [], quorum=0)
    done = lossy.changes()
    lines = (out / PACK_MANIFEST).read_text().splitlines()
    files = {name: sum_ for sum_, name in (line.split("  ") for line in lines)}
    assert files.keys() >= {"records.jsonl", "proof.json", "verify.py", "report.pdf"}
    check_sweep(lossy.disk(), done, tmp_path / "found", PACK_MANIFEST, files)
    lossy.disk().replayed(done).after_cut(Nothing()).save(tmp_path / "after")
    assert verify(tmp_path / "after" / "out")[0] == NOT_WITNESSED


async def test_a_hand_over_with_a_manifest_is_whole_and_one_without_goes_on(
    store: Store, probe: Probe, lossy: LossyDisk, tmp_path: Path
) -> None:
    await store_some(store, 1)

    async def record() -> None: ...

    async def run(folder: Path) -> Manifest:
        async with await psycopg.AsyncConnection.connect(
            probe.dsn, autocommit=True, options="-c timezone=UTC"
        ) as connection:
            await update_tables(connection)
            return await hand_over(connection, folder, record, lambda _: None)

    manifest = await run(lossy.folder / "out")
    done = lossy.changes()
    files = {file.name: file.sha256 for file in manifest.files}
    disk = lossy.disk()
    check_sweep(disk, done, tmp_path / "found", MANIFEST, files)
    resumed = Found(tmp_path / "resumed")
    for moment, left in states(disk, 2, each=max(len(disk.log) // 8, 1)):
        out = resumed.with_(left) / "out"
        if not (out / MANIFEST).exists():
            assert moment < done
            if not (out / PROGRESS).exists() and out.exists() and any(out.iterdir()):
                with pytest.raises(HandoverError, match="empty folder"):
                    await run(out)
                continue
            await run(out)
        read = msgspec.json.decode((out / MANIFEST).read_bytes(), type=Manifest)
        assert {name: digest(out / name) for name in files} == {
            file.name: file.sha256 for file in read.files
        }
