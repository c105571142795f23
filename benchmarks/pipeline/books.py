"""Counts a run from outside: every report published against the journal and the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.pipeline.spec import SENT_DTYPE, LoadResult
from cordon.connections import Endpoints, connect_nats
from devices.reports import decode_batch
from ingest.reader import StreamReader
from ingest.streams import JOURNAL, journal_subject

POLL_S = 0.5
READ_WAIT_S = 1.0
_SEQS = 1 << 40
"""A key is the device's index times this, plus the report's number."""

Keys = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Published:
    """Keys of what a generator published, and whether each was acknowledged."""

    fixes: Keys
    fixes_acknowledged: Keys
    events: Keys
    events_acknowledged: Keys


@dataclass(frozen=True, slots=True)
class Books:
    """What became of the reports.

    Attributes:
        published, acknowledged: Fixes and events, each report once.
        journaled, stored: Of the published ones.
        lost: Acknowledged, and not in the database.
        duplicate_rows: Rows of the database that say what another one says.
        last_us: When the last batch of the journal was closed.
    """

    published: int
    acknowledged: int
    journaled: int
    stored: int
    lost: int
    duplicate_rows: int
    last_us: int


def published(result: LoadResult) -> Published:
    """The keys of everything a generator sent."""
    sent = np.frombuffer(result.sent, SENT_DTYPE)
    events = sent["is_event"]
    acknowledged = sent["acknowledged"]
    return Published(
        _spread(sent[~events]),
        _spread(sent[~events & acknowledged]),
        _spread(sent[events]),
        _spread(sent[events & acknowledged]),
    )


def _spread(sent: NDArray[np.void]) -> Keys:
    """One key for each report of messages that hold several."""
    counts = sent["count"].astype(np.int64)
    first = sent["device"].astype(np.int64) * _SEQS + sent["seq"]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(first, counts) + within, np.int64)


async def count(result: LoadResult, endpoints: Endpoints, *, limit_s: float) -> Books:
    """Compare, waiting up to `limit_s` for the database to have everything acknowledged."""
    sent = published(result)
    index = {name: number for number, name in enumerate(result.devices)}
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while True:
        fixes, events, duplicates = await _stored(endpoints.dsn, index)
        lost = _missing(sent.fixes_acknowledged, fixes) + _missing(sent.events_acknowledged, events)
        if not lost or loop.time() > end_s:
            break
        await asyncio.sleep(POLL_S)
    journaled, last_us = await _journaled(endpoints, index)
    return Books(
        published=sent.fixes.size + sent.events.size,
        acknowledged=sent.fixes_acknowledged.size + sent.events_acknowledged.size,
        journaled=sum(keys.size - _missing(keys, journaled) for keys in (sent.fixes, sent.events)),
        stored=sent.fixes.size
        - _missing(sent.fixes, fixes)
        + sent.events.size
        - _missing(sent.events, events),
        lost=lost,
        duplicate_rows=duplicates,
        last_us=last_us,
    )


def _missing(wanted: Keys, there: Keys) -> int:
    return int(np.count_nonzero(~np.isin(wanted, there)))


async def _journaled(endpoints: Endpoints, index: Mapping[str, int]) -> tuple[Keys, int]:
    """Keys of all reports in the journal, and when its last batch was closed."""
    nc = await connect_nats(endpoints.nats_url, "books")
    found: list[Keys] = []
    last_us = 0
    reader = StreamReader(nc.jetstream(), JOURNAL, journal_subject(0), after=0)
    try:
        while not (found and reader.caught_up):
            for entry in await reader.read(READ_WAIT_S):
                batch = decode_batch(entry.data)
                last_us = max(last_us, batch.received_us)
                devices = np.array([index.get(name, -1) for name in batch.devices], np.int64)
                if batch.fixes.size:
                    found.append(devices[batch.fixes["device"]] * _SEQS + batch.fixes["seq"])
                if batch.events:
                    keys = [index.get(e.device, -1) * _SEQS + e.seq for e in batch.events]
                    found.append(np.array(keys, np.int64))
    finally:
        await reader.close()
        await nc.close()
    return np.concatenate(found), last_us


async def _stored(dsn: str, index: Mapping[str, int]) -> tuple[Keys, Keys, int]:
    """Keys of the fixes and of the events in the database, and rows too many."""
    connection = await psycopg.AsyncConnection.connect(dsn)
    async with connection:
        fixes, twice = await _rows(connection, "fix", index)
        events, twice_too = await _rows(connection, "event", index)
    return fixes, events, twice + twice_too


async def _rows(
    connection: psycopg.AsyncConnection, table: str, index: Mapping[str, int]
) -> tuple[Keys, int]:
    cursor = await connection.execute(
        f"select device, array_agg(seq) from evidence.{table} group by device".encode()  # noqa: S608
    )
    found = [
        index.get(device, -1) * _SEQS + np.array(seqs, np.int64)
        for device, seqs in await cursor.fetchall()
    ]
    keys = np.concatenate(found) if found else np.zeros(0, np.int64)
    return keys, int(keys.size - np.unique(keys).size)
