"""What was decided live is decided again from the database, to the bit; what was altered is named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.errors import CordonError
from cordon.replaying.comparing import Comparison, compare
from cordon.replaying.replay import ReplayError, Told, earliest_us, read_told, reading, replay
from devices.instants import MICROSECONDS, to_datetime, to_iso
from evidence.batches import TornBatchError
from tests.conftest import Database
from tests.cordon.running import HOME, METRE_DEG, World, load, one_pair, until, world
from tests.evidence.granting import grant

pytestmark = pytest.mark.timeout(240)

ASKS = ("--actor", "Sgt Kim", "--purpose", "investigation", "--note", "trial")
ALL = ("--case", "26/118", "--subject", "*")


async def replayed(dsn: str, to_us: int) -> tuple[Told, Comparison]:
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        reading(connection),
    ):
        from_us = await earliest_us(connection)
        known = await read_told(connection, from_us, to_us)
        done = await replay(connection, known, lambda _: None)
        return known, await compare(connection, done.made)


def command(dsn: str, *words: str) -> tuple[int, dict[str, Any]]:
    """What ``cordon replay --json`` says."""
    done = CliRunner().invoke(
        cordon, ["replay", "--json", *ASKS, *words], env={"CORDON_DATABASE_URL": dsn}
    )
    if isinstance(done.exception, CordonError):
        raise done.exception
    assert done.exit_code in {0, 1}, done.output
    return done.exit_code, json.loads(done.stdout)


async def late(seen: World, device: str, north_m: float, ago_s: float, seq: int) -> None:
    """A fix that was made a while ago and is sent now, twice, and once more in an array."""
    fix = {
        "seq": seq,
        "time": to_iso(wall_clock_us() - int(ago_s * MICROSECONDS)),
        "lat": HOME[0] + north_m * METRE_DEG,
        "lon": HOME[1],
        "accuracy_m": 5.0,
    }
    await seen.publish(device, "fix", json.dumps(fix).encode())
    await seen.publish(device, "fix", json.dumps(fix).encode())
    older = {**fix, "seq": seq - 1, "time": to_iso(wall_clock_us() - int(2e6 * ago_s))}
    await seen.publish(device, "fixes", json.dumps([fix, older, fix]).encode())


async def beacon(seen: World, kind: str, seq: int) -> None:
    event = {"seq": seq, "time": to_iso(wall_clock_us()), "type": kind, "peer": "tag-1"}
    await seen.publish("phone-1", "event", json.dumps(event).encode())
    await seen.publish("phone-1", "event", json.dumps(event).encode())


async def approach(seen: World, seq: int) -> None:
    await seen.fix("phone-1", 0)
    await seen.fix("tag-1", 900)
    await seen.fix("tag-1", 300)
    await late(seen, "tag-1", 2_000, 40.0, seq)
    await seen.fix("tag-1", 120)
    await beacon(seen, "beacon_seen", seq)
    await seen.fix("tag-1", 2_500)
    await beacon(seen, "beacon_lost", seq + 1)
    await asyncio.sleep(0)


async def a_stretch(broker: EmbeddedBroker, dsn: str) -> int:
    """An approach, a change of the caseload, a restart in between, and another approach."""
    async with world(broker, dsn, one_pair()) as seen:
        await approach(seen, 10_000)
        await seen.service.wait_for_caseload(await load(dsn, one_pair(alert_m=500.0)))
        await seen.fix("tag-1", 450)
        worker = seen.service.parts.worker
        before = worker.counts.checkpoints
        await until(lambda: worker.counts.checkpoints > before, "a checkpoint")
        await seen.fix("tag-1", 90)  # after it: the next run takes it in again
    async with world(broker, dsn, one_pair(alert_m=500.0)) as seen:
        await approach(seen, 20_000)
        await seen.fix("tag-1", 100)
        await until(lambda: seen.stored() >= set(seen.sent), "the history has every fix")
        partition = seen.service.parts.worker.partition
        await until(
            lambda: seen.query("select count(*) from evidence.decision")[0][0] >= 3,
            "the history has the decisions",
        )
        ticked_us = partition.ticked_us
        await until(
            lambda: seen.service.parts.outgoing.decisions.waiting == 0,
            "decisions are in the stream",
        )
        lane = "select last_sequence from evidence.position where stream = 'DECISIONS'"
        position = seen.service.parts.outgoing.decisions.last_position
        await until(lambda: seen.query(lane)[0][0] >= position, "and in the history")
        return ticked_us


async def test_a_stretch_with_a_restart_is_decided_again_to_the_bit(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    to_us = await a_stretch(broker, database.dsn)
    known, found = await replayed(database.dsn, to_us)
    assert [str(one) for one in found.differences] == []
    assert known.gaps == []
    assert found.stored == found.equal >= 3
    assert len(known.runs) == 2

    grant(database.dsn, "Sgt Kim", "26/118", "*")
    grant(database.dsn, "Sgt Kim", "order-1", "he", "she")
    ended, report = await asyncio.to_thread(command, database.dsn, *ALL, "--to", to_iso(to_us))
    assert (ended, report["exact"], report["stored"]) == (0, True, found.stored)
    _, report = await asyncio.to_thread(command, database.dsn, *ALL, "--rules", report["rules"][0])
    assert report["changes"] == []
    stricter = tmp_path / "stricter.toml"
    stricter.write_text(
        "[rules]\nnoise_scale = 20.0\n"
        '[sensitivity."*"]\nenter_probability = 0.999\nsparse_probability = 0.999\n'
    )
    _, report = await asyncio.to_thread(command, database.dsn, *ALL, "--rules", str(stricter))
    assert report["changes"]
    words = ("--timeline", "evidential", "--case", "order-1")
    _, report = await asyncio.to_thread(command, database.dsn, *words)
    assert report["timeline"] == "evidential"

    with psycopg.connect(database.dsn) as connection:
        read = connection.execute(
            "SELECT subject, count(*) FROM evidence.access WHERE who = 'Sgt Kim' AND what = 'replay' "
            "GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert read == [("*", 3), ("he", 1), ("she", 1)]
        tables = ("batch_rest", "worker_state", "course")
        counts = [connection.execute(f"SELECT count(*) FROM evidence.{t}".encode()) for t in tables]
        assert all(cursor.fetchone() != (0,) for cursor in counts)
        watch = connection.execute(
            "UPDATE evidence.decision SET distance_m = distance_m + 1e-9 WHERE (watch, decided_at, "
            "number) = (SELECT watch, decided_at, number FROM evidence.decision "
            "WHERE distance_m > 1 ORDER BY decided_at LIMIT 1) RETURNING watch"
        ).fetchone()
        connection.commit()
    _, found = await replayed(database.dsn, to_us)
    [difference] = found.differences
    assert watch == ("near/tag-1/phone-1",)
    assert (difference.kind, difference.column) == ("changed", "distance_m")
    assert difference.row["watch"] == "near/tag-1/phone-1"
    assert difference.after.startswith("cordon-gateway")

    with psycopg.connect(database.dsn) as connection:
        connection.execute(
            "DELETE FROM evidence.fix WHERE (time, seq) IN (SELECT time, seq FROM evidence.fix "
            "WHERE device = 'phone-1' ORDER BY time LIMIT 1)"
        )
        connection.commit()
    with pytest.raises(TornBatchError, match="was stored with"):
        await replayed(database.dsn, to_us)
    await see_erasures_named(database.dsn, known.base.at_us, to_us)


async def see_erasures_named(dsn: str, began_us: int, to_us: int) -> None:
    """Of a record that lacks a fix."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        erased(connection, "erasure", began_us - 1, began_us)
        with pytest.raises(ReplayError, match=r"was stored with .* 7 records .* were erased on"):
            await replayed(dsn, to_us)
        erased(connection, "erasure", began_us, began_us + 1)
        with pytest.raises(
            ReplayError,
            match=r"7 records .* by chief, asked for by clerk \(both as stated\): asked",
        ):
            await replayed(dsn, to_us)
        with pytest.raises(CordonError, match="were erased"):
            await asyncio.to_thread(command, dsn, *ALL, "--to", to_iso(to_us))
        erased(connection, "retention", 0, began_us + 1)
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as later,
        reading(later),
    ):
        first_us = await earliest_us(later)
        assert first_us > began_us
        assert (await read_told(later, first_us, to_us)).base.at_us == first_us


def erased(connection: psycopg.Connection, kind: str, from_us: int, to_us: int) -> None:
    """As if records of this time had been erased."""
    connection.execute(
        "INSERT INTO evidence.erasure VALUES (gen_random_uuid(), now(), %s, 'clerk', 'chief', '*', "
        "%s, %s, 'asked', 7, 0, sha256(''))",
        (kind, to_datetime(from_us), to_datetime(to_us)),
    )
