"""Ten attacks on a live database, by its administrator. A witness's head shows every one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from evidence.audit import Audit, audit
from evidence.log.notes import Checkpoint, parse_checkpoint
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.forger import Forger
from tests.evidence.sealing_world import (
    ORIGIN,
    SEEDS,
    log_keys,
    sealer_of,
    store_some,
    witness_here,
)

PAIR = SEEDS.pair(ORIGIN, 0x01)
BATCHES = 6

PLANTED = (
    "INSERT INTO evidence.fix SELECT time, seq, received_at, journal_position, message, lat_e7,"
    " lon_e7, accuracy_cm, speed_cms, course_cdeg, altitude_dm, satellites, hdop_c, kind,"
    " battery_pct, charging, buffered, 'tag-planted', stored_in FROM evidence.fix"
    " WHERE stored_in = %s LIMIT 1"
)
MODIFIED = "UPDATE evidence.fix SET lat_e7 = lat_e7 + 1 WHERE stored_in = %s AND device = 'tag-1'"
DELETED = (
    "DELETE FROM evidence.fix WHERE (device, seq) ="
    " (SELECT device, min(seq) FROM evidence.fix WHERE stored_in = %s GROUP BY 1 LIMIT 1)"
)
BACK_DATED = (
    "UPDATE evidence.fix SET received_at = received_at - interval '1 hour' WHERE stored_in = %s"
)


def swapped(first: str, second: str) -> str:
    """Exchange the positions of two fixes, each named by a condition."""
    return (
        "WITH pair AS (SELECT device, seq, lat_e7, lon_e7, journal_position, stored_in"
        f" FROM evidence.fix WHERE stored_in = %s AND (({first}) OR ({second})))"
        " UPDATE evidence.fix f SET lat_e7 = o.lat_e7 + 7, lon_e7 = o.lon_e7"
        " FROM pair p JOIN pair o ON (p.device, p.seq) <> (o.device, o.seq)"
        " WHERE f.device = p.device AND f.seq = p.seq"
    )


async def plain(forger: Forger, statement: str) -> None:
    _, transaction = forger.batch_of_rows()
    assert forger.do(statement, transaction) >= 1


async def rebuilt(forger: Forger, statement: str, *, with_key: bool) -> None:
    await plain(forger, statement)
    await forger.rebuild(PAIR if with_key else None)


async def cut_off(forger: Forger) -> None:
    forger.cut_off(BATCHES - 2)
    await forger.rebuild(PAIR)


SAME = swapped("device = 'tag-1' AND seq %% 100 = 0", "device = 'tag-1' AND seq %% 100 = 1")
OTHER = swapped("device = 'tag-1' AND seq %% 100 = 0", "device = 'tag-2' AND seq %% 100 = 1")

ATTACKS: dict[str, tuple[Callable[[Forger], Awaitable[None]], bool]] = {
    "modify a row": (lambda f: plain(f, MODIFIED), True),
    "delete a row": (lambda f: plain(f, DELETED), True),
    "swap two rows of a device": (lambda f: plain(f, SAME), True),
    "swap rows of two devices": (lambda f: plain(f, OTHER), True),
    "plant a row of a new device": (lambda f: plain(f, PLANTED), True),
    "modify and rebuild without the key": (lambda f: rebuilt(f, MODIFIED, with_key=False), True),
    "cut off the end": (cut_off, False),
    "modify and rebuild with the key": (lambda f: rebuilt(f, MODIFIED, with_key=True), False),
    "delete and rebuild with the key": (lambda f: rebuilt(f, DELETED, with_key=True), False),
    "back-date and rebuild with the key": (lambda f: rebuilt(f, BACK_DATED, with_key=True), False),
}
"""What is done, and whether the signed log alone shows it. The rest needs the witness."""


async def check(dsn: str, *heads: Checkpoint) -> Audit:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        return await audit(connection, log_keys(), [("the witness", head) for head in heads])


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_found(name: str, store: Store, probe: Probe, tmp_path: Path) -> None:
    attack, alone = ATTACKS[name]
    with witness_here(tmp_path, "w1.test") as witness:
        sealer = sealer_of(probe.dsn, tmp_path, witness)
        for number in range(1, BATCHES + 1):
            if number != 3:  # an empty batch among them
                await store_some(store, number)
            await sealer.turn()
        note = witness.newest(ORIGIN)
        assert note is not None
        head = parse_checkpoint(note.text)
        before = await check(probe.dsn, head)
        assert before.findings == []
        assert before.batches == BATCHES
        await attack(Forger(probe.dsn))
        assert bool((await check(probe.dsn)).findings) == alone
        assert (await check(probe.dsn, head)).findings
