"""Grants, holds and erasures in any order on a real database, beside a twin of a few plain lists."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from evidence import access, holds
from evidence.access import AccessDeniedError, NewGrant
from evidence.audit import audit
from evidence.covered import rows_of
from evidence.erasing import ErasureError, NothingToEraseError, Order
from evidence.holds import NewHold
from evidence.log.leaves import commitment_of, salt_of
from evidence.retention import Policy, erase_subject, retain
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, asking, fill
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import log_keys, seal_all, sealer_of

ResultT = TypeVar("ResultT")
PEOPLE = {"he-1": "tag-1", "he-2": "tag-2", "she-1": "handset-1"}
BEFORE_US = NOW_US // DAY_US * DAY_US - 4 * DAY_US
"""Midnight before the oldest day that anything happens on; what is received is received later."""

DAYS = st.integers(0, 3)
WHO = st.sampled_from(["ana", "bob"])
OF = st.sampled_from(sorted(PEOPLE))


@dataclass(slots=True)
class Twin:
    """What there should be."""

    fixes: dict[tuple[str, int], int] = field(default_factory=dict)  # device, seq: day
    sealed: set[tuple[str, int]] = field(default_factory=set)
    erased: set[tuple[str, int]] = field(default_factory=set)
    payloads: dict[bytes, set[bytes]] = field(default_factory=dict)  # by chain, of what was there
    grants: list[tuple[str, str, bool]] = field(default_factory=list)  # who, subject, in force
    holds: list[tuple[set[str], range] | None] = field(default_factory=list)
    glass: list[tuple[str, str, bool]] = field(default_factory=list)  # who, subject, open

    def held(self, device: str, day: int) -> bool:
        return any(
            hold is not None and day in hold[1] and device in {PEOPLE[one] for one in hold[0]}
            for hold in self.holds
        )

    def goes(self, subjects: set[str], days: range) -> set[tuple[str, int]]:
        devices = {PEOPLE[one] for one in subjects}
        return {one for one, day in self.fixes.items() if one[0] in devices and day in days}


def window_of(days: range) -> tuple[int, int]:
    return BEFORE_US + days.start * DAY_US, BEFORE_US + days.stop * DAY_US


class KeepingMachine(RuleBasedStateMachine):
    """What people and the clock may do."""

    dsn = ""
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.twin, self.number = Twin(), 10
        self.ids: dict[str, list[Any]] = {"grants": [], "holds": [], "glass": []}
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(self.dsn)
        self.probe = psycopg.connect(self.dsn, autocommit=True)
        self.do(self.begin())

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    async def begin(self) -> None:
        self.connection = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
        await self.connection.execute("SELECT empty_evidence()")
        self.sealer = sealer_of(self.dsn, Path(self.folder.name))

    def teardown(self) -> None:
        self.probe.close()
        self.do(self.end())
        self.folder.cleanup()

    async def end(self) -> None:
        await self.store.close()
        await self.connection.close()

    @rule(person=OF, day=DAYS, count=st.integers(1, 3))
    def report(self, person: str, day: int, count: int) -> None:
        device, first = PEOPLE[person], 100 * self.number
        seqs = range(first, first + count)
        noon = BEFORE_US + day * DAY_US + DAY_US // 2
        rows = [(device, seq, noon + seq) for seq in seqs]
        self.do(self.store.write_journal([(self.number, batch_of(self.number, rows))]))
        self.number += 1
        self.twin.fixes.update({(device, seq): day for seq in seqs})

    @rule(which=st.integers(0, 5))
    def repeat(self, which: int) -> None:
        """A device sends once more what it has sent."""
        there = sorted(self.twin.fixes)
        if which < len(there):
            (device, seq), day = there[which], self.twin.fixes[there[which]]
            rows = [(device, seq, BEFORE_US + day * DAY_US + DAY_US // 2 + seq)]
            self.do(self.store.write_journal([(self.number, batch_of(self.number, rows))]))
            self.number += 1

    @rule()
    def seal(self) -> None:
        self.do(seal_all(self.sealer, self.dsn))
        self.twin.sealed = set(self.twin.fixes)

    @rule(people=st.sets(OF, min_size=1, max_size=2), first=DAYS, length=st.integers(1, 3))
    def hold(self, people: set[str], first: int, length: int) -> None:
        days = range(first, first + length)
        new = NewHold("court", CASE, tuple(people), *window_of(days), "appeal", NOW_US)
        self.ids["holds"].append(self.do(holds.place(self.connection, new)))
        self.twin.holds.append((people, days))

    @rule(which=st.integers(0, 5))
    def release(self, which: int) -> None:
        if which < len(self.twin.holds):
            there = self.twin.holds[which] is not None
            hold_id = self.ids["holds"][which]
            assert self.do(holds.release(self.connection, hold_id, "court", "over")) == there
            self.twin.holds[which] = None

    @rule(subject=OF, first=DAYS, length=st.integers(1, 3))
    def erase(self, subject: str, first: int, length: int) -> None:
        days = range(first, first + length)
        window = window_of(days)
        order = Order("erasure", "court", "chief", subject, *window, "acquitted")
        held = any(self.twin.held(PEOPLE[subject], day) for day in days)
        wanted = self.twin.goes({subject}, days) & self.twin.sealed
        self.note()
        try:
            done = self.do(erase_subject(self.connection, subject, window, order, NOW_US))
        except NothingToEraseError:
            assert not held
            assert not wanted
        except ErasureError:
            assert held or not self.ask("SELECT FROM evidence.seal_log")
        else:
            assert not held
            self.forget(wanted)
            if done.unsealed:  # so it is told to be sealed and done again
                self.exactly_what_should_be_there_is_there()
                self.seal()
                self.erase(subject, first, length)
            self.twin.erased |= wanted

    def note(self) -> None:
        """Keep what somebody can have seen before it goes."""
        for chain, payload, _ in self.do(rows_of(self.connection, (0, 1 << 62))):
            self.twin.payloads.setdefault(chain, set()).add(payload)

    @rule(kept=st.integers(1, 4))
    def keep(self, kept: int) -> None:
        """Of the four days before today the last ones are kept."""
        going = {
            one
            for one in self.twin.goes(set(PEOPLE), range(4 - kept)) & self.twin.sealed
            if not self.twin.held(one[0], self.twin.fixes[one])
        }
        self.note()
        with contextlib.suppress(ErasureError):  # there is no log yet
            self.do(retain(self.connection, Policy(kept), "job", NOW_US, dry_run=False))
        self.forget(going)

    def forget(self, gone: set[tuple[str, int]]) -> None:
        for one in gone:
            del self.twin.fixes[one]
        self.twin.sealed -= gone

    @rule(who=WHO, subject=OF, when=st.sampled_from(["over", "now", "to come"]))
    def grant(self, who: str, subject: str, when: str) -> None:
        begins = {"over": -2, "now": -1, "to come": 1}[when]
        [(now_us,)] = self.ask("SELECT evidence.us(clock_timestamp())")
        starts = now_us + begins * DAY_US
        ends = starts + (2 * DAY_US if when == "now" else DAY_US)
        new = NewGrant(
            "chief",
            "person",
            who,
            "investigator",
            CASE,
            subject,
            "investigation",
            starts,
            ends,
            "file",
        )
        self.ids["grants"].append(self.do(access.grant(self.connection, new)))
        self.twin.grants.append((who, subject, when == "now"))

    @rule(which=st.integers(0, 5))
    def revoke(self, which: int) -> None:
        if which < len(self.twin.grants):
            self.do(access.revoke(self.connection, self.ids["grants"][which], "chief", "over"))
            self.twin.grants[which] = (*self.twin.grants[which][:2], False)

    @rule(who=WHO, subject=OF)
    def break_glass(self, who: str, subject: str) -> None:
        glass = access.break_glass(self.connection, who, CASE, subject, "an emergency", 5)
        self.ids["glass"].append(self.do(glass))
        self.twin.glass.append((who, subject, True))

    @rule(which=st.integers(0, 5), reviewer=WHO, justified=st.booleans())
    def review(self, which: int, reviewer: str, *, justified: bool) -> None:
        if which >= len(self.twin.glass):
            return
        who, subject, still_open = self.twin.glass[which]
        glass_id = self.ids["glass"][which]
        work = access.review(self.connection, glass_id, reviewer, "looked", justified=justified)
        try:
            first = self.do(work)
        except AccessDeniedError:
            assert who == reviewer
        else:
            assert who != reviewer
            if first:
                self.twin.glass[which] = (who, subject, still_open and justified)

    @rule(who=WHO, subject=st.sampled_from(["he-1", "she-1"]), emergency=st.booleans())
    def read(self, who: str, subject: str, *, emergency: bool) -> None:
        rights = self.twin.glass if emergency else self.twin.grants
        wanted = asking(
            who=who,
            subject=subject,
            purpose="emergency" if emergency else "investigation",
            from_us=BEFORE_US,
            to_us=BEFORE_US + 5 * DAY_US,
        )
        before = len(self.ask("SELECT FROM evidence.access"))
        try:
            found = self.do(self.reading(wanted))
        except AccessDeniedError:
            assert (who, subject, True) not in rights
        else:
            assert (who, subject, True) in rights
            assert found == {seq for device, seq in self.twin.fixes if device == PEOPLE[subject]}
        assert len(self.ask("SELECT FROM evidence.access")) == before + 1

    async def reading(self, wanted: access.Asking) -> set[int]:
        ticket = await access.open_access(self.connection, wanted)
        return {row["seq"] async for _, row in access.read_records(self.connection, ticket, "fix")}

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.probe.execute(query.encode()).fetchall()

    @invariant()
    def exactly_what_should_be_there_is_there(self) -> None:
        assert set(self.ask("SELECT device, seq FROM evidence.fix")) == set(self.twin.fixes)

    @invariant()
    def the_log_verifies(self) -> None:
        assert self.do(audit(self.connection, log_keys(), [])).findings == []

    @invariant()
    def no_payload_holds_what_was_erased(self) -> None:
        sent = self.ask("SELECT device, payload FROM evidence.message")
        assert not {(device, json.loads(text)["seq"]) for device, text in sent} & self.twin.erased

    @invariant()
    def no_salt_opens_what_was_erased(self) -> None:
        salts: dict[tuple[bytes, int], list[bytes]] = {}
        for chain, place, salt in self.ask(
            "SELECT chain, place, salt FROM evidence.seal_kept_salt"
        ):
            salts[chain, place] = [salt]
        keys: dict[bytes, list[bytes]] = {}
        for chain, key in self.ask("SELECT chain, key FROM evidence.seal_key"):
            keys.setdefault(chain, []).append(key)
        for (packed,) in self.ask("SELECT leaves FROM evidence.seal_erased"):
            for chain, place, commitment in struct.iter_unpack(">32sQ32s", packed):
                known = salts.get((chain, place), [])
                known += [salt_of(key, place) for key in keys.get(chain, ())]
                seen = self.twin.payloads[chain]
                assert commitment not in {
                    commitment_of(salt, payload) for salt in known for payload in seen
                }


@pytest.fixture
async def prepared(database: Database) -> str:
    """A database with a caseload, and a function that empties the rest of it."""
    store = Store(database.dsn)
    await store.migrate()
    await fill(database.dsn, store)
    await store.close()
    with psycopg.connect(database.dsn) as connection:
        [[tables]] = connection.execute(
            "SELECT string_agg(format('evidence.%I', relname), ', ') FROM pg_class"
            " WHERE relnamespace = 'evidence'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition AND relname NOT IN ('timeline', 'migration')"
        ).fetchall()
        connection.execute(
            "CREATE FUNCTION empty_evidence() RETURNS void LANGUAGE sql AS"
            f" 'TRUNCATE {tables} CASCADE'".encode()
        )
    return database.dsn


@contextlib.contextmanager
def machines(dsn: str) -> Iterator[type[KeepingMachine]]:
    with asyncio.Runner() as runner:

        class Machine(KeepingMachine):
            pass

        Machine.dsn, Machine.runner = dsn, runner
        yield Machine


@pytest.mark.timeout(300)
def test_grants_holds_and_erasures_do_what_the_twin_does(prepared: str, database: Database) -> None:
    chosen = settings(
        max_examples=3 if database.has_timescale else 10,  # making and emptying chunks takes long
        stateful_step_count=20,
        deadline=None,
        phases=(Phase.generate,),  # shrinking would ask a real database for minutes
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with machines(prepared) as machine:
        run_state_machine_as_test(machine, settings=chosen)


def test_a_hold_that_holds_nothing_is_caught(
    prepared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[object]:
        return []

    monkeypatch.setattr("evidence.holds.in_force", nothing)
    with machines(prepared) as machine:
        wrong = machine()
        wrong.report("he-1", 1, 2)
        wrong.hold({"he-1"}, 1, 1)
        wrong.seal()
        wrong.exactly_what_should_be_there_is_there()
        wrong.keep(2)
        with pytest.raises(AssertionError):
            wrong.exactly_what_should_be_there_is_there()
        wrong.the_log_verifies()
        wrong.teardown()
