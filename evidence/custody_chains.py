"""Chains of a pack about dealing with the record itself: who looked, who asked for packs, who approved them."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.looks import EVERYBODY
from evidence import sides
from evidence.overlays import subject_of
from evidence.selection import FOREVER_US, Asked, Chosen, Selection
from evidence.sides import Showing
from evidence.text import clean


def add_custody(found: Selection, asked: Asked) -> None:
    """Add them to what is chosen of a case, or of a device.

    Records that are not witnessed yet are left to a later pack: staff look at the map at any moment, and
    nothing that is asked for is about that.
    """
    case = asked.custody.case
    of_case = frozenset({"", clean(case)})
    for subject, showing in _looked_at(found, asked):
        window = (0, FOREVER_US) if subject == subject_of(case) else asked.window
        chosen = Chosen("access", subject, window, showing, cases=of_case, waits=True)
        found.add(chosen, sides.WHY_ABSENT["access"])
    for kind in sides.OF_PACKS:
        showing = sides.of_pack(asked.side, kind)
        window = (0, FOREVER_US)
        if asked.side != "court":  # other packs of the case are no concern of this side
            own = asked.approval
            if own is None:
                continue
            at_us = own.decided_us if kind == "pack_decision" else own.requested_us
            window = (at_us, at_us + 1)
        found.add(
            Chosen(kind, clean(case), window, showing, waits=True), sides.WHY_ABSENT["pack_use"]
        )
    if asked.side != "court":
        found.absent["overlay"] = sides.WHY_ABSENT["overlay"]


def _looked_at(found: Selection, asked: Asked) -> Iterator[tuple[str, Showing]]:
    """Subjects of records of access, and what of each is shown."""
    side = asked.side
    if asked.device:
        yield f"device:{clean(asked.device)}", sides.of_access(side, "device")
        return
    yield subject_of(asked.custody.case), sides.of_access(side, "case")
    yield EVERYBODY, sides.of_access(side, "everybody")
    for person, role in found.people.items():
        yield clean(person), sides.of_access(side, role)
