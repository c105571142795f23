"""A stream that lost its end in a power cut and has grown again is not taken for the one before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import JOURNAL, journal_subject
from ingest.trail import REMEMBERED, Trail, name_of
from tests.ingest.waiting import until
from tests.power.broker import OlderState

SUBJECT = journal_subject(0)
LIMIT_S = 20.0


async def fill(js: JetStreamContext, names: str) -> None:
    for name in names:
        await js.publish(SUBJECT, name.encode(), headers={"Nats-Msg-Id": name})


async def read(reader: StreamReader, count: int) -> str:
    entries: list[Entry] = []
    while len(entries) < count:
        found = await reader.read(LIMIT_S)
        assert found, "nothing came"
        entries += found
    return "".join(entry.data.decode() for entry in entries)


@pytest.mark.parametrize("again", ["x", "xyz", "xyzuvw"], ids=["shorter", "as long", "longer"])
async def test_what_was_read_is_compared_with_what_stands_there(
    broker: EmbeddedBroker, nc: Client, js: JetStreamContext, tmp_path: Path, again: str
) -> None:
    await fill(js, "abc")
    older = OlderState(broker, tmp_path)
    await until(lambda: nc.stats["reconnects"] == 1, "the connection is back")
    trail = Trail()
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, trail=trail)
    await fill(js, "def")
    assert await read(reader, 6) == "abcdef"
    older.bring_back()
    await until(lambda: nc.stats["reconnects"] == 2, "the connection is back again")
    await fill(js, again)
    with pytest.raises(JournalGap, match="lost its end in a power cut") as gap:
        await reader.read(LIMIT_S)
    assert (gap.value.found, gap.value.resume_after) == (0, 3)
    await reader.close()
    reader = StreamReader(js, JOURNAL, SUBJECT, gap.value.resume_after, trail=trail)
    assert await read(reader, len(again)) == again
    await reader.close()


async def test_what_others_know_of_positions_that_were_not_read_counts(
    js: JetStreamContext,
) -> None:
    await fill(js, "abcdef")
    trail = Trail()
    trail.note(4, "another")  # somebody was told so, and has not read it
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, trail=trail)
    assert await read(reader, 3) == "abc"
    with pytest.raises(JournalGap) as gap:
        await reader.read(LIMIT_S)
    assert gap.value.resume_after == 3
    await reader.close()
    reader = StreamReader(js, JOURNAL, SUBJECT, 3, trail=trail)
    assert await read(reader, 3) == "def"
    trail.break_before(3)  # somebody learns that what stands there is new
    with pytest.raises(JournalGap) as gap:
        await reader.read(LIMIT_S)
    assert gap.value.resume_after == 2
    await reader.close()


def test_an_entry_without_a_name_is_told_by_its_content() -> None:
    assert name_of(None, b"a") == name_of({}, b"a") != name_of(None, b"b")
    assert name_of({"Nats-Msg-Id": "n"}, b"a") == name_of({"Nats-Msg-Id": "n"}, b"b") == "n"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("note"), st.integers(1, 40), st.sampled_from("abc")),
            st.tuples(st.just("forget"), st.integers(0, 40), st.just("")),
            st.tuples(st.just("break"), st.integers(1, 40), st.just("")),
        )
    )
)
def test_a_trail_is_a_table_that_is_cut(steps: list[tuple[str, int, str]]) -> None:
    trail, twin, broken = Trail(), dict[int, str](), list[int]()
    for what, position, name in steps:
        if what == "note":
            trail.note(position, name)
            twin[position] = name
        else:
            last = position if what == "forget" else position - 1
            twin = {at: one for at, one in twin.items() if at <= last}
            if what == "forget":
                trail.forget_after(position)
            else:
                trail.break_before(position)
                broken.append(last)
    assert trail.positions() == sorted(twin)
    for at in range(1, 41):
        assert trail.knows(at) == (at in twin)
        assert trail.contradicts(at, "a") == (twin.get(at, "a") != "a")
    assert trail.take_break() == min(broken, default=None)
    assert trail.take_break() is None


def test_a_trail_forgets_the_oldest() -> None:
    trail = Trail()
    for position in range(1, REMEMBERED + 3):
        trail.note(position, "n")
    assert trail.positions() == list(range(3, REMEMBERED + 3))
