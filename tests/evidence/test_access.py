"""Reading with a grant: recorded first, within the case, for a time; and breaking the glass."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from evidence import access
from evidence.access import AccessDeniedError, Asking, Connection, NewGrant
from evidence.case_records import record_disclosure
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, OTHER_CASE, WINDOW, Login, asking, fill, login
from tests.evidence.conftest import Probe
from tests.evidence.custody import custody
from tests.evidence.samples import DAY_US, NOW_US


@pytest.fixture
async def owner(store: Store, database: Database) -> AsyncIterator[Connection]:
    await fill(database.dsn, store)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def ana(owner: Connection, database: Database) -> AsyncIterator[Login]:
    """An investigator who has been granted nothing yet."""
    assert owner.autocommit, "the schema stands"
    async with login(database.dsn, "cordon_investigator") as person:
        yield person


def now_us(probe: Probe) -> int:
    return int(probe.value("SELECT evidence.us(clock_timestamp())"))


def grant_to(who: str, probe: Probe, **changes: Any) -> NewGrant:
    starts = now_us(probe) - 1_000_000
    values: dict[str, Any] = {
        "granted_by": "chief",
        "kind": "person",
        "grantee": who,
        "role": "investigator",
        "case": CASE,
        "subject": "he-1",
        "purpose": "investigation",
        "valid_from_us": starts,
        "valid_to_us": starts + DAY_US,
        "reason": "file 1",
    }
    return NewGrant(**{**values, **changes})


async def seqs(connection: Connection, wanted: Asking) -> list[int]:
    ticket = await access.open_access(connection, wanted)
    found = []
    for kind in wanted.kinds:
        found += [row async for _, row in access.read_records(connection, ticket, kind)]
    return [row["seq"] for row in found]


async def test_a_grant_opens_one_subject_in_one_case(
    owner: Connection, ana: Login, probe: Probe
) -> None:
    await access.grant(owner, grant_to(ana.name, probe))
    async with ana.connected() as connection:
        assert await seqs(connection, asking()) == [1, 2]
        assert await seqs(connection, asking(from_us=NOW_US + 2)) == [2]
        for refused in (
            asking(subject="she-1"),
            asking(case=OTHER_CASE),
            asking(purpose="prosecution"),
            asking(role="prosecutor"),
            asking(kinds=("fix", "access")),
            asking(kinds=()),
            asking(to_us=WINDOW[0]),
            asking(to_us=WINDOW[1] + 400 * DAY_US),
        ):
            with pytest.raises(AccessDeniedError, match="may not be read"):
                await access.open_access(connection, refused)
        with pytest.raises(AccessDeniedError, match="names its case"):
            await access.open_access(connection, asking(purpose=""))
        with pytest.raises(AccessDeniedError, match="names another person"):
            await access.open_access(connection, asking(who="somebody"))
    tried = probe.ask("SELECT who, allowed FROM evidence.access")
    assert {who for who, _ in tried} == {ana.name}
    assert [allowed for _, allowed in tried].count(False) == 8


async def test_a_grant_in_a_case_of_other_people_opens_nothing(
    owner: Connection, ana: Login, probe: Probe
) -> None:
    await access.grant(owner, grant_to(ana.name, probe, subject="he-2"))
    async with ana.connected() as connection:
        with pytest.raises(AccessDeniedError, match="not about this person"):
            await seqs(connection, asking(subject="he-2"))


async def read_in_one_transaction(connection: Connection, opened: str) -> None:
    async with connection.transaction(), connection.transaction():
        cursor = await connection.execute(opened.encode(), (CASE,))
        [ticket] = await cursor.fetchone() or [None]
        await connection.execute("SELECT * FROM evidence.read_records(%s, 'fix')", (ticket,))


async def test_the_record_survives_whatever_the_reader_does(
    owner: Connection, ana: Login, probe: Probe
) -> None:
    await access.grant(owner, grant_to(ana.name, probe))
    async with ana.connected() as connection:
        with pytest.raises(ValueError, match="transaction of its own"):
            async with connection.transaction():
                await access.open_access(connection, asking())
        # By hand, in one transaction, or below a savepoint: nothing is read.
        opened = (
            "SELECT ticket FROM evidence.open_access('', '', 'investigator', %s, 'he-1',"
            " 'investigation', '{fix}', now() - interval '1 day', now(), '')"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="commit the record"):
            await read_in_one_transaction(connection, opened)
        assert probe.count("access") == 0
        ticket = await access.open_access(connection, asking())
        await connection.execute("BEGIN")
        assert len([row async for row in access.read_records(connection, ticket, "fix")]) == 2
        await connection.execute("ROLLBACK")
    assert probe.ask("SELECT who, subject, what FROM evidence.access") == [
        (ana.name, "he-1", "fix")
    ]


async def test_a_ticket_is_for_its_login_and_for_five_minutes(
    owner: Connection, ana: Login, probe: Probe, database: Database
) -> None:
    await access.grant(owner, grant_to(ana.name, probe))
    async with ana.connected() as connection, login(database.dsn, "cordon_investigator") as bob:
        ticket = await access.open_access(connection, asking())
        async with bob.connected() as other:
            with pytest.raises(AccessDeniedError, match="another login"):
                await anext(access.read_records(other, ticket, "fix"))
            with pytest.raises(AccessDeniedError, match="no such record"):
                await anext(access.read_records(other, uuid.uuid4(), "fix"))
        with pytest.raises(AccessDeniedError, match="does not name this"):
            await anext(access.read_records(connection, ticket, "event"))
        await owner.execute("UPDATE evidence.access SET at_us = at_us - 301000000")
        with pytest.raises(AccessDeniedError, match="older than five minutes"):
            await anext(access.read_records(connection, ticket, "fix"))


async def test_a_grant_ends(owner: Connection, ana: Login, probe: Probe) -> None:
    begins = now_us(probe)
    over = grant_to(ana.name, probe, valid_from_us=begins - DAY_US, valid_to_us=begins)
    await access.grant(owner, over)
    await access.grant(owner, grant_to(ana.name, probe, valid_from_us=begins + 3_600_000_000))
    async with ana.connected() as connection:
        with pytest.raises(AccessDeniedError, match="no grant is in force"):
            await access.open_access(connection, asking())
        grant_id = await access.grant(owner, grant_to(ana.name, probe))
        ticket = await access.open_access(connection, asking())
        assert await access.revoke(owner, grant_id, "chief", "moved")
        assert not await access.revoke(owner, grant_id, "chief", "moved")
        with pytest.raises(AccessDeniedError, match="revoked"):
            await anext(access.read_records(connection, ticket, "fix"))
        with pytest.raises(AccessDeniedError, match="no grant is in force"):
            await access.open_access(connection, asking())
        await access.grant(owner, grant_to("another", probe))
        assert {one.grantee for one in await access.grants(connection)} == {ana.name}
        assert len(await access.grants(connection)) == 3
    states = [one.state(now_us(probe)) for one in await access.grants(owner)]
    assert states == ["in force", "revoked", "to come", "over"]


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_to_us": 0},
        {"valid_to_us": NOW_US + 500 * DAY_US},
        {"granted_by": "ana", "grantee": "ana"},
        {"subject": "*", "purpose": "safeguarding"},
        {"subject": "*", "role": "prosecutor"},
        {"role": "auditor", "purpose": "audit"},
        {"reason": ""},
        {"case": ""},
        {"purpose": "curiosity"},
    ],
)
async def test_what_is_no_grant(owner: Connection, probe: Probe, changes: dict[str, Any]) -> None:
    with pytest.raises(AccessDeniedError, match="breaks the rule"):
        await access.grant(owner, grant_to("ana", probe, **changes))


async def test_an_agency_reads_decisions_and_no_positions(
    owner: Connection, probe: Probe, database: Database
) -> None:
    async with (
        login(database.dsn) as north,
        login(database.dsn, "cordon_agency", north.name) as eve,
    ):
        new = grant_to(north.name, probe, kind="agency", role="agency", purpose="safeguarding")
        await access.grant(owner, new)
        wanted = {"role": "agency", "purpose": "safeguarding", "agency": north.name}
        async with eve.connected() as connection:
            assert await seqs(connection, asking(**wanted, kinds=("decision", "delivery"))) == []
            with pytest.raises(AccessDeniedError, match="does not read all"):
                await access.open_access(connection, asking(**wanted, kinds=("fix",)))
        async with login(database.dsn, "cordon_agency") as stranger, stranger.connected() as other:
            with pytest.raises(AccessDeniedError, match="no grant is in force"):
                await access.open_access(other, asking(**wanted, kinds=("decision",)))


async def test_an_auditor_reads_who_read_and_that_is_recorded_too(
    owner: Connection, ana: Login, probe: Probe, database: Database
) -> None:
    await access.grant(owner, grant_to(ana.name, probe))
    async with ana.connected() as connection:
        await access.open_access(connection, asking())
    await record_disclosure(owner, custody(CASE, *WINDOW), "opened", now_us(probe))
    async with login(database.dsn, "cordon_auditor") as auditor:
        new = grant_to(
            auditor.name, probe, role="auditor", case="audit-1", subject="*", purpose="audit"
        )
        await access.grant(owner, new)
        window = {"from_us": now_us(probe) - DAY_US, "to_us": now_us(probe) + DAY_US}
        wanted = asking(
            role="auditor", case="audit-1", subject="*", purpose="audit",
            kinds=("access", "access_grant", "disclosure"), **window,
        )  # fmt: skip
        async with auditor.connected() as connection:
            ticket = await access.open_access(connection, wanted)
            read = [row async for _, row in access.read_records(connection, ticket, "access")]
            assert [row["who"] for row in read] == [ana.name, auditor.name]
            given = [
                row async for _, row in access.read_records(connection, ticket, "access_grant")
            ]
            assert {row["grantee"] for row in given} == {ana.name, auditor.name}
            out = [row async for _, row in access.read_records(connection, ticket, "disclosure")]
            assert [row["recipient"] for row in out] == ["the court"]


async def test_breaking_the_glass_opens_at_once_and_has_to_be_reviewed(
    owner: Connection, ana: Login, probe: Probe
) -> None:
    emergency = asking(purpose="emergency", subject="she-1")
    async with ana.connected() as connection:
        with pytest.raises(AccessDeniedError, match="no grant"):
            await access.open_access(connection, emergency)
        for reason, minutes in (("short", 10), ("she does not answer", 61)):
            with pytest.raises(AccessDeniedError, match="breaks the rule"):
                await access.break_glass(connection, "", CASE, "she-1", reason, minutes)
        async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as told:
            await told.execute("LISTEN cordon_break_glass")
            glass = await access.break_glass(
                connection, "", CASE, "she-1", "she does not answer", 30
            )
            notices = [notice async for notice in told.notifies(timeout=20, stop_after=1)]
        assert [notice.payload for notice in notices] == [str(glass)]
        assert await seqs(connection, emergency) == [1, 2]
        [waiting] = await access.waiting_reviews(owner)
        assert (waiting.who, waiting.subject) == (ana.name, "she-1")
        with pytest.raises(AccessDeniedError, match="nobody reviews"):
            await access.review(owner, glass, ana.name, "fine", justified=True)
        assert await access.review(owner, glass, "chief", "no call was made", justified=False)
        assert not await access.review(owner, glass, "chief", "again", justified=True)
        assert await access.waiting_reviews(owner) == []
        with pytest.raises(AccessDeniedError, match="no grant"):
            await access.open_access(connection, emergency)


async def test_broken_glass_closes_by_itself(owner: Connection, ana: Login) -> None:
    async with ana.connected() as connection:
        await access.break_glass(connection, "", CASE, "she-1", "she does not answer", 30)
        await owner.execute(
            "UPDATE evidence.break_glass SET opened_at = opened_at - interval '1 hour',"
            " expires_at = expires_at - interval '1 hour'"
        )
        with pytest.raises(AccessDeniedError, match="no grant"):
            await access.open_access(connection, asking(purpose="emergency", subject="she-1"))


ENDS = {
    "grant": (
        "UPDATE evidence.access_grant SET valid_from = now() - interval '1 day', valid_to = now()",
        "has ended since",
    ),
    "glass": (
        (
            "UPDATE evidence.break_glass SET opened_at = opened_at - interval '1 hour',"
            " expires_at = expires_at - interval '1 hour'"
        ),
        "has ended since",
    ),
    "judged": (
        (
            "SELECT evidence.review_break_glass(glass_id, 'chief', false, 'no call was made')"
            " FROM evidence.break_glass"
        ),
        "judged not justified",
    ),
}


@pytest.mark.parametrize("by", ENDS)
async def test_an_open_ticket_ends_with_what_it_rests_on(
    owner: Connection, ana: Login, probe: Probe, by: str
) -> None:
    wanted = asking(purpose="investigation" if by == "grant" else "emergency", subject="she-1")
    await access.grant(owner, grant_to(ana.name, probe, subject="she-1"))
    async with ana.connected() as connection:
        await access.break_glass(connection, "", CASE, "she-1", "she does not answer", 30)
        ticket = await access.open_access(connection, wanted)
        assert [row async for row in access.read_records(connection, ticket, "fix")]
        end, why = ENDS[by]
        await owner.execute(end.encode())
        with pytest.raises(AccessDeniedError, match=why):
            await anext(access.read_records(connection, ticket, "fix"))


async def test_software_that_signs_people_in_names_them(
    owner: Connection, probe: Probe, database: Database
) -> None:
    await access.grant(owner, grant_to("kim", probe))
    async with login(database.dsn, "cordon_operator") as console, console.connected() as connection:
        assert await seqs(connection, asking(who="kim")) == [1, 2]
        with pytest.raises(AccessDeniedError, match="no grant"):
            await access.open_access(connection, asking(who="lee"))
    assert probe.ask("SELECT who, login, allowed FROM evidence.access ORDER BY at_us") == [
        ("kim", console.name, True),
        ("lee", console.name, False),
    ]
