"""Granting, revoking, breaking glass, reviewing, time that passes, and every kind of reading, in any order.

A twin of plain lists says what is allowed; the database has to say the same, and to have a record of
each attempt with the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from evidence import access
from evidence.access import AccessDeniedError, Asking, NewGrant
from evidence.readings import Claim, Extent, open_reading
from tests.conftest import Database
from tests.evidence.access_world import CASE, OTHER_CASE, WINDOW, set_up

ResultT = TypeVar("ResultT")

FILE = "26/4711"
ABOUT = {CASE: {"he-1", "she-1"}, OTHER_CASE: {"he-2", "she-1"}}
OF_EVERYBODY = {"near", "conduct", "replay"}
OF_PEOPLE = {"timeline", "approaches", "overlay", "overlay compare", "conduct", "replay", "export"}
MAY = {
    "investigator": OF_PEOPLE | OF_EVERYBODY | {"fix"},
    "prosecutor": (OF_PEOPLE | {"fix"}) - {"export"},
    "agency": set[str](),
    "auditor": set[str](),
}
HALF_HOUR = 30
"""Minutes. Time passes by these, and everything else ends in the middle of one."""

WHO = st.sampled_from(["ana", "bob"])
CASES = st.sampled_from([CASE, OTHER_CASE, FILE])
SUBJECTS = st.sampled_from(["he-1", "she-1", "he-2", "*", f"case:{CASE}"])
ROLES = st.sampled_from(["investigator", "prosecutor", "agency", "auditor"])
PURPOSES = st.sampled_from(["investigation", "prosecution", "audit"])
KINDS = st.sampled_from(sorted(OF_PEOPLE | OF_EVERYBODY | {"fix"}))


@dataclass(slots=True)
class Authority:
    """A grant, or broken glass: minutes of the twin's clock."""

    found: tuple[str, str, str, str, str]  # who, role, case, subject, purpose
    begins: int
    ends: int
    withdrawn: bool = False

    def in_force(self, now: int) -> bool:
        return self.begins <= now < self.ends and not self.withdrawn


@dataclass(slots=True)
class Twin:
    now: int = 0
    grants: dict[UUID, Authority] = field(default_factory=dict)
    glass: dict[UUID, Authority] = field(default_factory=dict)
    reviewed: set[UUID] = field(default_factory=set)
    attempts: list[tuple[str, str, bool]] = field(default_factory=list)  # who, what, allowed
    tickets: list[tuple[UUID, bool, UUID, int]] = field(default_factory=list)
    """Ticket, whether the caseload knows its subject in its case, authority, when it was opened."""

    def authority(self, found: UUID) -> Authority:
        return {**self.grants, **self.glass}[found]

    def allows(self, wanted: tuple[str, str, str, str, str], kind: str) -> bool:
        _, role, case, subject, _ = wanted
        if kind not in MAY[role] or (subject == "*" and kind not in OF_EVERYBODY):
            return False
        if kind == "near" and subject != "*":
            return False
        if case in ABOUT and subject not in ABOUT[case] | {"*", f"case:{case}"}:
            return False
        return any(
            one.found == wanted and one.in_force(self.now)
            for one in (*self.grants.values(), *self.glass.values())
        )


class GrantsMachine(RuleBasedStateMachine):
    """What people and the clock may do."""

    dsn = ""
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin()
        self.connection = self.do(self.begin())

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    async def begin(self) -> access.Connection:
        connection = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
        await connection.execute(
            "TRUNCATE evidence.access, evidence.access_grant, evidence.access_revocation,"
            " evidence.break_glass, evidence.break_glass_review"
        )
        [[self.zero_us]] = await self.rows(
            "SELECT evidence.us(clock_timestamp())", connection=connection
        )
        return connection

    async def rows(
        self, query: str, *values: Any, connection: access.Connection | None = None
    ) -> list[tuple[Any, ...]]:
        cursor = await (connection or self.connection).execute(query.encode(), values)
        return await cursor.fetchall()

    def teardown(self) -> None:
        self.do(self.connection.close())

    def real_us(self, minutes: int) -> int:
        """An instant of the twin, on the database's clock: it is the past that is moved."""
        return int(self.zero_us + (minutes - self.twin.now) * 60_000_000)

    @rule(
        who=WHO, by=st.sampled_from(["chief", "chief", "ana"]), role=ROLES, case=CASES,
        subject=SUBJECTS, purpose=PURPOSES, begins=st.integers(-4, 2), lasts=st.integers(1, 4),
    )  # fmt: skip
    def grant(
        self, who: str, by: str, role: str, case: str, subject: str, purpose: str, begins: int, lasts: int,
    ) -> None:  # fmt: skip
        start = self.twin.now + begins * HALF_HOUR + HALF_HOUR // 2
        end = start + lasts * HALF_HOUR
        new = NewGrant(
            *(by, "person", who, role, case, subject, purpose),
            *(self.real_us(start), self.real_us(end), "file"),
        )
        everybody = subject == "*"
        proper = role != "auditor" if not everybody else role == "auditor"
        proper |= everybody and (role, purpose) == ("investigator", "investigation")
        try:
            found = self.do(access.grant(self.connection, new))
        except AccessDeniedError:
            assert who == by or not proper
        else:
            assert who != by
            assert proper
            self.twin.grants[found] = Authority((who, role, case, subject, purpose), start, end)

    @rule(which=st.integers(0, 5))
    def revoke(self, which: int) -> None:
        for found, one in list(self.twin.grants.items())[which : which + 1]:
            done = self.do(access.revoke(self.connection, found, "chief", "over"))
            assert done != one.withdrawn
            one.withdrawn = True

    @rule(who=WHO, case=CASES, subject=SUBJECTS)
    def break_glass(self, who: str, case: str, subject: str) -> None:
        glass = access.break_glass(self.connection, who, case, subject, "an emergency", 45)
        wanted = (who, "investigator", case, subject, "emergency")
        now = self.twin.now
        self.twin.glass[self.do(glass)] = Authority(wanted, now, now + HALF_HOUR + HALF_HOUR // 2)

    @rule(which=st.integers(0, 3), reviewer=WHO, justified=st.booleans())
    def review(self, which: int, reviewer: str, *, justified: bool) -> None:
        for found, one in list(self.twin.glass.items())[which : which + 1]:
            work = access.review(self.connection, found, reviewer, "seen", justified=justified)
            try:
                first = self.do(work)
            except AccessDeniedError:
                assert one.found[0] == reviewer
            else:
                assert one.found[0] != reviewer
                assert first == (found not in self.twin.reviewed)
                self.twin.reviewed.add(found)
                one.withdrawn |= first and not justified

    @rule(half_hours=st.integers(1, 4))
    def time_passes(self, half_hours: int) -> None:
        minutes = half_hours * HALF_HOUR
        self.do(self.move(minutes))
        self.twin.now += minutes

    async def move(self, minutes: int) -> None:
        for table, columns in (
            ("access_grant", ("valid_from", "valid_to")),
            ("break_glass", ("opened_at", "expires_at")),
        ):
            moved = ", ".join(f"{one} = {one} - make_interval(mins => %s)" for one in columns)
            query = f"UPDATE evidence.{table} SET {moved}"
            await self.connection.execute(query.encode(), (minutes, minutes))
        await self.connection.execute(
            "UPDATE evidence.access SET at_us = at_us - %s", (minutes * 60_000_000,)
        )

    @rule(
        who=WHO, role=ROLES, case=CASES, kind=KINDS, purpose=PURPOSES | st.just("emergency"),
        subjects=st.lists(SUBJECTS, min_size=1, max_size=2, unique=True),
    )  # fmt: skip
    def read_much(
        self, who: str, role: str, case: str, kind: str, purpose: str, subjects: list[str]
    ) -> None:
        self.reading(Claim(who, role, case, purpose), kind, subjects)

    @rule(which=st.integers(0, 5), kind=KINDS, emergency=st.booleans())
    def read_what_is_granted(self, which: int, kind: str, *, emergency: bool) -> None:
        """By chance alone hardly anything would be allowed."""
        there = self.twin.glass if emergency else self.twin.grants
        for one in list(there.values())[which : which + 1]:
            who, role, case, subject, purpose = one.found
            self.reading(Claim(who, role, case, purpose), kind, [subject])

    def reading(self, claim: Claim, kind: str, subjects: list[str]) -> None:
        twin = self.twin
        expected = [
            twin.allows((claim.actor, claim.role, claim.case, one, claim.purpose), kind)
            for one in subjects
        ]
        twin.attempts += [(claim.actor, kind, allowed) for allowed in expected]
        try:
            tickets = self.do(open_reading(self.connection, claim, Extent(kind, subjects, *WINDOW)))
        except AccessDeniedError:
            assert not all(expected)
        else:
            assert all(expected)
            for ticket, subject in zip(tickets, subjects, strict=True):
                self.note(ticket, claim, kind, subject)

    def note(self, ticket: UUID, claim: Claim, kind: str, subject: str) -> None:
        """What the ticket rests on is a grant or broken glass that allows it."""
        [[found]] = self.do(
            self.rows("SELECT authority FROM evidence.access WHERE ticket = %s", ticket)
        )
        one = self.twin.authority(found)
        assert one.in_force(self.twin.now)
        assert one.found == (claim.actor, claim.role, claim.case, subject, claim.purpose)
        if kind == "fix":
            known = subject in ABOUT.get(claim.case, ())
            self.twin.tickets.append((ticket, known, found, self.twin.now))

    @rule(
        who=WHO,
        case=CASES,
        subject=st.sampled_from(["he-1", "she-1"]),
        kind=st.sampled_from(["fix", "near"]),
    )
    def a_rollback_takes_the_record_along_and_opens_nothing(
        self, who: str, case: str, subject: str, kind: str
    ) -> None:
        asking = Asking("investigator", case, subject, "investigation", (kind,), *WINDOW, who)

        async def within() -> None:
            async with self.connection.transaction():
                await access.open_access(self.connection, asking)

        with pytest.raises(ValueError, match="transaction of its own"):
            self.do(within())

    @rule(which=st.integers(0, 5))
    def use_a_ticket(self, which: int) -> None:
        for ticket, known, found, opened in self.twin.tickets[-1 - which :][:1]:
            good = known and opened == self.twin.now
            good = good and self.twin.authority(found).in_force(self.twin.now)
            try:
                read = self.do(self.read(ticket))
            except AccessDeniedError:
                assert not good
            else:
                assert good
                assert read == 2, "the fixes of one device within the window"

    async def read(self, ticket: UUID) -> int:
        """Within a transaction that is rolled back."""
        await self.connection.execute("BEGIN")
        try:
            return len([1 async for _ in access.read_records(self.connection, ticket, "fix")])
        finally:
            await self.connection.execute("ROLLBACK")

    @invariant()
    def every_attempt_is_recorded_as_it_was_answered(self) -> None:
        found = self.do(self.rows("SELECT who, what, allowed FROM evidence.access"))
        assert sorted(found) == sorted(self.twin.attempts)


@pytest.fixture
async def prepared(database: Database) -> str:
    await set_up(database.dsn)
    return database.dsn


@pytest.mark.timeout(300)
def test_what_may_be_read_is_what_the_twin_allows(prepared: str) -> None:
    chosen = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        phases=(Phase.generate,),  # shrinking would ask a real database for minutes
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with asyncio.Runner() as runner:

        class Machine(GrantsMachine):
            pass

        Machine.dsn, Machine.runner = prepared, runner
        run_state_machine_as_test(Machine, settings=chosen)


def test_a_twin_that_allows_too_much_is_caught(prepared: str) -> None:
    with asyncio.Runner() as runner:

        class Wrong(GrantsMachine):
            pass

        Wrong.dsn, Wrong.runner = prepared, runner
        wrong = Wrong()
        wrong.grant("ana", "chief", "investigator", CASE, "he-1", "investigation", -1, 2)
        wrong.read_what_is_granted(0, "timeline", emergency=False)
        wrong.revoke(0)
        wrong.read_what_is_granted(0, "timeline", emergency=False)
        assert [allowed for *_, allowed in wrong.twin.attempts] == [True, False]
        wrong.every_attempt_is_recorded_as_it_was_answered()
        next(iter(wrong.twin.grants.values())).withdrawn = False
        with pytest.raises(AssertionError):
            wrong.read_what_is_granted(0, "timeline", emergency=False)
        wrong.teardown()
