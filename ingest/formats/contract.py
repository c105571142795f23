"""What an adapter of a wire format is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.reading import Reading


class Route(NamedTuple):
    """What a topic says.

    Attributes:
        device: Id of the device, not checked yet; None where only the payload says whose it is.
        kind: What the adapter needs to know about the topic besides.
    """

    device: str | None
    kind: str


class Adapter(Protocol):
    """Reads the messages of one format.

    Whatever arrives on the topics of its filters comes to exactly one adapter. It may raise what
    stands in `ingest.refusals.DECODE_ERRORS`, and `Refused`: then the message is refused as a whole
    and kept with the reason. It does no I/O, reads no clock and remembers nothing.

    Attributes:
        event_filters: MQTT topic filters on which events come, perhaps beside others. Whoever takes
            messages in lanes keeps these apart, so that no flood of positions delays a panic.
        position_filters: Topic filters for everything else.
        urgent_kinds: Kinds of its topics on which a panic may come.
    """

    event_filters: tuple[str, ...]
    position_filters: tuple[str, ...]
    urgent_kinds: frozenset[str]

    def route(self, topic: str) -> Route | None:
        """What the topic says; None when it is not of this format."""

    def read(self, reading: Reading, kind: str, payload: bytes) -> None:
        """Tell `reading` everything the payload says.

        Args:
            reading: Takes rows, and refusals of parts.
            kind: From `route`.
            payload: Within `native.MAX_PAYLOAD_BYTES`, not empty, without a signature.
        """

    def rescue(self, reading: Reading, kind: str, payload: bytes) -> None:
        """Called when `read` raised, or the payload is too large: take what must not be lost.

        Args:
            reading: Has the reason of the refusal already.
            kind: From `route`.
            payload: Of any size.
        """
