"""Granting, revoking, breaking glass, reviewing, time that passes, and every kind of reading, in any order.

A twin of plain lists says what is allowed; the database has to say the same, and to have a record of
each attempt with the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from evidence import access
from evidence.access import AccessDeniedError, NewGrant
from evidence.readings import Claim, Extent, open_reading
from tests.conftest import Database
from tests.evidence.access_world import CASE, OTHER_CASE, WINDOW, set_up

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

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

KINDS = st.sampled_from(sorted(OF_PEOPLE | OF_EVERYBODY | {"fix"})) | st.just("fix")
VALUES = (
    ("ana", "bob"),
    ("investigator", "prosecutor", "agency", "auditor"),
    (CASE, OTHER_CASE, FILE),
    ("he-1", "she-1", "he-2", "*", f"case:{CASE}"),
    ("investigation", "prosecution", "audit", "emergency"),
)
"""Who, role, case, subject, purpose; the last is no purpose of a grant."""

WHO, ROLES, CASES, SUBJECTS, ANY_PURPOSE = map(st.sampled_from, VALUES)
PURPOSES = st.sampled_from(VALUES[-1][:-1])

WHICH = st.integers(0, 20)
"""Of whatever there is, counted round."""

NAMED = st.sampled_from(
    [
        ("investigator", CASE, "he-1", "investigation"),
        ("investigator", CASE, "she-1", "investigation"),
        ("investigator", CASE, f"case:{CASE}", "investigation"),
        ("investigator", FILE, "*", "investigation"),
        ("investigator", FILE, "he-2", "investigation"),
        ("prosecutor", CASE, "he-1", "prosecution"),
        ("investigator", OTHER_CASE, "he-1", "investigation"),
    ]
)
"""What is granted and asked for in earnest; by chance alone hardly anything would be allowed."""


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


def of(there: Iterable[ItemT], which: int) -> list[ItemT]:
    """One of those; none, where there is none."""
    listed = list(there)
    return [listed[which % len(listed)]] if listed else []


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

    @initialize(granted=st.lists(st.tuples(WHO, NAMED), min_size=2, max_size=4))
    def some_are_granted(self, granted: list[tuple[str, tuple[str, str, str, str]]]) -> None:
        for who, named in granted:
            self.grant(who, "chief", named, -1, 3)

    @rule(
        who=WHO, by=st.sampled_from(["chief", "chief", "chief", "ana"]),
        named=NAMED | st.tuples(ROLES, CASES, SUBJECTS, PURPOSES),
        begins=st.sampled_from([-3, -1, -1, -1, 1]), lasts=st.integers(1, 4),
    )  # fmt: skip
    def grant(
        self, who: str, by: str, named: tuple[str, str, str, str], begins: int, lasts: int
    ) -> None:
        role, case, subject, purpose = named
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

    @rule(which=WHICH)
    def revoke(self, which: int) -> None:
        for found, one in of(self.twin.grants.items(), which):
            done = self.do(access.revoke(self.connection, found, "chief", "over"))
            assert done != one.withdrawn
            one.withdrawn = True

    @rule(who=WHO, named=NAMED)
    def break_glass(self, who: str, named: tuple[str, str, str, str]) -> None:
        _, case, subject, _ = named
        glass = access.break_glass(self.connection, who, case, subject, "an emergency", 45)
        wanted = (who, "investigator", case, subject, "emergency")
        now = self.twin.now
        self.twin.glass[self.do(glass)] = Authority(wanted, now, now + HALF_HOUR + HALF_HOUR // 2)

    @rule(which=WHICH, reviewer=WHO, justified=st.booleans())
    def review(self, which: int, reviewer: str, *, justified: bool) -> None:
        for found, one in of(self.twin.glass.items(), which):
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

    @rule(half_hours=st.integers(1, 2))
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
        who=WHO, role=ROLES, case=CASES, kind=KINDS, purpose=ANY_PURPOSE,
        subjects=st.lists(SUBJECTS, min_size=1, max_size=2, unique=True),
    )  # fmt: skip
    def read_much(
        self, who: str, role: str, case: str, kind: str, purpose: str, subjects: list[str]
    ) -> None:
        self.reading(Claim(who, role, case, purpose), kind, subjects)

    @rule(which=WHICH, kind=WHICH)
    def read_what_is_granted(self, which: int, kind: int) -> None:
        """Something that the role may read of the subject: it hangs on the authority alone."""
        for one in of([*self.twin.grants.values(), *self.twin.glass.values()], which):
            _, role, _, subject, _ = one.found
            kinds = MAY[role] & OF_EVERYBODY if subject == "*" else MAY[role] - {"near"}
            self.read_with(one, next(iter(of(sorted(kinds), kind)), "fix"))

    @rule(which=WHICH, kind=KINDS, field=st.integers(0, 6), value=WHICH)
    def read_nearly_what_is_granted(self, which: int, kind: str, field: int, value: int) -> None:
        """With one thing changed, or any kind."""
        for one in of([*self.twin.grants.values(), *self.twin.glass.values()], which):
            found = list(one.found)
            if field < len(found):
                found[field] = VALUES[field][value % len(VALUES[field])]
            who, role, case, subject, purpose = found
            self.reading(Claim(who, role, case, purpose), kind, [subject])

    def read_with(self, one: Authority, kind: str) -> None:
        who, role, case, subject, purpose = one.found
        self.reading(Claim(who, role, case, purpose), kind, [subject])

    @rule(which=WHICH)
    def open_a_ticket(self, which: int) -> None:
        for one in of([*self.twin.grants.values(), *self.twin.glass.values()], which):
            self.read_with(one, "fix")

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

    @rule(which=WHICH)
    def use_a_ticket(self, which: int) -> None:
        for ticket, known, found, opened in of(self.twin.tickets[-3:], which):
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
        max_examples=40,
        stateful_step_count=50,
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
        wrong.grant("ana", "chief", ("investigator", CASE, "he-1", "investigation"), -1, 2)
        wrong.read_what_is_granted(0, 0)
        wrong.revoke(0)
        wrong.read_what_is_granted(0, 0)
        assert [allowed for *_, allowed in wrong.twin.attempts] == [True, False]
        wrong.every_attempt_is_recorded_as_it_was_answered()
        next(iter(wrong.twin.grants.values())).withdrawn = False
        with pytest.raises(AssertionError):
            wrong.read_what_is_granted(0, 0)
        wrong.teardown()
