"""Records are CBOR as others read it, and nothing else is taken for one."""

from __future__ import annotations

from contextlib import suppress

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from evidence.log.canonical import Value, decode, encode

WHOLE = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary()
RECORDS = st.lists(WHOLE | st.floats(allow_nan=False), min_size=1)


@given(RECORDS)
def test_any_cbor_library_reads_a_record(record: list[Value]) -> None:
    assert cbor2.loads(encode(record)) == record


@given(st.lists(WHOLE))
def test_but_for_floats_it_is_the_canonical_form_of_others(record: list[Value]) -> None:
    assert encode(record) == cbor2.dumps(record, canonical=True)


@given(RECORDS)
def test_what_was_written_is_read_again(record: list[Value]) -> None:
    assert decode(encode(record)) == record


@given(
    st.binary(max_size=40)
    | RECORDS.map(encode).flatmap(lambda data: st.integers(0, len(data)).map(lambda n: data[:n]))
)
def test_other_bytes_are_refused_as_such(data: bytes) -> None:
    with suppress(ValueError):
        assert encode(decode(data)) == data
