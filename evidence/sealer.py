"""The sealer: follows what is stored, seals it at a constant rate, and has it witnessed.

The order is what makes a head worth something:

1. The batch is committed in the database, on disk.
2. The guard beside the key remembers the head, on disk (`evidence.keys.Guard`).
3. Only then is it signed, kept, and shown to the witnesses, who remember it before they sign.

Whatever crashes in between, the next start finds a head that continues every one that was ever
signed. Empty batches are sealed too: a log that stands still is an alarm, and its size tells
nobody how much happens. Nothing that warns anybody waits for this; it may lag.

There is one sealer: an advisory lock keeps a second one waiting, and a fencing number makes one
powerless that lost its lock without noticing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog

from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock
from devices.migrations import MigrationError, migrate
from evidence import seal_store
from evidence.case_records import keep_caseload
from evidence.covered import DamagedRowsError
from evidence.database import MIGRATIONS, SCHEMA, SESSION, describe
from evidence.keys import Crashpoint, Guard, no_crash
from evidence.log.notes import NoteFormatError, parse_checkpoint, parse_note
from evidence.log.witnessing import InconsistentError, Request, Seen, StaleError
from evidence.seal_store import Connection, LogState
from evidence.sealing import (
    FencedError,
    RestoredError,
    Waiting,
    check_continues,
    consistency,
    open_first_log,
    restored_text,
    seal_batches,
    sign_head,
)
from evidence.timestamps import Stamper
from evidence.witness_client import Witness, WitnessError

CONNECT_LIMIT_S = 5
STEP_LIMIT_S = 120.0
RETRY_MOST_S = 5.0
_LOCK_KEY = 0x436F7264_5365616C  # "CordSeal": the advisory lock of the one sealer

log = structlog.get_logger("sealer")

_REFUSALS = (RestoredError, InconsistentError, DamagedRowsError)
"""Trying again does not help: a person has to look. The sealer stays, and says so."""

_TROUBLE = (psycopg.Error, MigrationError, FencedError, TimeoutError, OSError)


@dataclass(slots=True)
class SealerCounts:
    """What a sealer has done since it was made.

    Attributes:
        witness_failures: Tries to reach a witness that failed.
        witness_refusals: Answers of witnesses that the log contradicts itself.
        stamps: Stamps of authorities.
        stamp_failures: Tries to get one that failed.
    """

    batches: int = 0
    rows: int = 0
    retries: int = 0
    witness_failures: int = 0
    witness_refusals: int = 0
    stamps: int = 0
    stamp_failures: int = 0


@dataclass(slots=True)
class SealerProgress:
    """Where the log stands.

    Attributes:
        size: Batches in the log.
        sealed_us: When the newest was closed; 0 before the first.
        cosigned_us: When the newest head was closed that enough witnesses signed; 0: none was.
        cosigned_size: Size of that head.
        witness_sizes: The largest size that each witness has signed.
        refused: Why nothing is sealed or signed, for people; empty while all is well.
        error: Why the last try failed; empty if it did not.
    """

    size: int = 0
    cosigned_size: int = 0
    sealed_us: int = 0
    cosigned_us: int = 0
    refused: str = ""
    error: str = ""
    witness_sizes: dict[str, int] = field(default_factory=dict)


class SealerFigures:
    """How far a sealer is, wherever it runs.

    Args:
        clock: The time.
        quorum: Witnesses that have to sign for a head to count.
    """

    def __init__(self, clock: Clock, quorum: int) -> None:
        self.counts = SealerCounts()
        self.progress = SealerProgress()
        self.quorum = quorum
        self._clock = clock

    def lag_s(self) -> float:
        """Age of the newest head that enough witnesses signed; without witnesses: of the newest.

        What was stored since is not protected yet.
        """
        protected_us = self.progress.cosigned_us if self.quorum else self.progress.sealed_us
        return (self._clock() - protected_us) / MICROSECONDS if protected_us else float("inf")


class Sealer(SealerFigures):
    """Seals until cancelled.

    Args:
        dsn: Of the database.
        guard: Signs heads.
        witnesses: Asked to cosign each head.
        clock: The time.
        origin: Name of the log; empty: one is made up with the first batch.
        quorum: Witnesses that have to sign for a head to count.
        interval_s: Time between two batches.
        program: Names the software, in every header.
        stamper: Has heads stamped; None: nobody does.
        crashpoint: See `evidence.keys.Crashpoint`.
    """

    def __init__(
        self,
        dsn: str,
        guard: Guard,
        witnesses: Sequence[Witness],
        clock: Clock,
        *,
        origin: str,
        quorum: int,
        interval_s: float,
        program: str,
        stamper: Stamper | None = None,
        crashpoint: Crashpoint = no_crash,
    ) -> None:
        super().__init__(clock, quorum)
        self._dsn = dsn
        self._guard = guard
        self._witnesses = tuple(witnesses)
        self._origin = origin
        self._interval_s = interval_s
        self._program = program
        self._stamper = stamper
        self._crashpoint = crashpoint

    async def run(self) -> None:
        """Seal for ever. Ends only by being cancelled, at any moment."""
        wait_s = 0.1
        while True:
            batches = self.counts.batches
            try:
                async with self._sealing() as (connection, fence):
                    await self._follow(connection, fence)
            except _REFUSALS as error:
                self._refuse(error)
            except _TROUBLE as error:
                self.progress.error = describe(error)
                log.warning("sealer_stopped", reason=self.progress.error)
            end_if_told()
            self.counts.retries += 1
            wait_s = 0.1 if self.counts.batches > batches else min(2 * wait_s, RETRY_MOST_S)
            await asyncio.sleep(self._interval_s if self.progress.refused else wait_s)

    async def turn(self) -> None:
        """Seal what is there, sign and have it witnessed, once.

        Raises:
            RestoredError, InconsistentError, DamagedRowsError: Nothing is signed: look.
            psycopg.Error, FencedError, TimeoutError, OSError: It may be tried again.
        """
        async with self._sealing(wait=False) as (connection, fence):
            await self._turn(connection, fence)

    async def _follow(self, connection: Connection, fence: int) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            end_if_told()
            async with asyncio.timeout(STEP_LIMIT_S):
                await self._turn(connection, fence)
            self.progress.error = self.progress.refused = ""
            due_s = max(due_s + self._interval_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def _turn(self, connection: Connection, fence: int) -> None:
        behind, waiting = True, Waiting()
        state: LogState | None = None
        await keep_caseload(connection)
        while behind:
            sealed = await seal_batches(
                connection, fence, self._clock(), self._program, self._crashpoint, waiting
            )
            state, behind = sealed.state, sealed.behind
            self.counts.batches += sealed.batches
            self.counts.rows += sealed.rows
            if behind and not waiting.summarized:
                await seal_store.summarize(connection)
                waiting.summarized = True
            self.progress.size, self.progress.sealed_us = state.size, state.closed_us
        assert state is not None, "one batch at least was sealed"
        note = await sign_head(connection, state, self._guard, self._clock(), self._crashpoint)
        await self._have_it_witnessed(connection, state, note)
        if self._stamper is not None:
            text = parse_note(note.encode()).text
            self.counts.stamps += await self._stamper.stamp_if_due(
                connection, state, text, self._clock()
            )
            self.counts.stamp_failures = self._stamper.failures

    @contextlib.asynccontextmanager
    async def _sealing(self, *, wait: bool = True) -> AsyncIterator[tuple[Connection, int]]:
        """A connection that holds the lock of the one sealer, and the fencing number to use."""
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S, keepalives_idle=10
        ) as connection:
            await connection.execute(
                f"{SESSION} SET enable_seqscan = off"
            )  # few rows of long tables
            await migrate(connection, SCHEMA, MIGRATIONS)
            while not await _locked(connection):
                if not wait:
                    raise FencedError("another sealer is at work on this database")
                self.progress.error = "another sealer is at work on this database"
                await asyncio.sleep(self._interval_s)
            async with connection.transaction():
                state = await open_first_log(connection, self._origin, self._clock())
                fence = await seal_store.take_fence(connection, state.log)
            await self._check(connection, state)
            self.progress.size = state.size
            self.progress.sealed_us = state.closed_us if state.size else 0
            self.progress.witness_sizes = await seal_store.cosigned_sizes(connection, state.log)
            self._crashpoint("opened")
            yield connection, fence

    async def _check(self, connection: Connection, state: LogState) -> None:
        """See, before anything is sealed, that all that was ever signed is continued here."""
        seen = self._guard.seen(state.origin)
        await check_continues(connection, state, seen, "the key's guard")
        for witness in self._witnesses:
            try:
                note = await asyncio.to_thread(witness.newest, state.origin)
                head = parse_checkpoint(note.text) if note else None
            except (WitnessError, NoteFormatError) as error:
                log.warning("witness_did_not_answer", witness=witness.name, reason=str(error))
                continue
            if head is not None and head.origin == state.origin:
                await check_continues(
                    connection, state, Seen(head.size, head.root), f"the witness {witness.name}"
                )

    async def _have_it_witnessed(self, connection: Connection, state: LogState, note: str) -> None:
        answers = await asyncio.gather(
            *(self._ask(connection, state, note, witness) for witness in self._witnesses),
            return_exceptions=True,  # so that none is left at work on the connection
        )
        for answer in answers:
            if answer is not None:
                raise answer
        sizes = sorted(self.progress.witness_sizes.values(), reverse=True)
        if 0 < self.quorum <= len(sizes) and sizes[self.quorum - 1] == state.size:
            self.progress.cosigned_size, self.progress.cosigned_us = state.size, state.closed_us

    async def _ask(
        self, connection: Connection, state: LogState, note: str, witness: Witness
    ) -> RestoredError | InconsistentError | None:
        """Have one witness sign. Returns the reason if it shows that nothing may be signed."""
        old = self.progress.witness_sizes.get(witness.name, 0)
        try:
            try:
                lines = await self._cosign(connection, state, note, witness, old)
            except StaleError as error:
                if error.size > state.size:
                    return RestoredError(restored_text(state.size, error.size))
                lines = await self._cosign(connection, state, note, witness, error.size)
        except InconsistentError as error:
            self.counts.witness_refusals += 1
            return error
        except (WitnessError, StaleError) as error:
            self.counts.witness_failures += 1
            log.warning("witness_did_not_sign", witness=witness.name, reason=str(error))
            return None
        self._crashpoint("witness signed")
        await seal_store.add_cosignature(
            connection, state.log, state.size, witness.name, lines, self._clock()
        )
        self._crashpoint("cosignature kept")
        self.progress.witness_sizes[witness.name] = state.size
        return None

    async def _cosign(
        self, connection: Connection, state: LogState, note: str, witness: Witness, old: int
    ) -> str:
        proof = await consistency(connection, state, old)
        request = Request(old, tuple(proof), parse_note(note.encode()))
        return await asyncio.to_thread(witness.cosign, request)

    def _refuse(self, error: Exception) -> None:
        if self.progress.refused != str(error):
            log.error("sealer_refuses_to_sign", reason=str(error))
        self.progress.refused = str(error)


async def _locked(connection: Connection) -> bool:
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK_KEY,))
    row = await cursor.fetchone()
    return bool(row and row[0])
