"""How the rows that the log covers (`evidence.covered_tables`) become payloads. No I/O.

Fixes are many: PostgreSQL hands them over by columns, and NumPy lays out the payloads. Everything
else is a CBOR array: layout, table, then the columns in their order, instants in microseconds since
1970, documents as the text they were stored as.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import numpy as np

from evidence.columns import NullError, read_groups
from evidence.copying import POSTGRES_EPOCH_US
from evidence.covered_tables import FIX, Covered
from evidence.fixes import FIX_WIRE
from evidence.log.canonical import bytes_start, encode, encode_start
from evidence.log.leaves import FIX_PAYLOAD, FIX_VERSION, Row, chain_of
from evidence.partitions import DAY_US


class DamagedRowsError(RuntimeError):
    """Stored rows that no writer of ours can have written, such as a fix without a position."""


Stored = tuple[int, Row]
"""A row, and the transaction that stored it."""

_WIRE = (("chain", "S32"), *FIX_WIRE.items())
STORED_WIRE = {**FIX_WIRE, "stored_in": ">i8"}
"""Columns of fixes as they are read: see `evidence.columns`."""

_FIX_BYTES = np.dtype([("version", "u1")] + [(name, wire) for name, wire in _WIRE])
assert _FIX_BYTES.itemsize == FIX_PAYLOAD.size, "one layout, said twice"


def fix_payloads(found: Sequence[Sequence[Any]]) -> list[Stored]:
    """The fixes of some devices: name, then the columns of `STORED_WIRE`, of each.

    Raises:
        DamagedRowsError: They are not as the schema wants them.
    """
    try:
        sizes, columns = read_groups(STORED_WIRE, [row[1:] for row in found])
    except NullError as error:
        text = "stored fixes have empty columns, which no writer leaves empty"
        raise DamagedRowsError(text) from error
    chains = [chain_of(FIX.name, row[0]) for row in found]
    packed = np.empty(sum(sizes), _FIX_BYTES)
    packed["version"] = FIX_VERSION
    packed["chain"] = np.repeat(np.array(chains, "S32"), sizes)
    for name, _ in _WIRE[1:]:
        packed[name] = columns[name]
    for name in ("time", "received_at"):
        packed[name] += POSTGRES_EPOCH_US
    days = (packed["time"] // DAY_US).tolist()
    data, width = packed.tobytes(), _FIX_BYTES.itemsize
    payloads = [data[at : at + width] for at in range(0, len(data), width)]
    owners = chain.from_iterable(map(repeat, chains, sizes))
    rows = zip(owners, payloads, days, strict=True)
    return list(zip(columns["stored_in"].tolist(), rows, strict=True))


def record_payloads(table: Covered, found: Sequence[Sequence[Any]], layout: int) -> list[Stored]:
    """Rows of another table: transaction, subject, time, then the columns of the table; instants raw.

    A payload is `encode` of layout, name and values. Most values of a column come again and again:
    each is encoded once.

    Raises:
        DamagedRowsError: They are not as the schema wants them.
    """
    start = encode_start(2 + len(table.columns), layout, table.name)
    encoders = [_Instants() if kind == "time" else _Values() for _, kind in table.columns]
    chains, days = _Chains(table.name), _Days()
    rows = []
    for transaction, subject, moment, *values in found:
        parts = [encoder[value] for encoder, value in zip(encoders, values, strict=True)]
        rows.append((transaction, (chains[subject], start + b"".join(parts), days[moment])))
    return rows


class _Values(dict[Any, bytes]):
    """Values of a column, encoded.

    It has one type, so values that are equal are the same. Not so floats (0.0, -0.0): they are not
    kept, nor are bytes, which hardly come again.
    """

    def __missing__(self, value: object) -> bytes:
        if isinstance(value, bytes):
            return _bytes_start(len(value)) + value
        made = encode(value)  # type: ignore[arg-type]
        if not isinstance(value, float):
            self[value] = made
        return made


_bytes_start = lru_cache(maxsize=4096)(bytes_start)


class _Instants(dict[bytes | None, bytes]):
    """Instants of a column, encoded."""

    def __missing__(self, raw: bytes | None) -> bytes:
        made = self[raw] = encode(None if raw is None else _instant_us(raw))
        return made


class _Days(dict[bytes | None, int]):
    """Days since 1970-01-01 of instants."""

    def __missing__(self, raw: bytes | None) -> int:
        if raw is None:
            raise DamagedRowsError("a stored row has no time, which no writer leaves out")
        made = self[raw] = _instant_us(raw) // DAY_US
        return made


class _Chains(dict[str, bytes]):
    """Chains of a table, by subject."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __missing__(self, subject: str) -> bytes:
        made = self[subject] = chain_of(self._table, subject)
        return made


def _instant_us(raw: bytes) -> int:
    """Microseconds since 1970 of an instant on the wire."""
    return int.from_bytes(raw, "big", signed=True) + POSTGRES_EPOCH_US
