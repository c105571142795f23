"""Instants: UTC microseconds since 1970 as an int, and ISO 8601 text at the edges.

Only `cordon.clock` reads the time. Every other module that needs it is handed a `Clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Gives the present instant in microseconds, UTC."""

MICROSECONDS = 1_000_000

LATEST_US = 2**62
"""After every instant: when nothing is awaited."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_datetime(instant_us: int) -> datetime:
    """The instant as an aware datetime in UTC. Exact: no float is involved."""
    return _EPOCH + timedelta(microseconds=instant_us)


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime.

    Raises:
        ValueError: The datetime has no time zone, so it names no instant.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write a Z or an offset")
    return (moment - _EPOCH) // _MICROSECOND


def to_iso(instant_us: int) -> str:
    """ISO 8601 with microseconds and Z, for example ``2026-11-23T18:04:05.250000Z``."""
    return to_datetime(instant_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> int:
    """The instant that ISO 8601 text with an offset or Z names.

    Raises:
        ValueError: It is not ISO 8601, or it has no offset.
    """
    return from_datetime(datetime.fromisoformat(text))
