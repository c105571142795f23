"""The attacker of `test_attacks`: a database administrator, with or without the log's key."""

from __future__ import annotations

from typing import Any

import psycopg

from evidence import seal_reader, seal_store
from evidence.covered import rows_of
from evidence.log.headers import Header
from evidence.log.leaves import Head, seal
from evidence.log.merkle import completed_by, leaf_hash, range_hash, root_of
from evidence.log.notes import Checkpoint, Note
from evidence.log.signing import KeyPair


class Forger:
    """Does to a database what its administrator could."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def do(self, statement: str, *values: Any) -> int:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(statement.encode(), values).rowcount

    def batch_of_rows(self) -> tuple[int, int]:
        """Number of the second batch that has rows, and the transaction that stored them."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "SELECT b.number, f.stored_in FROM evidence.seal_batch b JOIN evidence.fix f "
                "ON f.stored_in >= b.from_transaction AND f.stored_in < b.to_transaction "
                "GROUP BY 1, 2 ORDER BY 1 OFFSET 1 LIMIT 1"
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    def cut_off(self, size: int) -> None:
        """Go back to the first `size` batches, as if the rest had never been."""
        with psycopg.connect(self.dsn) as connection:
            [(start, closed)] = connection.execute(
                "SELECT to_transaction, header FROM evidence.seal_batch WHERE number = %s",
                (size - 1,),
            ).fetchall()
            for table in ("cosignature", "checkpoint"):
                connection.execute(
                    f"DELETE FROM evidence.seal_{table} WHERE size > %s".encode(), (size,)
                )
            connection.execute("DELETE FROM evidence.seal_batch WHERE number >= %s", (size,))
            connection.execute(
                "DELETE FROM evidence.seal_node WHERE (place + 1) << level > %s", (size,)
            )
            connection.execute(
                "UPDATE evidence.seal_log SET size = %s, next_transaction = %s, closed_us = %s",
                (size, start, Header.decode(closed).closed_us),
            )
            for table in ("fix", "message", "batch"):
                connection.execute(
                    f"DELETE FROM evidence.{table} WHERE stored_in >= %s".encode(), (start,)
                )

    async def rebuild(self, pair: KeyPair | None) -> None:
        """Make the log anew over the rows as they are now, as if it had always been so."""
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            [state] = await seal_reader.all_logs(connection)
            chains: dict[bytes, Head] = {}
            nodes: dict[tuple[int, int], bytes] = {}
            for batch in await seal_store.batches_between(connection, 1, 0, state.size):
                rows = await rows_of(connection, batch.span)
                keys = dict(await seal_store.keys_of(connection, {(c, day) for c, _, day in rows}))
                for chain, _, day in rows:
                    if (chain, day) not in keys:
                        keys[chain, day] = bytes(32)
                        await seal_store.add_keys(connection, {(chain, day): bytes(32)})
                leaves = seal(rows, chains, keys)
                old = Header.decode(batch.header)
                header = Header(
                    old.log,
                    old.number,
                    len(leaves),
                    old.opened_us,
                    old.closed_us,
                    root_of(leaves),
                    old.anchor,
                    old.program,
                ).encode()
                nodes.update(completed_by(old.number, leaf_hash(header), nodes.__getitem__))
                await connection.execute(
                    "UPDATE evidence.seal_batch SET header = %s WHERE number = %s",
                    (header, old.number),
                )
            await self._replace_nodes(connection, nodes, chains)
            if pair is not None:
                for size, _ in await seal_reader.all_checkpoints(connection, 1):
                    root = range_hash((0, size), nodes.__getitem__)
                    head = Checkpoint(state.origin, size, root)
                    note = Note(head.text, pair.sign(head.text, 1)).encode()
                    await connection.execute(
                        "UPDATE evidence.seal_checkpoint SET note = %s WHERE size = %s",
                        (note, size),
                    )

    async def _replace_nodes(
        self,
        connection: psycopg.AsyncConnection,
        nodes: dict[tuple[int, int], bytes],
        chains: dict[bytes, Head],
    ) -> None:
        await connection.execute("DELETE FROM evidence.seal_node")
        await connection.execute("DELETE FROM evidence.seal_chain")
        for (level, place), node in nodes.items():
            await connection.execute(
                "INSERT INTO evidence.seal_node VALUES (1, %s, %s, %s)", (level, place, node)
            )
        for chain, head in chains.items():
            await connection.execute(
                "INSERT INTO evidence.seal_chain VALUES (%s, %s, %s)",
                (chain, head.length, head.leaf),
            )
