"""Writing batches into the journal.

The publish that stores a batch is the same one that live subscribers hear. They hear it before it
is stored, and again when it has to be repeated; the stream stores one copy, because a repetition
carries the same name. Whoever decides in the same process is told by a call, before either, and again
before each repetition: he may not have been ready for the first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from devices.ending import end_if_told
from devices.reports import Batch
from ingest.parts import Part, parts
from ingest.streams import JOURNAL, journal_subject

BATCH_HEADER = "Cordon-Batch"

MAX_PART_BYTES = 1024 * 1024
PART_MARGIN_BYTES = 16 * 1024
"""Left free below the server's largest message, for headers."""

MIN_SERVER_PAYLOAD_BYTES = 768 * 1024
"""Room for any single report: its payload (`native.MAX_PAYLOAD_BYTES`), its topic, and 500 rows or
reasons for refusal."""

ACK_LIMIT_S = 3.0
CHECK_S = 0.2
"""How often a wait for a confirmation looks whether the connection is still the same."""

APPEND_LIMIT_S = 60.0
"""After this a batch is given back to the broker, which still holds its messages."""

RETRIES_AT_ONCE = 16
"""First attempts are not limited, so that live subscribers hear everything at once; repetitions
are, so that a journal that refuses is not flooded."""

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 2.0

log = structlog.get_logger("ingest")


class Listener(Protocol):
    """Who is to know at once what goes into the journal, and then where it stands."""

    def hear(self, name: str, batch: Batch) -> None:
        """A batch, or a part of one, is on its way into the journal, for the first time or again.

        Must not raise.
        """

    def kept(self, name: str, position: int) -> None:
        """The journal has it."""

    def lost(self, name: str, batch: Batch) -> None:
        """The journal has not confirmed it: its messages come again, in another batch."""


class _Nobody:
    def hear(self, name: str, batch: Batch) -> None: ...

    def kept(self, name: str, position: int) -> None: ...

    def lost(self, name: str, batch: Batch) -> None: ...


class JournalUnavailableError(RuntimeError):
    """The journal did not take a batch; it must not be acknowledged."""


@dataclass
class JournalCounts:
    """What a writer has done since it was made."""

    batches: int = 0
    parts: int = 0
    data_bytes: int = 0
    retries: int = 0
    given_up: int = 0


class _NotKept(Exception):  # noqa: N818 -- never leaves this module
    """One attempt failed or its outcome is unknown."""


class _Answer(msgspec.Struct):
    """What the stream replies to a publish."""

    class Error(msgspec.Struct):
        """Its refusal."""

        code: int = 0
        description: str = ""

    stream: str = ""
    seq: int = 0
    error: Error | None = None


class JournalWriter:
    """Appends batches to one subject of a stream: by default, to the journal.

    It reads the stream's confirmations from an inbox of its own: nats-py leaves the future of a
    refused publish pending for ever.

    Args:
        nc: Connection to publish on.
        listener: Told of each part before each publish, and once it is kept.
        subject, stream: Where to.
    """

    def __init__(
        self,
        nc: NATS,
        listener: Listener | None = None,
        *,
        subject: str = journal_subject(0),
        stream: str = JOURNAL,
    ) -> None:
        self.counts = JournalCounts()
        self._nc = nc
        self._listener = listener or _Nobody()
        self._subject = subject
        self._stream = stream
        self._inbox = nc.new_inbox()
        self._inbox_ready: asyncio.Task[Subscription] | None = None
        self._waiting: dict[str, asyncio.Future[_Answer]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._attempts = 0
        self._retry_slots = asyncio.Semaphore(RETRIES_AT_ONCE)
        self._refusing = False

    @property
    def unconfirmed(self) -> int:
        """Publishes that wait for the stream's confirmation."""
        return len(self._waiting)

    @property
    def refusing(self) -> bool:
        """Whether the stream has not confirmed what was tried last, and is tried again."""
        return self._refusing

    def announce(self, batch: Batch) -> list[Part]:
        """Tells the listener of a batch at once, and returns its parts to be kept.

        Raises:
            JournalUnavailableError: The server takes too small messages.
        """
        announced = parts(batch, self._max_bytes())
        for part in announced:
            self._listener.hear(part.name, part.batch)
        return announced

    async def append(self, batch: Batch) -> int:
        """`announce` and `keep`: publishes the batch and returns when the journal has all of it."""
        await self._listen()
        announced = self.announce(batch)
        try:
            return await self.keep(announced)
        finally:
            self.lose(announced)

    async def keep(self, announced: list[Part]) -> int:
        """Publishes a batch and returns when the journal has all of it.

        Any number of these may run at once. A batch too large for one message goes in parts.

        Args:
            announced: Its parts, as `announce` returned them. What is confirmed is taken out; what
                is left at the end, however it ends, is for `lose`.

        Returns:
            The position of the batch in the journal, of its last part if there are several.

        Raises:
            JournalUnavailableError: It was not confirmed within `APPEND_LIMIT_S`, or the
                connection was closed for good. Part or all of it may be there all the same.
        """
        await self._listen()
        position = 0
        try:
            async with asyncio.timeout(APPEND_LIMIT_S):
                while announced:
                    position = await self._append(announced[0])
                    self._listener.kept(announced.pop(0).name, position)
        except TimeoutError:
            self.counts.given_up += 1
            raise JournalUnavailableError(
                f"The journal did not confirm a batch within {APPEND_LIMIT_S:g} s. Its messages "
                "stay with the broker and come again. Look at nats-server: is it up, is its disk "
                f"full, has the stream {self._stream} reached its limit because a reader lags?"
            ) from None
        self.counts.batches += 1
        return position

    def lose(self, announced: list[Part]) -> None:
        """Tells the listener of what is not known to be kept: given up, or cut short."""
        for part in announced:
            self._listener.lost(part.name, part.batch)
        announced.clear()

    async def close(self) -> None:
        """Stops listening for confirmations. Call it when no append is running."""
        if self._inbox_ready is not None and not self._nc.is_closed:
            subscription = await self._inbox_ready
            await subscription.unsubscribe()
        self._inbox_ready = None

    async def _listen(self) -> None:
        """Opens the inbox, once."""
        if self._nc.is_closed:
            raise JournalUnavailableError("The connection to nats-server has been closed.")
        if self._inbox_ready is None:
            subscribe = self._nc.subscribe(f"{self._inbox}.*", cb=self._answered)
            self._inbox_ready = asyncio.create_task(subscribe, name="journal-inbox")
        await asyncio.shield(self._inbox_ready)

    def _max_bytes(self) -> int:
        if self._nc.max_payload < MIN_SERVER_PAYLOAD_BYTES:
            raise JournalUnavailableError(
                f"nats-server takes messages of at most {self._nc.max_payload} bytes, too few for "
                f"one large report with its rows. Set max_payload to {MAX_PART_BYTES}."
            )
        return min(self._nc.max_payload, MAX_PART_BYTES) - PART_MARGIN_BYTES

    async def _append(self, part: Part) -> int:
        try:
            position = await self._attempt(part)
        except _NotKept as failure:
            position = await self._insist(part, str(failure))
        self._report_recovery()
        self.counts.parts += 1
        self.counts.data_bytes += len(part.data)
        return position

    async def _insist(self, part: Part, reason: str) -> int:
        """Repeats the same bytes under the same name until the stream has them."""
        pause_s = RETRY_FIRST_S
        while True:
            end_if_told()
            self._report_refusal(reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MOST_S)
            self._listener.hear(part.name, part.batch)
            async with self._retry_slots:
                self.counts.retries += 1
                try:
                    return await self._attempt(part)
                except _NotKept as failure:
                    reason = str(failure)

    async def _attempt(self, part: Part) -> int:
        """One publish and its confirmation.

        Raises:
            _NotKept: Refused, unanswered, or the connection changed while waiting.
            JournalUnavailableError: The connection was closed for good.
        """
        if self._nc.is_closed:
            raise JournalUnavailableError("The connection to nats-server has been closed.")
        if not self._nc.is_connected:
            raise _NotKept("not connected to nats-server")
        self._attempts += 1
        reply = f"{self._inbox}.{self._attempts}"
        answer = self._waiting[reply] = asyncio.get_running_loop().create_future()
        if self._watching is None or self._watching.done():
            watch = self._watch_connection(self._nc.stats["reconnects"])
            self._watching = asyncio.create_task(watch, name="journal-connection")
        try:
            headers = {BATCH_HEADER: part.name, "Nats-Msg-Id": part.name}
            async with asyncio.timeout(ACK_LIMIT_S):
                await self._nc.publish(self._subject, part.data, reply=reply, headers=headers)
                end_if_told()  # it may have been dropped, and the limit with it
                return self._position(await answer)
        except TimeoutError:
            raise _NotKept(f"no confirmation within {ACK_LIMIT_S:g} s") from None
        except (nats.errors.Error, OSError) as error:
            raise _NotKept(f"cannot publish: {error}") from error
        finally:
            del self._waiting[reply]

    async def _watch_connection(self, connection: int) -> None:
        """Fails what waits on a connection that can no longer bring an answer; ends with the last."""
        while self._waiting:
            await asyncio.sleep(CHECK_S)
            now = self._nc.stats["reconnects"]
            if self._nc.is_connected and now == connection:
                continue
            connection = now
            for answer in self._waiting.values():
                if not answer.done():
                    lost = "the connection was lost before the confirmation"
                    answer.set_exception(_NotKept(lost))

    async def _answered(self, msg: Msg) -> None:
        waiting = self._waiting.get(msg.subject)
        if waiting is None or waiting.done():
            return
        if msg.headers and msg.headers.get("Status") == "503":
            no_stream = _Answer.Error(503, f"no stream takes {self._subject}")
            waiting.set_result(_Answer(error=no_stream))
            return
        try:
            waiting.set_result(msgspec.json.decode(msg.data, type=_Answer))
        except msgspec.MsgspecError:
            waiting.set_result(_Answer(error=_Answer.Error(0, "an answer that is no PubAck")))

    def _report_refusal(self, reason: str) -> None:
        if not self._refusing:
            self._refusing = True
            log.warning("journal_does_not_confirm", reason=reason)

    def _report_recovery(self) -> None:
        if self._refusing:
            self._refusing = False
            log.info("journal_confirms_again")

    def _position(self, answer: _Answer) -> int:
        if answer.error is not None:
            raise _NotKept(f"refused: {answer.error.description} ({answer.error.code})")
        if answer.stream != self._stream or answer.seq < 1:
            found = f"stream {answer.stream!r} at {answer.seq}"
            raise _NotKept(f"confirmed by {found}, not by {self._stream}")
        return answer.seq
