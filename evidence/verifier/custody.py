"""What a pack claims beside its records: who approved it, and files of others. Checked by sealed records."""

import datetime as dt
import re

from evidence.verifier.trees import Altered, iso, sha256

WEEK_US = 7 * 86400 * 1000000
REQUEST = (
    "at",
    "request",
    "by",
    "login",
    "case",
    "side",
    "recipient",
    "purpose",
    "from",
    "to",
    "withheld",
)
DECISION = (
    "at", "request", "by", "login", "case", "side", "recipient", "purpose", "from", "to",
    "requested_by", "requested_at", "approved", "note",
)  # fmt: skip
SAME = ("request", "case", "side", "recipient", "purpose", "from", "to")
IMPORT = re.compile(r"overlay ([0-9a-f-]{36}): .*, SHA-256 ([0-9a-f]{64}), zone ", re.DOTALL)


def plain(name):
    """A name without spaces and case: whether two are of one person."""
    return re.sub(r"\s", "", name).lower()


def the_record(kind, names, request, records):
    """The record of a kind about a request, by name; None: it is not shown."""
    found = [values for values in records if values[1] == kind and values[3] == request]
    return dict(zip(names, found[-1][2:])) if found else None


def check_approval(proof, records):
    """See that the approval that a pack names was given, for exactly this pack. None: it names none."""
    if proof["approval"] is None:
        return None
    decision = the_record("pack_decision", DECISION, proof["approval"], records)
    request = the_record("pack_request", REQUEST, proof["approval"], records)
    if decision is None or (request is None and proof["side"] == "court"):
        raise Altered("the pack names an approval, and the record of it is missing")
    check_decision(proof, decision)
    if request is not None:
        asked = [*(request[name] for name in SAME), request["by"], request["at"]]
        said = [
            *(decision[name] for name in SAME),
            decision["requested_by"],
            decision["requested_at"],
        ]
        if asked != said:
            raise Altered("something else was approved than was asked for")
    names = ("request", "by", "requested_by", "login", "recipient", "purpose", "note")
    return {name: decision[name] for name in names} | {
        "at": iso(decision["at"]),
        "requested_at": iso(decision["requested_at"]),
        "withheld": None if request is None else request["withheld"],
    }


def check_decision(proof, decision):
    """See that it approves this pack, by somebody else, in time."""
    if decision["approved"] is not True:
        raise Altered("the pack names an approval, and its record says that it was refused")
    if plain(decision["by"]) == plain(decision["requested_by"]):
        raise Altered("who approved the pack is who asked for it")
    if not 0 <= decision["at"] - decision["requested_at"] <= WEEK_US:
        raise Altered("the approval was not given within seven days of the request")
    approved = [decision[name] for name in ("case", "side", "from", "to")]
    if approved != [proof["case"], proof["side"], *proof["window_us"]]:
        raise Altered("another case, side or window was approved than that of this pack")


def check_times(proof, approval, times):
    """See that each position that is shown is of a time that was approved; `times` are those of the shown ones."""
    if approval is None:
        return
    first, behind = proof["window_us"]
    if not all(first <= time < behind for time in times):
        raise Altered("a position is shown of a time that is not of the window that was approved")
    for interval in (approval["withheld"] or "").split():
        start, end = (micros(text) for text in interval.split("/"))
        if any(start <= time < end for time in times):
            raise Altered("a position is shown of a time that was to be withheld")


def micros(text):
    """Microseconds since 1970 of an instant as 2026-11-23T18:00:00.000000Z."""
    moment = dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.timezone.utc)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(
        microseconds=1
    )


def imports_of(proof, records):
    """The files that were taken in for the case, by sealed records: digest by name."""
    found = {}
    for values in records:
        of_case = values[1] == "access" and values[8] == "case:" + proof["case"]
        if of_case and values[10] == "overlay import":
            match = IMPORT.match(values[16])
            if match is None:
                raise Altered("a record says that a file was taken in, and not which")
            found[match.group(1)] = match.group(2)
    return found


def check_overlays(proof, records, approval, read):
    """See that each file of others is the one that was taken in, and that none is left out.

    `approval` is what `check_approval` found; `read` gives the bytes of a file of the pack. Returns what of
    each file is there.
    """
    imports, named = imports_of(proof, records), {}
    for one in proof["overlays"]:
        overlay, digest = one["overlay"], one["sha256"]
        if imports.get(overlay) != digest or overlay in named:
            raise Altered("no sealed record says that the file " + overlay + " was taken in so")
        if one["part"] not in ("whole", "rows", "none"):
            raise Altered("how much is there of the file " + overlay + " is not said")
        if one["part"] == "rows" and approval and not approval["withheld"]:
            raise Altered("a file of others is there in part, and nothing was to be withheld")
        if one["part"] == "whole" and approval and approval["withheld"]:
            raise Altered("a file of others is there whole, and a part was to be withheld")
        if one["part"] != "none":
            check_file(one, read)
        named[overlay] = one["part"]
    if named.keys() != imports.keys():
        raise Altered("a file of others was taken in for the case, and the pack says nothing of it")
    return named


def check_file(one, read):
    """See that a file of others is there, and, where it is said to be whole, as it was taken in."""
    name = one["file"]
    if name != "overlays/" + one["overlay"] + ".csv":
        raise Altered("a file of others is not where such files are")
    data = read(name)
    if data is None:
        raise Altered("the file " + name + " is missing")
    if one["part"] != "rows" and sha256(data).hex() != one["sha256"]:
        raise Altered("the file " + name + " is not as it was taken in")
