"""What a pack consists of, before it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evidence.erasures import Erasure
from evidence.log.leaves import Leaf
from evidence.overlay_csv import Event
from evidence.overlays import Overlay
from evidence.records import Record
from evidence.seal_store import LogState
from evidence.selection import Chosen, Selection


@dataclass(slots=True)
class Place:
    """A leaf and where it stands: batch (of `Bundle.batches`) and index in its tree.

    Attributes:
        record: None: it was erased, and only its commitment is left.
        shown: Whether its content is in the folder; decided when all places are known.
    """

    leaf: Leaf
    batch: int
    index: int
    chosen: Chosen
    record: Record | None
    shown: bool = False

    @property
    def in_window(self) -> bool:
        """Whether it was asked for, and does not only stand between what was."""
        return self.record is not None and self.chosen.holds(self.record.time_us)


@dataclass(slots=True)
class Bundle:
    """What one log contributes."""

    state: LogState
    batches: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OthersFile:
    """A file of somebody else that was taken in for the case (`evidence.overlays`).

    Attributes:
        sha256: Of the file as received, by the sealed record of its import; hexadecimal.
        part: What of it is in the pack: the file as received, some of its lines, or nothing.
        why: Why nothing, or not all of it, is there.
        content: What is written into the pack.
        about: Where it comes from; None: it is not kept any more.
        events: Those of the window that may be shown.
    """

    overlay_id: str
    sha256: str
    part: Literal["whole", "rows", "none"]
    why: str = ""
    content: bytes = b""
    about: Overlay | None = None
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """All that goes into a folder.

    Attributes:
        logs: The part of `proof.json` of each bundle.
        older: Records of the window from before there was a log.
        erased: What was erased of these chains, in the window or between the places; oldest first.
        opened_us: When the export was opened.
        others: Files of others that were taken in for the case.
    """

    selection: Selection
    bundles: Sequence[Bundle]
    logs: Sequence[dict[str, Any]]
    older: int
    erased: Sequence[Erasure]
    opened_us: int
    others: Sequence[OthersFile] = ()

    def places(self) -> list[Place]:
        """All places, by chain and place."""
        return [place for bundle in self.bundles for place in bundle.places]

    def shown(self) -> list[Record]:
        """The records whose content is in the folder, by chain and place."""
        return shown_of(self.places())


def shown_of(places: Sequence[Place]) -> list[Record]:
    """The records that are shown."""
    return [place.record for place in places if place.shown and place.record is not None]
