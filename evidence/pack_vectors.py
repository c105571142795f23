"""Test vectors for verifiers of packs: small packs that must pass, and forgeries that must not.

Made by ``cordon evidence vectors``; docs/vectors/README.md says how to use them. Keys and records are
made up, and the same each time. Only ML-DSA-44 signatures differ from run to run (they are made with
chance); those of an earlier file are kept while they are true.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from evidence.log.canonical import encode
from evidence.log.headers import NO_ANCHOR, Header
from evidence.log.leaves import FIX_PAYLOAD, FIX_VERSION, Head, Leaf, Row, chain_of, open_rows
from evidence.log.merkle import Levels, hidden_ranges, leaf_hash, range_hash
from evidence.log.notes import Checkpoint, Note, SignatureLine, parse_signature_line
from evidence.log.signing import COSIGNATURE_ED25519, ED25519, KeyPair

FORMAT = "cordon pack vectors 1"
ORIGIN = "vectors.example/log"
WITNESSES = ("one.example/w", "two.example/w")
DAY, START_US = 20_775, 20_775 * 86_400_000_000
WITHHELD = {("fix", 3)}
"""Kind and place of what is not shown."""

Forge = Callable[[list[list[Any]], dict[str, Any]], object]


def vectors(kept: Iterable[str] = ()) -> dict[str, Any]:
    """All vectors.

    Args:
        kept: ML-DSA-44 signature lines of an earlier file.
    """
    records, proof = _pack(_signed_by_all(kept))
    plain = copy.deepcopy(proof)
    _keep_lines(plain, lambda line: len(line) < 400)
    plain["logs"][0] |= {
        "keys": [],
        "witness_keys": [],
    }  # they are long, and named beside the packs
    packs = [
        {
            "name": "whole, signed by Ed25519 and ML-DSA-44",
            "exit_code": 0,
            "records": [json.dumps(line) for line in records],
            "proof": proof,
        }
    ]
    for name, (exit_code, forge) in FORGERIES.items():
        lines: list[Any] = copy.deepcopy(records)
        changed = copy.deepcopy(plain)
        if name.startswith("ML-DSA-44"):
            changed = copy.deepcopy(proof)
        forge(lines, changed)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        packs.append({"name": name, "exit_code": exit_code, "records": texts, "proof": changed})
    keys = [key.text for pair in _pairs() for key in pair.keys]
    return {"format": FORMAT, "keys": keys, "witnesses": len(WITNESSES), "packs": packs}


def vectors_text(earlier: str = "") -> str:
    """The file, from an earlier one whose signatures made with chance are kept; empty: none."""
    kept = lattice_lines(json.loads(earlier)) if earlier else []
    return json.dumps(vectors(kept), indent=1, ensure_ascii=False) + "\n"


def _pairs() -> list[KeyPair]:
    def pair(name: str, kind: int) -> KeyPair:
        seeds = [hashlib.sha256(f"{name} {number}".encode()).digest() for number in (1, 2)]
        return KeyPair(name, kind, *seeds)

    return [pair(ORIGIN, ED25519), *(pair(name, COSIGNATURE_ED25519) for name in WITNESSES)]


def _batches() -> list[list[Row]]:
    """Rows of five batches: two devices, an event, numbers that are missing, a decision."""

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
    ]


def _pack(signed: Callable[[str], Note]) -> tuple[list[list[Any]], dict[str, Any]]:
    """Records and proof of the pack that all others are made from: what concerns tag-1."""
    heads: dict[bytes, Head] = {}
    shown = {
        chain_of(kind, subject): (kind, subject)
        for kind, subject in [
            ("fix", "tag-1"),
            ("event", "tag-1"),
            ("sequence_step", "tag-1"),
            ("decision", "c1/tag-1/h-1"),
        ]
    }
    headers: list[bytes] = []
    numbers: list[int] = []
    batches: list[dict[str, Any]] = []
    places: list[tuple[Leaf, int, int]] = []
    for number, rows in enumerate(_batches()):
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
    return records, {
        "format": "cordon evidence 2",
        "case": "o1",
        "side": "court",
        "devices": ["tag-1"],
        "from": "2026-11-18T00:00:00Z",
        "to": "2026-11-19T00:00:00Z",
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


def _keep_lines(proof: dict[str, Any], keeps: Callable[[str], bool]) -> None:
    log = proof["logs"][0]
    lines = log["checkpoint"].split("\n")
    log["checkpoint"] = "\n".join(line for line in lines if keeps(line))


def _flip(records: list[list[Any]], line: int, at: int) -> None:
    text = records[line][at]
    records[line][at] = f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"


def _fixes(records: list[list[Any]], proof: dict[str, Any]) -> list[int]:
    """Lines of the fixes."""
    [run] = [n for n, one in enumerate(proof["runs"]) if one["kind"] == "fix"]
    return [number for number, line in enumerate(records) if line[0] == run]


def _left_out(records: list[list[Any]], proof: dict[str, Any]) -> None:
    """Leave a fix out and close the gap in the places."""
    gone, *later = _fixes(records, proof)[1:]
    for line in later:
        records[line][1] -= 1
    del records[gone]


def _swapped(records: list[list[Any]], proof: dict[str, Any]) -> None:
    one, two = _fixes(records, proof)[:2]
    records[one][4:], records[two][4:] = records[two][4:], records[one][4:]


def _spoil_line(part: str, at: int) -> Forge:
    """Change a bit of a signature, at a byte behind its key id."""

    def forge(_: list[list[Any]], proof: dict[str, Any]) -> None:
        log = proof["logs"][0]
        lines = log["checkpoint"].split("\n")
        [number] = [n for n, line in enumerate(lines) if part in line and line.startswith("—")][:1]
        signature = parse_signature_line(lines[number])
        data = bytearray(signature.signature)
        data[at] ^= 1
        spoilt = SignatureLine(signature.name, signature.key_id, bytes(data))
        lines[number] = Note("x\n", (spoilt,)).encode().split("\n")[2]
        log["checkpoint"] = "\n".join(lines)

    return forge


def _spoil_lattice(records: list[list[Any]], proof: dict[str, Any]) -> None:
    lines = proof["logs"][0]["checkpoint"].split("\n")
    long = next(line for line in lines if len(line) >= 400)
    _keep_lines(proof, lambda line: len(line) < 400 or line == long)
    log = proof["logs"][0]
    kept = [line for line in log["checkpoint"].split("\n") if line != long and line]
    log["checkpoint"] = "\n".join([*kept[:3], "", long, *kept[3:], ""])
    _spoil_line(long[:40], 200)(records, proof)


def _unreduced(_: list[list[Any]], proof: dict[str, Any]) -> None:
    """A signature whose second half is not below the group's order: the same to a lax verifier."""
    log = proof["logs"][0]
    lines = log["checkpoint"].split("\n")
    number = next(n for n, line in enumerate(lines) if line.startswith("— one"))
    line = parse_signature_line(lines[number])
    order = 2**252 + 27742317777372353535851937790883648493
    half = int.from_bytes(line.signature[-32:], "little") + order
    data = line.signature[:-32] + half.to_bytes(32, "little")
    spoilt = SignatureLine(line.name, line.key_id, data)
    lines[number] = Note("x\n", (spoilt,)).encode().split("\n")[2]
    log["checkpoint"] = "\n".join(lines)


def _other_size(_: list[list[Any]], proof: dict[str, Any]) -> None:
    log = proof["logs"][0]
    origin, size, rest = log["checkpoint"].split("\n", 2)
    log["checkpoint"] = f"{origin}\n{int(size) + 1}\n{rest}"


def _set(path: str, value: Any) -> Forge:
    """Change the proof at a path such as ``runs/0/subject``."""

    def forge(_: list[list[Any]], proof: dict[str, Any]) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        place: Any = proof
        for step in way:
            place = place[step]
        place[last] = value

    return forge


FORGERIES: dict[str, tuple[int, Forge]] = {
    "whole, signed by Ed25519 alone": (0, lambda _r, _p: None),
    "a payload changed": (1, lambda r, p: _flip(r, _fixes(r, p)[0], 5)),
    "a salt changed": (1, lambda r, p: _flip(r, _fixes(r, p)[0], 4)),
    "a withheld commitment changed": (1, lambda r, p: _flip(r, _fixes(r, p)[2], 4)),
    "a record left out": (1, lambda r, p: r.pop(_fixes(r, p)[1])),
    "a record left out, places renumbered": (1, _left_out),
    "the last record left out": (1, lambda r, _p: r.pop()),
    "two records swapped": (1, _swapped),
    "a record twice": (1, lambda r, _p: r.append(r[-1])),
    "a run without records": (1, lambda _r, p: p["runs"].append(p["runs"][-1])),
    "another device claimed": (1, lambda _r, p: p["runs"][0].update(subject="tag-2")),
    "another kind claimed": (1, lambda _r, p: p["runs"][0].update(kind="status")),
    "a chain that does not begin": (1, lambda _r, p: p["runs"][0].update(before="00" * 32)),
    "a place that its tree does not have": (1, lambda r, _p: r[0].__setitem__(3, 99)),
    "a batch's header changed": (1, _set("logs/0/batches/0/header", "43424831" + "00" * 132)),
    "a hash of a batch's proof missing": (
        1,
        lambda _r, p: p["logs"][0]["batches"][0]["hashes"].clear(),
    ),
    "a hash too many in a batch's proof": (
        1,
        lambda _r, p: p["logs"][0]["batches"][0]["hashes"].append("00" * 32),
    ),
    "a hash of the log's proof missing": (1, lambda _r, p: p["logs"][0]["hashes"].pop()),
    "another size of the log": (1, _other_size),
    "another log claimed": (1, _set("logs/0/origin", "other.example/log")),
    "no signature of the log": (
        1,
        lambda _r, p: _keep_lines(p, lambda line: not line.startswith(f"— {ORIGIN}")),
    ),
    "the log's signature false": (1, _spoil_line(ORIGIN, 40)),
    "a witness's signature false": (1, _spoil_line("one.example", 70)),
    "a witness's time changed": (1, _spoil_line("one.example", 7)),
    "a witness's signature not reduced": (1, _unreduced),
    "ML-DSA-44 signature false": (1, _spoil_lattice),
    "a witness missing": (
        3,
        lambda _r, p: _keep_lines(p, lambda line: not line.startswith("— one.example")),
    ),
    "a format that is not known": (2, _set("format", "cordon evidence 9")),
    "no word about erasures": (2, lambda _r, p: p.pop("erasures")),
    "no runs": (2, lambda _r, p: p.pop("runs")),
    "no JSON": (2, lambda r, _p: r.insert(0, "hello")),  # type: ignore[arg-type] # on purpose
}
"""By name: how a verifier has to end, and what is done to the whole pack."""
