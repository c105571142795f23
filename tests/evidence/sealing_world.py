"""A log over a database: rows to seal, a guard, witnesses in this process or apart from it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg

from evidence.keys import Crashpoint, Guard, Seeds, load_seeds, no_crash
from evidence.log.signing import COSIGNATURE_ED25519, KeyPair, VerifierKey
from evidence.sealer import Sealer
from evidence.store import Store
from evidence.witness_client import Witness
from evidence.witness_server import WitnessDesk, WitnessMemory, WitnessServer
from tests.evidence.samples import NOW_US, batch_of

ORIGIN = "cordon.test/log"
SEEDS = Seeds("11" * 32, "22" * 32)


def log_keys(origin: str = ORIGIN) -> tuple[VerifierKey, ...]:
    return SEEDS.pair(origin, 0x01).keys


class Ticking:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        self.now_us += 1_000_000
        return self.now_us


@contextlib.contextmanager
def witness_here(folder: Path, name: str, *origins: str) -> Iterator[Witness]:
    """A witness in a thread of this process."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = load_seeds(folder / f"{name}.keys")
    pair = KeyPair(
        name, COSIGNATURE_ED25519, bytes.fromhex(seeds.ed25519), bytes.fromhex(seeds.mldsa44)
    )
    memory = WitnessMemory(folder / f"{name}.sqlite")
    logs = {origin: log_keys(origin) for origin in origins or (ORIGIN, f"{ORIGIN}/2")}
    server = WitnessServer(("127.0.0.1", 0), WitnessDesk(pair, logs, memory, Ticking()))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield Witness(f"http://{host!s}:{port}", pair.keys)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        memory.close()


def sealer_of(
    dsn: str, folder: Path, *witnesses: Witness, crashpoint: Crashpoint = no_crash
) -> Sealer:
    guard = Guard(folder / "log.signed", SEEDS, crashpoint)
    return Sealer(
        dsn,
        guard,
        witnesses,
        Ticking(),
        origin=ORIGIN,
        quorum=min(2, len(witnesses)),
        interval_s=0.05,
        program="cordon test",
        crashpoint=crashpoint,
    )


async def store_some(store: Store, number: int, devices: int = 3, fixes: int = 4) -> None:
    """Store one journal entry: so many fixes of so many devices."""
    rows = [
        (f"tag-{device}", 100 * number + fix, NOW_US + number * 1_000_000 + fix)
        for device in range(devices)
        for fix in range(fixes)
    ]
    await store.write_journal([(number, batch_of(number, rows))])


async def seal_all(sealer: Sealer, dsn: str) -> None:
    """Seal until all is sealed: transactions of others on the same server can make it wait."""
    async with asyncio.timeout(60):
        while True:
            await sealer.turn()
            with psycopg.connect(dsn) as connection:
                waits = connection.execute(
                    "SELECT EXISTS (SELECT FROM evidence.message WHERE stored_in >= l.next_transaction)"
                    " OR EXISTS (SELECT FROM evidence.erasure WHERE stored_in >= l.next_transaction)"
                    " FROM evidence.seal_log l ORDER BY log DESC LIMIT 1"
                ).fetchone()
            if waits == (False,):
                return
            await asyncio.sleep(0.1)
