"""How much a device may send before it has to wait its turn: a bucket of tokens for each.

A core without I/O. What passes is taken in at once; what does not is kept as it came and taken in
later (`ingest.slow_lane`), so that one device that floods, or a thousand that send what they kept
while they were away, hold up nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from devices.instants import MICROSECONDS
from ingest.native import MAX_PAYLOAD_BYTES

MESSAGES_PER_S = 20.0
"""Lasting rate of a device. A tag reports every few seconds at most, a phone every second, a receipt
or two comes with each command; recorded tracks are played at several times their speed."""

BURST_MESSAGES = 200.0
"""What it may send at once when it has been quiet: some minutes without a network, fix by fix.

Of what exceeds it the newest may overtake the older, which then moves no track: generous, therefore.
"""

BULK_BYTES = 32 * 1024
"""A larger message is a flushed buffer (more than 200 fixes): its last fix is as old as the rest
will be, and decoding it takes as long as decoding 200 others."""

TOLD_EVERY_US = 60 * MICROSECONDS
"""A flood that goes on is told so often: whoever hears of it knows when it is over."""

MAX_DEVICES = 100_000
"""Buckets kept. Beyond it the one used longest ago is forgotten, which fills it."""


class Verdict(Enum):
    """What becomes of a message."""

    AT_ONCE = auto()
    LATER = auto()
    FLOOD = auto()  # later, and it is the first of a flood
    STILL_FLOOD = auto()  # later, and the flood is to be told again


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_us: int
    flooding: bool = False
    told_us: int = 0


def is_bulk(size_bytes: int) -> bool:
    """Whether a message of this size waits in any case; one that is too large is refused unread."""
    return BULK_BYTES < size_bytes <= MAX_PAYLOAD_BYTES


class Allowances:
    """The buckets of all devices. Each is full at first.

    Args:
        per_s: Tokens that come in a second; a message costs one.
        burst: Tokens a bucket holds.
        max_devices: See `MAX_DEVICES`.
    """

    def __init__(
        self,
        *,
        per_s: float = MESSAGES_PER_S,
        burst: float = BURST_MESSAGES,
        max_devices: int = MAX_DEVICES,
    ) -> None:
        self._per_us = per_s / MICROSECONDS
        self._burst = burst
        self._max_devices = max_devices
        self._buckets: dict[str, _Bucket] = {}

    @property
    def flooding(self) -> int:
        """Devices whose bucket ran empty and has not been full since."""
        return sum(bucket.flooding for bucket in self._buckets.values())

    def judge(self, device: str, size_bytes: int, now_us: int) -> Verdict:
        """Whether a message of this size may be taken in now, and pay for it if so."""
        if is_bulk(size_bytes):
            return Verdict.LATER
        bucket = self._bucket(device, now_us)
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return Verdict.AT_ONCE
        began = not bucket.flooding
        if not began and now_us - bucket.told_us < TOLD_EVERY_US:
            return Verdict.LATER
        bucket.flooding, bucket.told_us = True, now_us
        return Verdict.FLOOD if began else Verdict.STILL_FLOOD

    def _bucket(self, device: str, now_us: int) -> _Bucket:
        """The device's bucket, filled up to now, as the one used last."""
        bucket = self._buckets.pop(device, None) or _Bucket(self._burst, now_us)
        self._buckets[device] = bucket
        if len(self._buckets) > self._max_devices:
            del self._buckets[next(iter(self._buckets))]
        bucket.tokens += max(0, now_us - bucket.at_us) * self._per_us
        bucket.at_us = max(bucket.at_us, now_us)
        if bucket.tokens >= self._burst:
            bucket.tokens, bucket.flooding = self._burst, False
        return bucket
