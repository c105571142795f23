"""What a request for a pack may say: through this program, and from any other that has the database's functions."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.instants import to_iso
from evidence import approvals
from evidence.approvals import ApprovalError, Connection
from tests.conftest import Database
from tests.evidence.approving import REFUGE, as_asked_before, raw, used, wanted
from tests.evidence.case_world import FROM_US, SECOND_US, TO_US


@pytest.mark.parametrize(
    "changes",
    [
        {"case": " "},
        {"recipient": ""},
        {"purpose": " "},
        {"window": (TO_US, FROM_US)},
        {"window": (FROM_US, FROM_US + 367 * 86_400 * SECOND_US)},
        {"side": "press"},
        {"device": "tag-1", "side": "wearer"},
    ],
)
async def test_what_a_request_does_not_say_is_refused(
    connection: Connection, changes: dict[str, Any]
) -> None:
    with pytest.raises(ApprovalError, match="A request names"):
        await approvals.request(connection, wanted(**changes))


async def test_a_pack_of_an_order_takes_a_grant_of_its_own_case(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="a grant of the same case"):
        await raw(connection, grant_case="o2")
    made = await as_asked_before(connection, grant_case="o2")
    with pytest.raises(ApprovalError, match="a grant of another case than its own"):
        await approvals.use(connection, made, "", "d1")
    of_device = await raw(connection, in_case="device/tag-1", grant_case="26/118")
    found = await approvals.find(connection, of_device)
    assert (found.grant_case, found.role, found.grant_purpose) == (
        *("26/118", "investigator", "disclosure"),
    )


FROM, TO = (to_iso(instant) for instant in REFUGE)
UNREADABLE = {
    "ends before it begins": f"{TO}/{FROM}",
    "is empty": f"{FROM}/{FROM}",
    "another offset": f"{FROM.replace('Z', '+00:00')}/{TO}",
    "no fraction": f"{FROM[:19]}Z/{TO}",
    "no order": f"{TO}/{to_iso(TO_US)} {FROM}/{TO}",
    "two spaces": f"{FROM}/{TO}  {TO}/{to_iso(TO_US)}",
    "a space": " ",
    "no interval": "from one to two",
    "one end": FROM,
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_withheld_is_written_as_verifiers_read_it(
    connection: Connection, name: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="what is withheld are"):
        await raw(connection, withheld=UNREADABLE[name])
    made = await as_asked_before(connection, withheld=UNREADABLE[name])
    with pytest.raises(ApprovalError, match="in a way that can be read"):
        await approvals.use(connection, made, "", "d1")
    query = "SELECT evidence.use_pack_request(%s, '', 'd1')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="in a way that can be read"):
        await connection.execute(query.encode(), (made,))
    assert (await approvals.find(connection, made)).used_us is None, "it stays good"


async def test_no_day_of_the_calendar_uses_no_approval_up(connection: Connection) -> None:
    """What the form alone does not show."""
    made = await raw(connection, withheld=f"{FROM[:5]}13-41{FROM[10:]}/{FROM[:5]}13-42{TO[10:]}")
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    with pytest.raises(ApprovalError, match="in a way that can be read"):
        await approvals.use(connection, made, "", "d1")
    assert (await approvals.find(connection, made)).used_us is None


@given(
    intervals=st.lists(
        st.tuples(st.integers(FROM_US, TO_US), st.integers(1, TO_US - FROM_US)), max_size=4
    )
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_intervals_go_through_the_database_as_they_are(
    connection: Connection, intervals: list[tuple[int, int]]
) -> None:
    asked_us = tuple((start, start + length) for start, length in intervals)
    made = await approvals.request(connection, wanted(withheld_us=asked_us))
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    asked = await used(connection, made)
    assert asked.withheld_us == tuple(sorted(asked_us))


async def test_what_is_withheld_begins_before_it_ends(connection: Connection) -> None:
    with pytest.raises(ApprovalError, match="begins before it ends"):
        await approvals.request(connection, wanted(withheld_us=(REFUGE, REFUGE[::-1])))


NAMES = st.text(st.sampled_from("aiA éÉñÑßẞİI\u00a0\u3000\ufeff\x1c"), max_size=4)
PLAIN: Any = import_module("evidence.verifier.custody").plain


@given(one=NAMES, other=NAMES)
def test_names_are_one_persons_wherever_a_verifier_says_so(one: str, other: str) -> None:
    for same in (one.upper(), one.lower(), f" {one}\u3000", other):
        if PLAIN(one) == PLAIN(same):
            assert approvals.same_person(one, same)
    assert approvals.same_person("Insp Okafor", "Sgt Kim") is False


@pytest.mark.parametrize("same", ["INSP NÚÑEZ", "insp\u00a0núñez"])
async def test_nobody_approves_their_own_in_other_letters(
    connection: Connection, same: str
) -> None:
    """Also where the server knows no collation for them."""
    await connection.execute(
        "CREATE OR REPLACE FUNCTION evidence.same_person(one text, other text) RETURNS boolean"
        " LANGUAGE sql IMMUTABLE RETURN one = other"
    )
    made = await approvals.request(connection, wanted(by="Insp Núñez"))
    with pytest.raises(ApprovalError, match="Nobody decides about their own request"):
        await approvals.decide(connection, made, same, "", approved=True)
    # As other programs can then, and as it was before.
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    query = "UPDATE evidence.pack_decision SET decided_by = %s"
    await connection.execute(query.encode(), (same,))
    with pytest.raises(ApprovalError, match="Who approved this request is who asked for it"):
        await approvals.use(connection, made, "", "d1")
    assert (await approvals.find(connection, made)).used_us is None


@pytest.mark.parametrize("same", ["INSP NÚÑEZ", "insp\u00a0núñez"])
async def test_the_database_knows_other_letters_than_ascii(
    connection: Connection, same: str
) -> None:
    cursor = await connection.execute(
        "SELECT FROM pg_collation WHERE collname IN ('pg_unicode_fast', 'und-x-icu', 'pg_c_utf8')"
    )
    if await cursor.fetchone() is None:
        pytest.skip("this server has no collation that knows letters")
    made = await approvals.request(connection, wanted(by="Insp Núñez"))
    decide = "SELECT evidence.decide_pack(%s, %s, true, '')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="their own request"):
        await connection.execute(decide.encode(), (made, same))
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    await connection.execute("UPDATE evidence.pack_decision SET decided_by = %s", (same,))
    query = "SELECT evidence.use_pack_request(%s, '', 'd1')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is who asked for it"):
        await connection.execute(query.encode(), (made,))


async def test_of_two_first_decisions_one_counts(
    connection: Connection, database: Database
) -> None:
    made = await approvals.request(connection, wanted())
    async with await Connection.connect(database.dsn) as first:
        await approvals.decide(first, made, "Insp Okafor", "", approved=False)  # not committed yet
        other = asyncio.create_task(
            approvals.decide(connection, made, "Supt Lee", "", approved=True)
        )
        async with asyncio.timeout(20):
            while not await _waits(first):
                assert not other.done()
        await first.commit()
        with pytest.raises(ApprovalError, match="It is decided already"):
            await other
    assert (await approvals.find(connection, made)).decided_by == "Insp Okafor"


async def _waits(connection: Connection) -> bool:
    """Whether somebody waits for what this connection holds."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM pg_locks l WHERE NOT l.granted"
        " AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)))"
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])
