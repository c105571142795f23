"""Payloads of covered rows: each is what encoding it by itself gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.copying import POSTGRES_EPOCH_US
from evidence.covered_payloads import DamagedRowsError, record_payloads
from evidence.covered_tables import Covered
from evidence.log.canonical import encode
from evidence.log.leaves import chain_of

DAY_US = 86_400_000_000
TABLE = Covered(
    "made_up", "who", "at", (("at", "time"), ("n", ""), ("x", ""), ("t", ""), ("b", ""), ("f", ""))
)
INSTANTS = st.sampled_from([-1, 0, DAY_US - 1, DAY_US]) | st.integers(-(2**56), 2**56)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from(["", "tag-1", "tag-2"]),
        INSTANTS,
        st.none() | INSTANTS,
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 1),
        st.none() | st.sampled_from([0.0, -0.0, 1.0]) | st.floats(),
        st.none() | st.sampled_from(["a", "b"]) | st.text(),
        st.none() | st.binary(),
        st.none() | st.booleans(),
    ),
    max_size=20,
)


def on_the_wire(since_2000_us: int | None) -> bytes | None:
    return None if since_2000_us is None else since_2000_us.to_bytes(8, "big", signed=True)


@given(ROWS)
def test_a_payload_is_the_encoding_of_its_row(rows: list[tuple[Any, ...]]) -> None:
    read = [(*row[:2], on_the_wire(row[2]), on_the_wire(row[3]), *row[4:]) for row in rows]
    expected = []
    for transaction, who, at, told, *rest in rows:
        told_us = None if told is None else told + POSTGRES_EPOCH_US
        payload = encode([2, "made_up", told_us, *rest])
        day = (at + POSTGRES_EPOCH_US) // DAY_US
        expected.append((transaction, (chain_of("made_up", who), payload, day)))
    assert record_payloads(TABLE, read, 2) == expected


def test_a_row_without_a_time_is_damaged() -> None:
    with pytest.raises(DamagedRowsError):
        record_payloads(TABLE, [(1, "tag-1", None, None, 1, 0.0, "", b"", None)], 2)
