"""Who asked for a pack, who approved it, who had parts of the case before, and who looked: out of the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.looks import EVERYBODY
from devices.instants import to_iso
from evidence.overlays import subject_of
from evidence.pack import Pack, Place
from evidence.records import Record
from evidence.report.paper import second_of
from evidence.selection import Asked, ExportError
from evidence.sides import OF_PACKS
from evidence.views.tables import table

NOT_APPROVED = "No second person approved this pack."
ACCESS_HEAD = (
    *("at", "who", "role", "login", "what", "of", "case", "purpose", "from", "to"),
    *("allowed", "refused", "note", "place"),
)
_INSTANTS = frozenset({"time", "requested_at", "decided_at", "used_at", "window_from", "window_to"})


def check_approved(asked: Asked, places: Sequence[Place]) -> None:
    """See that what a second person approved is in the pack, with its proof.

    Raises:
        ExportError: It is not proven yet.
    """
    if asked.approval is None:
        return
    found = {
        place.chosen.kind: place.shown
        for place in places
        if place.record is not None and _is_of(asked, place.record)
    }
    if not found.get("pack_decision") or "pack_request" not in found:
        raise ExportError(
            "The approval is not sealed, or not witnessed yet. Try again in a moment; it is not used up. "
            "`cordon evidence check` says what waits."
        )


def _is_of(asked: Asked, record: Record) -> bool:
    wanted = None if asked.approval is None else asked.approval.request_id
    return (
        record.kind in {"pack_request", "pack_decision"} and record.values["request_id"] == wanted
    )


@dataclass(frozen=True, slots=True)
class CustodyStory:
    """What the report says of custody.

    Attributes:
        approval: A sentence.
        earlier: When, step, by whom, for whom, what for, side, approved or not: of each step of earlier packs.
        looks: When, who, in which role, at what, of whom, what for, and why it was refused.
        looks_withheld: Records of access that show their place alone.
    """

    approval: str
    earlier: Sequence[tuple[str, ...]] = ()
    looks: Sequence[tuple[str, ...]] = ()
    looks_withheld: int = 0


def story_of(asked: Asked, pack: Pack) -> CustodyStory:
    """Tell it."""
    records = pack.shown()
    places = [place for place in pack.places() if place.chosen.kind == "access"]
    used = {r.values["disclosure"]: r.values["request_id"] for r in records if r.kind == "pack_use"}
    earlier = [
        (
            second_of(r.time_us),
            *(str(r.values[name]) for name in ("step", "actor", "recipient", "purpose", "side")),
            _approved(used.get(r.values["disclosure"]), records),
        )
        for r in records
        if r.kind == "disclosure"
    ]
    looks = [
        (
            second_of(r.time_us),
            *(str(r.values[name]) for name in ("who", "role", "what")),
            _of_whom(r.subject, asked.custody.case),
            r.values["purpose"],
            "" if r.values["allowed"] else f"refused: {r.values['refused']}",
        )
        for r in records
        if r.kind == "access"
    ]
    withheld = sum(not place.shown for place in places)
    return CustodyStory(approval_text(asked, records), earlier, sorted(looks), withheld)


def _of_whom(subject: str, case: str) -> str:
    """Whom a record of access is about."""
    return {EVERYBODY: "everybody", subject_of(case): "the case"}.get(subject, subject)


def _approved(request_id: str | None, records: Sequence[Record]) -> str:
    if request_id is None:
        return "by nobody"
    names = [
        r.values["decided_by"]
        for r in records
        if r.kind == "pack_decision" and r.values["request_id"] == request_id
    ]
    return names[0] if names else f"request {request_id}"


def approval_text(asked: Asked, records: Sequence[Record]) -> str:
    """Who asked for this pack and who approved it, as a sentence."""
    own = {record.kind: record.values for record in records if _is_of(asked, record)}
    decision = own.get("pack_decision")
    if decision is None:
        return NOT_APPROVED
    text = (
        f"Approved by {decision['decided_by']} at {to_iso(decision['decided_at'])}; asked for by "
        f"{decision['requested_by']} at {to_iso(decision['requested_at'])}. Names are as stated; decided with "
        f"the login {decision['login']} of the database"
    )
    if "pack_request" in own:
        login = own["pack_request"]["login"]
        text += (
            ", asked for with the same"
            if login == decision["login"]
            else f", asked for with {login}"
        )
    return f"{text}. They noted: {decision['note']}" if decision["note"] else f"{text}."


def custody_lines(custody: Mapping[str, str], pack: Pack) -> list[dict[str, Any]]:
    """Lines of ``custody.jsonl``: the sealed records by time, each with its place; last this pack, as stated."""
    found = [
        (place.record.time_us, _line(place, place.record))
        for place in pack.places()
        if place.shown
        and place.record is not None
        and place.chosen.kind in {"disclosure", *OF_PACKS}
    ]
    found.sort(key=lambda pair: (pair[0], pair[1]["what"]))
    return [*(line for _, line in found), {"what": "this pack", **custody}]


def _line(place: Place, record: Record) -> dict[str, Any]:
    values = {name: _plain(name, value) for name, value in record.values.items()}
    return {"what": record.kind, "place": place.leaf.place, **values}


def _plain(name: str, value: Any) -> Any:
    if name in _INSTANTS:
        return to_iso(value)
    return value.hex() if isinstance(value, bytes) else value


def access_table(pack: Pack) -> str:
    """``access.csv``: a row for each record of access that is shown; `place` is that of its chain."""
    rows = [
        (place.record.time_us, _row(place, place.record.values))
        for place in pack.places()
        if place.shown and place.record is not None and place.chosen.kind == "access"
    ]
    return table(ACCESS_HEAD, [row for _, row in sorted(rows, key=lambda pair: pair[0])])


def _row(place: Place, values: Mapping[str, Any]) -> tuple[object, ...]:
    ends = [None if values[end] is None else to_iso(values[end]) for end in ("from_us", "to_us")]
    return (
        to_iso(values["at"]),
        *(values[name] for name in ("who", "role", "login", "what", "subject", "case", "purpose")),
        *ends,
        *(values[name] for name in ("allowed", "refused", "note")),
        place.leaf.place,
    )
