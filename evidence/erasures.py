"""What is left of erased records, for those who derive the log again: statements that only read.

Each function runs in its caller's transaction.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime, to_iso
from evidence.log.leaves import NOTHING_GONE, Gone
from evidence.sealing import SEGMENT_BATCHES

Connection = psycopg.AsyncConnection

CASELOAD = "*/caseload"
"""Subject of what went of the caseload itself. No id of a person holds a slash."""

_BATCH = struct.Struct(">IQ")
LEAF = struct.Struct(">32sQ32s")
"""Of what is left of a record: chain, place, commitment."""

BATCHES_AT_ONCE = 500

_SALTS = """
    SELECT k.chain, k.place, k.salt FROM evidence.seal_chain_start s
    JOIN evidence.seal_kept_salt k ON k.chain = s.chain AND k.place > s.length
    LEFT JOIN evidence.seal_chain_start n
        ON (n.log, n.segment, n.chain) = (s.log, s.segment + %s, s.chain)
    WHERE s.log = %s AND s.segment = %s AND s.chain = ANY(%s) AND (n.length IS NULL OR k.place <= n.length)
"""
"""Of a segment's places: a chain can have very many others."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Records that were erased, by whom and why.

    Attributes:
        kind: ``retention``: their time was over; ``erasure``: somebody asked for it.
        subject: Person whose records they were; ``*``: everybody's; `CASELOAD`: versions of that.
        leaves: How many of them the log holds a place for.
        older: How many there were that it has none for: from before the log, or versions.
    """

    erasure_id: UUID
    erased_us: int
    kind: str
    asked_by: str
    approved_by: str
    subject: str
    from_us: int
    to_us: int
    reason: str
    leaves: int
    older: int
    digest: bytes


_ERASURES = (
    "SELECT e.erasure_id, evidence.us(erased_at) AS erased_us, kind, asked_by, approved_by, subject, "
    "evidence.us(from_at) AS from_us, evidence.us(to_at) AS to_us, reason, leaves, older, digest "
    "FROM evidence.erasure e"
)


def erasure_text(one: Erasure) -> str:
    """An erasure, for people."""
    if one.subject == CASELOAD:
        return f"On {to_iso(one.erased_us)} by {one.approved_by} (as stated): {one.reason}"
    return (
        f"{one.leaves} records from {to_iso(one.from_us)} to {to_iso(one.to_us)} were erased on "
        f"{to_iso(one.erased_us)} by {one.approved_by}, asked for by {one.asked_by} (both as stated): "
        f"{one.reason}"
    )


async def all_erasures(connection: Connection) -> list[Erasure]:
    """Every erasure, oldest first."""
    async with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        await cursor.execute(f"{_ERASURES} ORDER BY erased_at, erasure_id".encode())
        return await cursor.fetchall()


async def erasures_over(connection: Connection, from_us: int, to_us: int) -> list[Erasure]:
    """The erasures of records of devices and alerts whose time lies in a window, oldest first."""
    async with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        await cursor.execute(
            _ERASURES.encode()
            + b" WHERE from_at < %s AND to_at > %s AND subject <> %s ORDER BY erased_at, erasure_id",
            (to_datetime(to_us), to_datetime(from_us), CASELOAD),
        )
        return await cursor.fetchall()


async def retained_from_us(connection: Connection) -> int:
    """Before this instant retention has erased something; 0: nothing yet."""
    cursor = await connection.execute(
        "SELECT coalesce(evidence.us(max(to_at)), 0) FROM evidence.erasure "
        "WHERE kind = 'retention' AND subject <> %s",
        (CASELOAD,),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def erasures_of(connection: Connection, chains: Iterable[bytes]) -> list[Erasure]:
    """The erasures that took records out of these chains, oldest first."""
    async with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        await cursor.execute(
            _ERASURES.encode() + b" WHERE erasure_id IN (SELECT g.erasure_id FROM "
            b"evidence.seal_erased_chain g WHERE g.chain = ANY(%s)) ORDER BY erased_at, erasure_id",
            (list(chains),),
        )
        return await cursor.fetchall()


async def erased_between(
    connection: Connection, chains: Mapping[bytes, tuple[int, int]]
) -> dict[tuple[int, int], set[UUID]]:
    """Batches that lost leaves of these chains, with the erasures: by log and number.

    Args:
        connection: In a transaction.
        chains: Of each the first and the last transaction between which batches are wanted.

    Returns:
        Now and then a batch too many, which lost leaves of other chains.
    """
    cursor = await connection.execute(
        "SELECT DISTINCT log, number, erasure_id FROM unnest(%s::bytea[], %s::int8[], %s::int8[]) "
        "AS c (chain, first, last) JOIN evidence.seal_erased_chain USING (chain) "
        "JOIN evidence.seal_erased e USING (erasure_id) JOIN evidence.seal_batch b USING (log, number) "
        "WHERE b.to_transaction > first AND b.from_transaction <= last "
        "AND position(c.chain IN e.leaves) > 0",
        (
            list(chains),
            [first for first, _ in chains.values()],
            [last for _, last in chains.values()],
        ),
    )
    found: dict[tuple[int, int], set[UUID]] = {}
    async for log, number, erasure_id in cursor:
        found.setdefault((log, number), set()).add(erasure_id)
    return found


async def gone_from(
    connection: Connection, log: int, segment: int, numbers: Sequence[int], chains: Iterable[bytes]
) -> list[Gone]:
    """What erasures left of batches, in their order.

    Args:
        connection: In a transaction.
        log: Of the batches.
        segment: Of the batches.
        numbers: Of consecutive batches.
        chains: That have rows in them.
    """
    cursor = await connection.execute(
        "SELECT number, leaves FROM evidence.seal_erased "
        "WHERE log = %s AND number BETWEEN %s AND %s",
        (log, numbers[0], numbers[-1]),
    )
    commitments: dict[int, dict[bytes, dict[int, bytes]]] = {}
    async for number, leaves in cursor:
        of_batch = commitments.setdefault(number, {})
        for chain, place, commitment in LEAF.iter_unpack(leaves):
            of_batch.setdefault(chain, {})[place] = commitment
    cursor = await connection.execute(_SALTS, (SEGMENT_BATCHES, log, segment, list(chains)))
    salts: dict[bytes, dict[int, bytes]] = {}
    async for chain, place, salt in cursor:
        salts.setdefault(chain, {})[place] = salt
    return [
        Gone(commitments.get(number, {}), salts) if number in commitments or salts else NOTHING_GONE
        for number in numbers
    ]


async def digest_of(connection: Connection, erasure_id: UUID) -> tuple[int, bytes]:
    """How many leaves an erasure left, and the SHA-256 that its record has to hold."""
    digest, leaves = hashlib.sha256(), 0
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(
            "SELECT log, number, leaves FROM evidence.seal_erased "
            "WHERE erasure_id = %s ORDER BY log, number",
            (erasure_id,),
        )
        while rows := await cursor.fetchmany(BATCHES_AT_ONCE):
            for log, number, packed in rows:
                leaves += len(packed) // LEAF.size
                digest.update(_BATCH.pack(log, number) + packed)
    return leaves, digest.digest()


async def check_erasures(connection: Connection) -> tuple[int, list[str]]:
    """How many leaves were erased lawfully, and what is wrong, one sentence each.

    Whoever deletes rows and leaves commitments in their place needs a record for it, which the log
    covers and which names him.
    """
    findings: list[str] = []
    known: dict[Any, Erasure] = {one.erasure_id: one for one in await all_erasures(connection)}
    cursor = await connection.execute("SELECT DISTINCT erasure_id FROM evidence.seal_erased")
    for (erasure_id,) in await cursor.fetchall():
        if erasure_id not in known:
            findings.append(f"records were taken out under {erasure_id}, which has no record")
    for erasure_id, record in known.items():
        if await digest_of(connection, erasure_id) != (record.leaves, record.digest):
            findings.append(f"erasure {erasure_id} took out other records than it says")
    return sum(record.leaves for record in known.values()), findings
