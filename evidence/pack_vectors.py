"""Test vectors for verifiers of packs: small packs that must pass, and forgeries that must not.

Made by ``cordon evidence vectors``; docs/vectors/README.md says how to use them. Keys and records are
made up, and the same each time. Only ML-DSA-44 signatures differ from run to run (they are made with
chance); those of an earlier file are kept while they are true.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from evidence.log.canonical import encode
from evidence.log.headers import NO_ANCHOR, Header
from evidence.log.leaves import FIX_PAYLOAD, FIX_VERSION, Head, Leaf, Row, chain_of, open_rows
from evidence.log.merkle import Levels, hidden_ranges, leaf_hash, range_hash
from evidence.log.notes import Checkpoint, Note, SignatureLine, parse_signature_line
from evidence.log.signing import COSIGNATURE_ED25519, ED25519, KeyPair
from evidence.pack_forgeries import FILE_FORGERIES, FORGERIES, keep_lines

FORMAT = "cordon pack vectors 2"
ORIGIN = "vectors.example/log"
WITNESSES = ("one.example/w", "two.example/w")
DAY, START_US = 20_775, 20_775 * 86_400_000_000
WINDOW_US = START_US, START_US + 86_400_000_000
NOTHING: Mapping[str, Any] = MappingProxyType({})
SHOWN = (
    ("fix", "tag-1"),
    ("event", "tag-1"),
    ("sequence_step", "tag-1"),
    ("decision", "c1/tag-1/h-1"),
    ("access", "case:o1"),
    ("pack_request", "o1"),
    ("pack_decision", "o1"),
)
"""Kind and subject of the chains of the whole pack."""

WITHHELD = {("fix", 3)}
"""Kind and place of what is not shown."""

OVERLAY = "00000000-0000-4000-8000-000000000001"
REQUEST = "00000000-0000-4000-8000-000000000002"
FILE = "time,lat,lon,camera,plate,clock_error_s\n2026-11-18T00:00:02Z,54.0,-4.0,C1,AB12 CDE,1\n"
FILES = {f"overlays/{OVERLAY}.csv": FILE}
"""Of the whole pack: a file of others that was taken in for the case."""


def vectors(kept: Iterable[str] = ()) -> dict[str, Any]:
    """All vectors.

    Args:
        kept: ML-DSA-44 signature lines of an earlier file.
    """
    signed = _signed_by_all(kept)
    records, proof = _pack(signed)
    plain = _plain(proof)
    packs = [_vector("whole, signed by Ed25519 and ML-DSA-44", 0, records, proof)]
    for name, (exit_code, forge) in FORGERIES.items():
        lines: list[Any] = copy.deepcopy(records)
        changed = copy.deepcopy(proof if name.startswith("ML-DSA-44") else plain)
        forge(lines, changed)
        packs.append(_vector(name, exit_code, lines, changed))
    for name, (exit_code, change) in FILE_FORGERIES.items():
        files = dict(FILES)
        change(files)
        packs.append(_vector(name, exit_code, records, plain, files))
    for name, (left_out, decided) in OTHERWISE_SEALED.items():
        others, proof = _pack(signed, left_out, decided)
        packs.append(_vector(name, 1, others, _plain(proof)))
    keys = [key.text for pair in _pairs() for key in pair.keys]
    return {"format": FORMAT, "keys": keys, "witnesses": len(WITNESSES), "packs": packs}


PART = "2026-11-18T00:00:01.000000Z/2026-11-18T00:00:02.000000Z"
"""Of the window, with a fix in it."""

CLOSED = "2026-11-18T00:00:02.500000Z/2026-11-18T00:00:03.500000Z"
"""Of the window; what is in it is not shown in the whole pack either."""

SHORTER_US = (START_US, START_US + 4_000_000)

OTHERWISE_SEALED: dict[str, tuple[str, Mapping[str, Any]]] = {
    "approval record removed": ("pack_decision", {}),
    "request removed": ("pack_request", {}),
    "the import of a file of others removed": ("access", {}),
    "refused, and said to be approved": ("", {"approved": False}),
    "approved by who asked for it": ("", {"by": " sgt kim"}),
    "approved long after it was asked for": ("", {"at": 8 * 86_400_000_000}),
    "a position shown that was to be withheld": ("", {"withheld": PART}),
    "a file of others whole where a part was to be withheld": ("", {"withheld": CLOSED}),
    "an approval of a part of the time that is shown": ("", {"window": SHORTER_US}),
    "approved for somebody else": ("", {"recipient": "Another Court"}),
}
"""Packs that are right in every hash: what kind of record is left out, or what else was decided."""


def _plain(proof: dict[str, Any]) -> dict[str, Any]:
    """The same, signed by Ed25519 alone; keys are long, and named beside the packs."""
    plain = copy.deepcopy(proof)
    keep_lines(plain, lambda line: len(line) < 400)
    plain["logs"][0] |= {"keys": [], "witness_keys": []}
    return plain


def _vector(
    name: str,
    exit_code: int,
    records: list[Any],
    proof: dict[str, Any],
    files: Mapping[str, str] = FILES,
) -> dict[str, Any]:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in records]
    return {
        "name": name,
        "exit_code": exit_code,
        "records": texts,
        "proof": proof,
        "files": dict(files),
    }


def vectors_text(earlier: str = "") -> str:
    """The file, from an earlier one whose signatures made with chance are kept; empty: none."""
    kept = lattice_lines(json.loads(earlier)) if earlier else []
    return json.dumps(vectors(kept), indent=1, ensure_ascii=False) + "\n"


def _pairs() -> list[KeyPair]:
    def pair(name: str, kind: int) -> KeyPair:
        seeds = [hashlib.sha256(f"{name} {number}".encode()).digest() for number in (1, 2)]
        return KeyPair(name, kind, *seeds)

    return [pair(ORIGIN, ED25519), *(pair(name, COSIGNATURE_ED25519) for name in WITNESSES)]


def _batches(otherwise: Mapping[str, Any]) -> list[list[Row]]:
    """Rows of six batches: two devices, an event, numbers that are missing, a decision, custody."""

    def fix(device: str, number: int) -> Row:
        time_us = START_US + number * 1_000_000
        chain = chain_of("fix", device)
        values = (time_us, number, time_us + 5, number, 0, 540_000_000 + number, -40_000_000)
        rest = (650, 130, 8700, 210, 9, 110, 0, 81, 0, 0)
        return chain, FIX_PAYLOAD.pack(FIX_VERSION, chain, *values, *rest), DAY

    def record(kind: str, subject: str, *values: Any) -> Row:
        return chain_of(kind, subject), encode([2, kind, *values]), DAY

    at = START_US
    event = record("event", "tag-1", at, 7, at, 3, 0, "tag-1", "panic", None, "{}", False)
    step = record("sequence_step", "tag-1", at, 1, 1, 3, 4, 2, at, 9, "opened", "tag-1", "b1")
    decided = (at, 1, 1, at, at, at, 412.25, 400.0, 430.0, 0.97, 9.5, 9, 0, 2, False)
    names = ("c1/tag-1/h-1", "c1", "o1", "centre", "w1", "p1", "tag-1", "h-1", "r1", "b1", "v1")
    decision = record("decision", names[0], *decided, *names, 0, 6.5, 500.0, None, None)
    others = [fix("tag-2", number) for number in range(5)]
    return [
        [fix("tag-1", 1), fix("tag-1", 2), *others[:2]],
        [others[2]],
        [fix("tag-1", 3), event, decision],
        [],
        [fix("tag-1", 4), fix("tag-1", 5), fix("tag-1", 6), step, *others[3:]],
        _custody(otherwise),
    ]


def _custody(decided: Mapping[str, Any]) -> list[Row]:
    """Rows of a request and what was decided about it, and of a file of others that was taken in."""

    def record(kind: str, subject: str, *values: Any) -> Row:
        return chain_of(kind, subject), encode([2, kind, *values]), DAY

    at_us = START_US + 20_000_000
    window = decided.get("window", WINDOW_US)
    terms = ("o1", "court", decided.get("recipient", "Crown Court"), "trial 26/118", *window)
    asked = ("o1", "court", "Crown Court", "trial 26/118", *window)
    digest = hashlib.sha256(FILE.encode()).hexdigest()
    note = f"overlay {OVERLAY}: anpr 'a.csv' from 'traffic control', SHA-256 {digest}, zone none, clock error by line"
    who = ("DC Roe", "command line", "case 26/118", "case:o1", "o1", "overlay import", None, None)
    access = record(
        *("access", "case:o1", "a-1", at_us, at_us, *who),
        *("00000000-0000-4000-8000-000000000003", "service", True, note, "", None),
    )
    claim = ("investigator", "o1", "disclosure", "trial 26/118")
    request = record(
        *("pack_request", "o1", at_us, REQUEST, "Sgt Kim", "service", *asked),
        *(decided.get("withheld", ""), "", *claim),
    )
    decision = record(
        *("pack_decision", "o1", at_us + decided.get("at", 9), REQUEST),
        *(decided.get("by", "Insp Okafor"), "owner", *terms, "Sgt Kim", at_us),
        *(decided.get("approved", True), "seen"),
    )
    return [access, request, decision]


def _pack(
    signed: Callable[[str], Note], left_out: str = "", decided: Mapping[str, Any] = NOTHING
) -> tuple[list[list[Any]], dict[str, Any]]:
    """Records and proof of the pack that all others are made from: what concerns tag-1.

    Args:
        signed: Signs a head.
        left_out: A kind of record that is not in the pack.
        decided: What was decided otherwise than in the whole pack.
    """
    heads: dict[bytes, Head] = {}
    shown = {chain_of(*of): of for of in SHOWN if of[0] != left_out}
    headers: list[bytes] = []
    numbers: list[int] = []
    batches: list[dict[str, Any]] = []
    places: list[tuple[Leaf, int, int]] = []
    for number, rows in enumerate(_batches(decided)):
        key = hashlib.sha256(b"vectors").digest()
        leaves = open_rows(rows, heads, {(chain, day): key for chain, _, day in rows})
        tree = Levels([leaf.hash for leaf in leaves])
        program = hashlib.sha256(b"vectors; layout 2").digest()
        at_us = START_US + number * 10_000_000
        root = tree.root
        header = Header(1, number, len(leaves), at_us, at_us + 1, root, NO_ANCHOR, program)
        headers.append(header.encode())
        indices = [n for n, leaf in enumerate(leaves) if leaf.chain in shown]
        if indices:
            places += [(leaves[index], len(batches), index) for index in indices]
            hidden = hidden_ranges(indices, tree.size)
            numbers.append(number)
            hashes = [range_hash(part, tree.node).hex() for part in hidden]
            batches.append({"header": headers[-1].hex(), "anchor": None, "hashes": hashes})
    log = Levels([leaf_hash(header) for header in headers])
    note = signed(Checkpoint(ORIGIN, log.size, log.root).text)
    runs: list[dict[str, Any]] = []
    records = _records(places, shown, runs)
    part = {
        "origin": ORIGIN,
        "keys": [key.text for key in _pairs()[0].keys],
        "witness_keys": [key.text for pair in _pairs()[1:] for key in pair.keys],
        "checkpoint": note.encode(),
        "hashes": [range_hash(r, log.node).hex() for r in hidden_ranges(numbers, log.size)],
        "batches": batches,
    }
    return records, _proof(runs, part, decided.get("window", WINDOW_US))


def _proof(
    runs: list[dict[str, Any]], part: dict[str, Any], window: tuple[int, int]
) -> dict[str, Any]:
    return {
        "format": "cordon evidence 3",
        "case": "o1",
        "side": "court",
        "devices": ["tag-1"],
        "from": "2026-11-18T00:00:00Z",
        "to": "2026-11-19T00:00:00Z",
        "window_us": list(window),
        "approval": REQUEST,
        "overlays": [
            {
                "overlay": OVERLAY,
                "sha256": hashlib.sha256(FILE.encode()).hexdigest(),
                "part": "whole",
                "file": f"overlays/{OVERLAY}.csv",
                "why": "",
            }
        ],
        "older_than_the_log": 0,
        "erasures": [],
        "absent": {},
        "unsealed": {},
        "runs": runs,
        "logs": [part],
    }


def _records(
    places: list[tuple[Leaf, int, int]],
    shown: dict[bytes, tuple[str, str]],
    runs: list[dict[str, Any]],
) -> list[list[Any]]:
    records: list[list[Any]] = []
    chain = b""
    for leaf, batch, index in sorted(places, key=lambda place: (place[0].chain, place[0].place)):
        kind, subject = shown[leaf.chain]
        if leaf.chain != chain:
            chain = leaf.chain
            before = leaf.before.hex()
            run = {"log": 0, "kind": kind, "subject": subject, "first": leaf.place}
            runs.append(run | {"before": before})
        assert leaf.salt is not None
        assert leaf.payload is not None
        content = [leaf.salt.hex(), leaf.payload.hex()]
        if (kind, leaf.place) in WITHHELD:
            content = [leaf.commitment.hex()]
        records.append([len(runs) - 1, leaf.place, batch, index, *content])
    return records


def _signed_by_all(kept: Iterable[str]) -> Callable[[str], Note]:
    old = {line.name: line for line in map(parse_signature_line, kept)}

    def sign(text: str) -> Note:
        lines: list[SignatureLine] = []
        for pair in _pairs():
            edwards, lattice = pair.sign(text, START_US // 1_000_000 + 60)
            earlier, key = old.get(pair.keys[1].name), pair.keys[1]
            if earlier is not None and key.is_of(earlier) and _holds(key, text, earlier):
                lattice = earlier
            lines += [edwards, lattice]
        return Note(text, tuple(lines))

    return sign


def _holds(key: Any, text: str, line: SignatureLine) -> bool:
    try:
        return bool(key.check(text, line))
    except ValueError:
        return False


def lattice_lines(document: dict[str, Any]) -> list[str]:
    """The ML-DSA-44 signature lines of a file of vectors."""
    note = document["packs"][0]["proof"]["logs"][0]["checkpoint"]
    return [line for line in note.split("\n") if len(line) >= 400]
