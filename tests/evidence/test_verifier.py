"""The verifier as one file: runs on old Pythons, says its verdicts, checks what libraries sign."""

from __future__ import annotations

import ast
import hashlib
import os
from importlib import import_module
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.single_file import verifier_text

# Parts of a program without types, for others to run.
ed25519_holds: Any = import_module("evidence.verifier.ed25519").ed25519_holds
mldsa44_holds: Any = import_module("evidence.verifier.mldsa").mldsa44_holds
OLDEST = (3, 9)


def test_it_is_one_file_for_old_pythons() -> None:
    text = verifier_text()
    tree = ast.parse(text, feature_version=OLDEST)
    assert "evidence.verifier" not in text
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [node.names[0].name])
    }
    assert imported <= {
        "argparse", "base64", "csv", "datetime", "hashlib", "json", "pathlib", "re", "struct", "sys"
    }  # fmt: skip
    assert text == verifier_text()


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.data())
def test_signatures_hold_as_the_library_says(
    seed: bytes, message: bytes, data: st.DataObject
) -> None:
    edwards, lattice = (
        Ed25519PrivateKey.from_private_bytes(seed),
        MLDSA44PrivateKey.from_seed_bytes(seed),
    )
    for holds, public, signature in (
        (ed25519_holds, edwards.public_key().public_bytes_raw(), edwards.sign(message)),
        (mldsa44_holds, lattice.public_key().public_bytes_raw(), lattice.sign(message)),
    ):
        assert holds(public, message, signature)
        assert not holds(public, message + b"\0", signature)
        at = data.draw(st.integers(0, len(signature) - 1))
        spoilt = bytearray(signature)
        spoilt[at] ^= 1 << data.draw(st.integers(0, 7))
        assert not holds(public, message, bytes(spoilt))
        assert not holds(public, message, signature[:-1])
        assert not holds(public[:-1], message, signature)


def test_keys_of_others_do_not_hold() -> None:
    one, two = (MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(n).digest()) for n in (b"1", b"2"))
    message = os.urandom(9)
    assert not mldsa44_holds(two.public_key().public_bytes_raw(), message, one.sign(message))


@pytest.mark.parametrize("place", [0, 31, 32, 2335, 2336, 2415, 2416, 2419])
def test_each_part_of_a_lattice_signature_counts(place: int) -> None:
    key = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"m")
    spoilt = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
    assert not mldsa44_holds(public, b"m", spoilt)
