"""A pack that fails late is gone before it is recorded as failed: a part of one proves itself, too."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from evidence import export_folder
from evidence.export_folder import LeftOverError
from evidence.selection import Asked, ExportError
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.custody import of_device
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import sealer_of, store_some
from tests.evidence.test_export import NOT_WITNESSED, verify, written


@pytest.fixture
async def asked(store: Store, probe: Probe, tmp_path: Path) -> Asked:
    await store_some(store, 1)
    await sealer_of(probe.dsn, tmp_path).turn()
    await sealer_of(probe.dsn, tmp_path).turn()
    return of_device("tag-1", NOW_US, NOW_US + 60_000_000)


def steps(probe: Probe) -> list[str]:
    return [row[0] for row in probe.ask("SELECT step FROM evidence.disclosure ORDER BY step DESC")]


def breaking(folder: Path, fault: Callable[[], None]) -> Callable[[], str]:
    """In place of what writes the last files: all that proves anything is there by then."""

    def page_text() -> str:
        assert {"records.jsonl", "proof.json", "verify.py"} <= {p.name for p in folder.iterdir()}
        assert (folder / "views").is_dir()
        fault()
        return ""

    return page_text


def raising(error: BaseException) -> Callable[..., None]:
    def fault(*_: object) -> None:
        raise error

    return fault


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ExportError),
        (RuntimeError("a mistake of ours"), RuntimeError),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
async def test_what_was_written_is_gone(
    asked: Asked,
    probe: Probe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    seen: type[BaseException],
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(export_folder, "page_text", breaking(out, raising(error)))
        with pytest.raises(seen):
            await written(probe.dsn, out, asked, [])
    assert list(out.iterdir()) == []
    assert steps(probe) == ["opened", "failed"]
    await written(probe.dsn, out, asked, [])  # it can be tried again, at the same place
    assert verify(out)[0] == NOT_WITNESSED


async def test_a_pack_that_cannot_be_recorded_is_gone(
    asked: Asked, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def hang_up() -> None:
        with psycopg.connect(probe.dsn, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def text() -> str:
        breaking(out, hang_up)()
        return "page"

    monkeypatch.setattr(export_folder, "page_text", text)
    with pytest.raises(psycopg.OperationalError):
        await written(probe.dsn, out, asked, [])
    assert list(out.iterdir()) == []
    assert steps(probe) == ["opened"], "whoever approved it is asked again"


async def test_what_cannot_be_removed_is_not_said_to_have_failed(
    asked: Asked, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    error = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(export_folder, "page_text", breaking(out, raising(error)))
    monkeypatch.setattr(export_folder, "empty", raising(error))
    with pytest.raises(LeftOverError, match="yourself: it may hold"):
        await written(probe.dsn, out, asked, [])
    assert steps(probe) == ["opened"]
    assert (out / "records.jsonl").exists()


async def test_what_is_somebody_elses_stays(asked: Asked, probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("theirs")
    with pytest.raises(ExportError, match="not empty"):
        await written(probe.dsn, tmp_path / "full", asked, [])
    assert (tmp_path / "full" / "x").read_text() == "theirs"
    assert steps(probe) == ["opened", "failed"]
