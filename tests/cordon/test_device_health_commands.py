"""Figures of devices: of a partition's checkpoint, and through the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.device_figures import DeviceFigures, NoFiguresError, figures_of
from cordon.embedded.broker import EmbeddedBroker, url_of_running
from cordon.errors import CordonError
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair, world

FAR = {"tag-1": (0.0, 0.0), "phone-1": (9000.0, 0.0)}


def test_figures_say_how_each_device_is() -> None:
    room = Room(one_pair())
    for second in range(0, 1300, 60):
        # The tag's clock is 40 s ahead; of the handset every third report is lost.
        room.bring(second, [("tag-1", second + 40.0, 0.0, 0.0), ("phone-1", second, 9000.0, 0.0)])
    room.bring(1300, events=[room.event("phone-1", "permission_off", 1300)])
    phone, tag = figures_of(room.partition.checkpoint())
    assert (phone.device, phone.person, phone.troubles) == ("phone-1", "she", ("permission_off",))
    assert (phone.heard, tag.heard) == (to_iso(room.now_us(1300)), to_iso(room.now_us(1260)))
    assert (tag.clock_ahead_s, tag.clock) == (40.0, "wrong")
    assert (phone.clock_ahead_s, phone.clock) == (0.0, "")
    # Both take their numbers from one counter here, so each misses those of the other.
    assert (tag.open_gaps, tag.missing, tag.duplicates) == (21, 21, 0)


def test_a_checkpoint_of_another_version_has_none() -> None:
    room = Room(one_pair())
    checkpoint = msgspec.structs.replace(room.partition.checkpoint(), sequences=b"")
    with pytest.raises(NoFiguresError):
        figures_of(checkpoint)


def test_without_a_service_it_says_what_to_do(tmp_path: Path) -> None:
    found = CliRunner().invoke(cordon, ["--state", str(tmp_path), "device", "health"])
    assert isinstance(found.exception, CordonError)
    assert "Start the service first" in str(found.exception)


@pytest.mark.timeout(240)
async def test_the_command_reads_what_the_service_keeps(
    broker: EmbeddedBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 9000)
        monkeypatch.setenv("CORDON_BROKER_NATS_URL", broker.nats_url)

        def invoke(*arguments: str) -> str:
            result = CliRunner().invoke(cordon, ["device", "health", *arguments])
            if result.exit_code:  # before the first checkpoint
                assert isinstance(result.exception, CordonError)
                return "[]"
            return result.output

        found: list[DeviceFigures] = []
        for _ in range(200):
            said = await asyncio.to_thread(invoke, "--json")
            found = msgspec.json.decode(said, type=list[DeviceFigures])
            if found and all(one.heard for one in found):
                break
        assert [one.device for one in found] == ["phone-1", "tag-1"]
        table = await asyncio.to_thread(invoke)
        assert table.splitlines()[0].split()[:3] == ["device", "person", "heard"]
        assert "trouble" in await asyncio.to_thread(invoke, "tag-1")
        result = await asyncio.to_thread(
            lambda: CliRunner().invoke(cordon, ["device", "health", "nobody"])
        )
        assert isinstance(result.exception, CordonError)


def test_the_embedded_broker_is_found_by_its_directory(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    assert url_of_running(tmp_path / "nothing") is None
    assert url_of_running(broker._directory) == broker.nats_url
