"""What the broker turned away, on its way to the evidence.

What the broker itself refuses never reaches the gateway: a connection that is closed or not let
in, a topic that is not the device's own. Those who see it bring it here; it is journaled as a
refusal, so that staff see it beside all others.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import msgspec
import structlog

from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock
from devices.reports import Batch, Message, Refusal, no_fixes
from ingest.journal import JournalUnavailableError, JournalWriter

log = structlog.get_logger("broker-refusals")

WAITING_LIMIT = 1_000
"""Refusals that wait to be journaled; more are counted and let go."""

REPEAT_US = 60 * MICROSECONDS
"""The same of the same device is kept once in so long, with how often it came meanwhile: whoever
tries a thousand passwords a second must not fill the evidence."""

KEPT_IN_A_ROW = frozenset({1, 3, 10})
"""Which of them are kept within `REPEAT_US`: the first, and two more by which `devices.door` tells
somebody who tries over and over from one who has made a slip."""

OF_NOBODY = frozenset({"unknown_device", "no_name"})
"""Codes of names that are no device's, and can be made up by the thousand. They have a count and a
memory of their own: what is tried in the name of a device must not go unheard behind them."""

REMEMBERED = 10_000
"""Devices and codes whose repetition is noticed, and as many of nobody; of more, the longest known is
kept anew."""

KEPT_PER_MINUTE = 600
"""Refusals that are kept in one minute of all devices, and as many of nobody. What exceeds it is told by
the first that comes in a minute with room."""

MAX_DEVICE_CHARS = 128


@dataclass(slots=True)
class RefusalCounts:
    """What has become of the broker's refusals since the start.

    Attributes:
        seen: All of them, by code.
        kept: Journaled.
        repeated: The same of the same device shortly after, counted in the next that is kept; and
            what went beyond `KEPT_PER_MINUTE`.
        let_go: Lost because too many waited, or the journal did not take them.
    """

    seen: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    repeated: int = 0
    let_go: int = 0


class Repeats:
    """Notices repetitions; a core without a clock."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], _Row] = OrderedDict()
        self._minute = 0
        self._kept = 0

    def take(self, key: tuple[str, str], now_us: int) -> int | None:
        """How many were held back since the last one that was kept; None: hold this one back."""
        row = self._last.get(key)
        if row is None or now_us - row.began_us >= REPEAT_US:
            row = self._begin(key, now_us, held=row.held if row else 0)
        row.count += 1
        is_due = row.count in KEPT_IN_A_ROW or not row.is_kept
        if not is_due or not self._has_room(now_us):
            row.held += 1
            return None
        held, row.held, row.is_kept = row.held, 0, True
        return held

    def _begin(self, key: tuple[str, str], now_us: int, held: int) -> _Row:
        row = self._last[key] = _Row(now_us, held=held)
        self._last.move_to_end(key)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return row

    def _has_room(self, now_us: int) -> bool:
        """Whether another one may be kept in this minute; it then counts as kept."""
        minute = now_us // REPEAT_US
        if minute != self._minute:
            self._minute, self._kept = minute, 0
        self._kept += 1
        return self._kept <= KEPT_PER_MINUTE


@dataclass(slots=True)
class _Row:
    """The same of the same device within `REPEAT_US` of its first.

    Attributes:
        count: So many came.
        held: So many were held back since the last that was kept.
        is_kept: Whether one of them was kept.
    """

    began_us: int
    count: int = 0
    held: int = 0
    is_kept: bool = False


class BrokerRefusals:
    """Journals what the broker turned away.

    Args:
        journal: Where refusals are kept.
        clock: The time.
        name: Of the batches' sender; no two starts share it.

    Attributes:
        counts: See `RefusalCounts`.
    """

    def __init__(self, journal: JournalWriter, clock: Clock, *, name: str) -> None:
        self._journal = journal
        self._clock = clock
        self._name = name
        self._number = 0
        self._of_devices, self._of_nobody = Repeats(), Repeats()
        self._waiting: asyncio.Queue[Batch] = asyncio.Queue(WAITING_LIMIT)
        self.counts = RefusalCounts()

    def put(self, topic: str, device: str, code: str, reason: str, evidence: bytes) -> None:
        """Take one in; it is journaled by `run`.

        Args:
            topic: Where it was seen, for example ``$broker/login``.
            device: Who it was, or says that it was.
            code: As of any other refusal.
            reason: Likewise, a sentence for staff.
            evidence: What is kept beside it.
        """
        self.counts.seen[code] += 1
        device = device[:MAX_DEVICE_CHARS]
        now_us = self._clock()
        repeats = self._of_nobody if code in OF_NOBODY else self._of_devices
        held = repeats.take((device, code), now_us)
        if held is None:
            self.counts.repeated += 1
            return
        if held:
            evidence += msgspec.json.encode({"more_of_the_same_before": held})
        self._number += 1
        refusal = Refusal(
            message=0,
            device=device,
            code=code,
            reason=reason,
            item=None,
            size_bytes=len(evidence),
            sha256=hashlib.sha256(evidence).digest(),
        )
        batch = Batch(
            gateway=self._name,
            number=self._number,
            received_us=now_us,
            messages=(Message(now_us, topic, evidence),),
            fixes=no_fixes(),
            refusals=(refusal,),
        )
        try:
            self._waiting.put_nowait(batch)
        except asyncio.QueueFull:
            self.counts.let_go += 1

    async def run(self) -> None:
        """Journal what comes in until cancelled."""
        while True:
            end_if_told()
            batch = await self._waiting.get()
            try:
                await self._journal.append(batch)
            except JournalUnavailableError:
                self.counts.let_go += 1
                log.warning("broker_refusal_not_journaled", code=batch.refusals[0].code)
            else:
                self.counts.kept += 1
