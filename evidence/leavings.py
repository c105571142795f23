"""Writes what an erasure leaves of a batch's records, of many batches at once."""

from __future__ import annotations

import struct
from uuid import UUID

from evidence.copying import COPY_HEADER, COPY_TRAILER, ROW_START, SIZE
from evidence.erasures import LEAF, Connection
from evidence.log.leaves import SALT_BYTES
from evidence.log.merkle import HASH_BYTES
from evidence.parting import Parted
from evidence.seal_store import StoredBatch

WAITING_BYTES = 64 * 1024 * 1024
"""So much is kept in memory at the most before it is written: some 900,000 salts."""

_SALT_ROW = struct.Struct(f">{HASH_BYTES}siqi{SALT_BYTES}s")
_START = ROW_START(3) + SIZE(HASH_BYTES)


class Leavings:
    """What one erasure leaves.

    Args:
        connection: In the erasure's transaction.
        erasure_id: Names it.

    Attributes:
        leaves: Records that went.
        stay: Records of the same days that stay.
    """

    def __init__(self, connection: Connection, erasure_id: UUID) -> None:
        self.leaves = 0
        self.stay = 0
        self._connection = connection
        self._erasure_id = erasure_id
        self._chains: set[bytes] = set()
        self._gone: list[tuple[int, int, bytes]] = []
        self._gone_bytes = 0
        self._salts = bytearray()

    async def add(self, batch: StoredBatch, parted: Parted) -> None:
        """Take a batch in; it is written with others, at `write` at the latest."""
        self.leaves += len(parted.gone)
        self.stay += parted.stay
        if parted.gone:
            packed = b"".join(LEAF.pack(*leaf) for leaf in parted.gone)
            self._gone.append((batch.log, batch.number, packed))
            self._gone_bytes += len(packed)
            self._chains.update(chain for chain, _, _ in parted.gone)
        pack = _SALT_ROW.pack
        self._salts += b"".join(
            _START + pack(chain, 8, place, SALT_BYTES, salt) for chain, place, salt in parted.salts
        )
        if len(self._salts) + self._gone_bytes > WAITING_BYTES:
            await self.write()

    async def write(self) -> None:
        """Write what waits."""
        if self._gone:
            await self._write_gone()
        if self._salts:
            async with self._connection.cursor() as cursor, cursor.copy(_COPY_SALTS) as copy:
                await copy.write(COPY_HEADER + self._salts + COPY_TRAILER)
        self._gone, self._gone_bytes, self._salts = [], 0, bytearray()

    async def _write_gone(self) -> None:
        logs, numbers, packed = map(list, zip(*self._gone, strict=True))
        await self._connection.execute(
            "INSERT INTO evidence.seal_erased SELECT log, number, %s, leaves "
            "FROM unnest(%s::int4[], %s::int8[], %s::bytea[]) AS g (log, number, leaves)",
            (self._erasure_id, logs, numbers, packed),
        )
        await self._connection.execute(
            "INSERT INTO evidence.seal_erased_chain SELECT unnest(%s::bytea[]), %s ON CONFLICT DO NOTHING",
            (list(self._chains), self._erasure_id),
        )
        leaves = [leaf for one in packed for leaf in LEAF.iter_unpack(one)]
        await self._connection.execute(  # kept when an erasure before this one took others of their days
            "DELETE FROM evidence.seal_kept_salt k USING unnest(%s::bytea[], %s::int8[]) AS g (chain, place) "
            "WHERE (k.chain, k.place) = (g.chain, g.place)",
            ([chain for chain, _, _ in leaves], [place for _, place, _ in leaves]),
        )


_COPY_SALTS = "COPY evidence.seal_kept_salt (chain, place, salt) FROM STDIN (FORMAT binary)"
