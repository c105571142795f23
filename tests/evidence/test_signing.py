"""Notes, checkpoints, keys and what a witness may sign: published vectors and forgeries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.log.merkle import Levels, leaf_hash, root_of
from evidence.log.notes import (
    Checkpoint,
    Note,
    NoteFormatError,
    parse_checkpoint,
    parse_note,
)
from evidence.log.signing import (
    COSIGNATURE_ED25519,
    ED25519,
    KeyPair,
    SignatureError,
    VerifierKey,
    open_checkpoint,
    verified,
)
from evidence.log.witnessing import (
    NOTHING_SEEN,
    InconsistentError,
    Request,
    Seen,
    StaleError,
    next_seen,
    parse_request,
)

FOLDER = Path(__file__).parent / "vectors"
NOTES = json.loads((FOLDER / "notes.json").read_text())
WITNESS = json.loads((FOLDER / "witness.json").read_text())
KEYS = tuple(VerifierKey.parse(text) for text in NOTES["keys"])
LOG = KeyPair("cordon.example/log", ED25519, bytes(range(32)), bytes(range(32, 64)))
WITNESS_KEY = KeyPair("witness.example/w1", COSIGNATURE_ED25519, bytes([7]) * 32, bytes([9]) * 32)


def test_the_example_of_the_specification() -> None:
    key = VerifierKey.parse(NOTES["foreign"]["key"])
    assert len(verified(parse_note(NOTES["foreign"]["note"].encode()), (key,))) == 1
    assert key.text == NOTES["foreign"]["key"]


def test_the_published_keys() -> None:
    assert [key.text for key in LOG.keys + WITNESS_KEY.keys] == NOTES["keys"]


@pytest.mark.parametrize("case", NOTES["notes"], ids=lambda case: str(case["what"]))
def test_note_vectors(case: dict[str, Any]) -> None:
    if case["passes"]:
        note = parse_note(case["note"].encode())
        assert open_checkpoint(note, KEYS[:2]).size == 8
        assert len(verified(note, KEYS)) == case["true"]
        assert note.encode() == case["note"]
    else:
        with pytest.raises((NoteFormatError, SignatureError)):
            read(case["note"])


def read(text: str) -> None:
    note = parse_note(text.encode())
    open_checkpoint(note, KEYS[:2])
    verified(note, KEYS)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except NoteFormatError:
        return
    assert note.encode().encode() == data


@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_can_be_read_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("cordon.example/log", size, root)
    assert parse_checkpoint(checkpoint.text) == checkpoint


@given(st.integers(1, 1 << 40), st.sampled_from([LOG, WITNESS_KEY]), st.data())
def test_signatures_hold_and_any_flipped_bit_breaks_them(
    time_s: int, pair: KeyPair, data: st.DataObject
) -> None:
    checkpoint = Checkpoint("cordon.example/log", 3, bytes(32))
    for key, line in zip(pair.keys, pair.sign(checkpoint.text, time_s), strict=True):
        assert key.check(checkpoint.text, line) == (0 if key.kind == ED25519 else time_s)
        bit = data.draw(st.integers(0, 8 * len(line.signature) - 1))
        flipped = int.from_bytes(line.signature, "big") ^ (1 << bit)
        forged = type(line)(line.name, line.key_id, flipped.to_bytes(len(line.signature), "big"))
        with pytest.raises(SignatureError):
            key.check(checkpoint.text, forged)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "a+00000000+AQ==", NOTES["keys"][0].replace("cordon", "kordon"), "a b+x+y"],
)
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(NoteFormatError):
        VerifierKey.parse(text)


def test_witness_vectors() -> None:
    key, seen = VerifierKey.parse(WITNESS["key"]), NOTHING_SEEN
    for case in WITNESS["requests"]:
        status, seen = answer(case["body"].encode(), key, seen)
        assert status == case["status"], case["what"]


def answer(body: bytes, key: VerifierKey, seen: Seen) -> tuple[int, Seen]:
    """Status and memory of a witness of one log."""
    try:
        request, checkpoint = parse_request(body)
        if checkpoint.origin != key.name:
            return 404, seen
        open_checkpoint(request.note, (key,))
        new = Seen(checkpoint.size, checkpoint.root)
        return 200, next_seen(seen, request.old_size, request.proof, new)
    except NoteFormatError:
        return 400, seen
    except SignatureError:
        return 403, seen
    except StaleError:
        return 409, seen
    except InconsistentError:
        return 422, seen


@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_a_witness_never_signs_two_histories(steps: list[int], data: st.DataObject) -> None:
    """Whatever is asked in whatever order, the heads it signs lie on one line."""
    lines = [[leaf_hash(bytes([branch, i])) for i in range(60)] for branch in range(3)]
    for line in lines[1:]:
        line[:5] = lines[0][:5]  # they fork later
    seen, signed = NOTHING_SEEN, [NOTHING_SEEN]
    for step in steps:
        line = lines[data.draw(st.integers(0, 2))]
        size = min(60, seen.size + step)
        proof = Levels(line[:size]).consistency(min(seen.size, size))
        try:
            new = Seen(size, root_of(line[:size]))
            seen = next_seen(seen, seen.size, proof, new)
        except InconsistentError:
            continue
        signed.append(seen)
    assert any(all(head.root == root_of(line[: head.size]) for head in signed) for line in lines)


def test_a_request_can_be_read_back() -> None:
    checkpoint = Checkpoint("cordon.example/log", 3, bytes(32))
    note = Note(checkpoint.text, LOG.sign(checkpoint.text, 1))
    request = Request(2, (bytes(32), bytes([1]) * 32), note)
    assert parse_request(request.encode()) == (request, checkpoint)
