"""What is done to whole packs to test verifiers (`evidence.pack_vectors`), and how they have to end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from evidence.log.notes import Note, SignatureLine, parse_signature_line

Forge = Callable[[list[list[Any]], dict[str, Any]], object]


def keep_lines(proof: dict[str, Any], keeps: Callable[[str], bool]) -> None:
    """Take lines out of the checkpoint of a proof: signatures, that is."""
    log = proof["logs"][0]
    lines = log["checkpoint"].split("\n")
    log["checkpoint"] = "\n".join(line for line in lines if keeps(line))


def _flip(records: list[list[Any]], line: int, at: int) -> None:
    text = records[line][at]
    records[line][at] = f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"


def _withhold(records: list[list[Any]], proof: dict[str, Any], kind: str) -> None:
    """Show the places of a kind of record, and not the content: every tree stays right."""
    [run] = [n for n, one in enumerate(proof["runs"]) if one["kind"] == kind]
    for line in records:
        if line[0] == run:
            content = b"\x02" + bytes.fromhex(line[4]) + bytes.fromhex(line[5])
            line[4:] = [hashlib.sha256(content).hexdigest()]


def _other_byte(files: dict[str, str]) -> None:
    [name] = files
    files[name] = files[name].replace("AB12", "AB13")


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
    keep_lines(proof, lambda line: len(line) < 400 or line == long)
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
        lambda _r, p: keep_lines(
            p, lambda line: not line.startswith(f"— {p['logs'][0]['origin']}")
        ),
    ),
    "the log's signature false": (1, _spoil_line("vectors.example", 40)),
    "a witness's signature false": (1, _spoil_line("one.example", 70)),
    "a witness's time changed": (1, _spoil_line("one.example", 7)),
    "a witness's signature not reduced": (1, _unreduced),
    "ML-DSA-44 signature false": (1, _spoil_lattice),
    "a witness missing": (
        3,
        lambda _r, p: keep_lines(p, lambda line: not line.startswith("— one.example")),
    ),
    "a format that is not known": (2, _set("format", "cordon evidence 9")),
    "no word about erasures": (2, lambda _r, p: p.pop("erasures")),
    "the approval withheld": (1, lambda r, p: _withhold(r, p, "pack_decision")),
    "the request withheld from the court": (1, lambda r, p: _withhold(r, p, "pack_request")),
    "an approval that no record knows": (
        1,
        _set("approval", "00000000-0000-4000-8000-000000000009"),
    ),
    "another window than was approved": (1, lambda _r, p: p["window_us"].__setitem__(1, 1)),
    "another case than was approved": (1, _set("case", "o2")),
    "another side than was approved": (1, _set("side", "protected")),
    "no word about approval": (2, lambda _r, p: p.pop("approval")),
    "said to be approved by nobody": (0, _set("approval", None)),
    "a file of others not named": (1, lambda _r, p: p["overlays"].clear()),
    "a file of others named twice": (
        1,
        lambda _r, p: p["overlays"].append(p["overlays"][0]),
    ),
    "a file of others with another digest": (1, _set("overlays/0/sha256", "00" * 32)),
    "a file of others elsewhere": (1, _set("overlays/0/file", "../other.csv")),
    "a part of a file where nothing is withheld": (1, _set("overlays/0/part", "rows")),
    "another part of a file than there are": (1, _set("overlays/0/part", "most")),
    "no word about files of others": (2, lambda _r, p: p.pop("overlays")),
    "whole, of the older format": (
        0,
        lambda _r, p: (
            [p.pop(name) for name in ("approval", "overlays", "window_us")]
            and p.update(format="cordon evidence 2")
        ),
    ),
    "no runs": (2, lambda _r, p: p.pop("runs")),
    "no JSON": (2, lambda r, _p: r.insert(0, "hello")),  # type: ignore[arg-type] # on purpose
}
"""By name: how a verifier has to end, and what is done to the whole pack."""

FILE_FORGERIES: dict[str, tuple[int, Callable[[dict[str, str]], object]]] = {
    "a file of others changed by one byte": (1, _other_byte),
    "a file of others missing": (1, lambda files: files.clear()),
    "a file that nobody knows": (0, lambda files: files.update({"notes.csv": "a,b\n"})),
}
"""Likewise: what is done to the other files."""
