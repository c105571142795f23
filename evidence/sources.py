"""What evidence asks of the streams it reads. It does not know which program keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Protocol


class Stream(StrEnum):
    """The streams whose entries evidence keeps."""

    JOURNAL = "JOURNAL"
    DECISIONS = "DECISIONS"
    ALERTS = "ALERTS"


class Entry(Protocol):
    """One entry of a stream."""

    @property
    def position(self) -> int:
        """Its place in the stream: at least 1, and growing."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""


class PositionsGoneError(Exception):
    """The stream no longer holds what was to be read next.

    Attributes:
        kind: ``expired``: the entries up to `resume_after` are gone for good; the stream kept
            them only so long. ``replaced``: the stream was set up anew and its positions count
            from the start again; what it holds begins after `resume_after`.
    """

    def __init__(self, kind: Literal["expired", "replaced"], resume_after: int) -> None:
        super().__init__(f"{kind}; what is there begins after position {resume_after}")
        self.kind: Literal["expired", "replaced"] = kind
        self.resume_after = resume_after


class Source(Protocol):
    """The entries of one partition of a stream after a position, in order."""

    @property
    def caught_up(self) -> bool:
        """Whether nothing was waiting behind what was read last."""

    async def read(self, wait_s: float) -> Sequence[Entry]:
        """The next entries, or none if none came within about `wait_s`.

        How many at most is the source's own limit. Any exception but the one below means that
        another source is worth a try.

        Raises:
            PositionsGoneError: Entries are missing between the last one read and the next.
        """

    async def close(self) -> None:
        """Give back what it holds."""


SourceFactory = Callable[[Stream, int, int], Source]
"""Makes the source of (stream, partition, after position). It connects at the first read."""
