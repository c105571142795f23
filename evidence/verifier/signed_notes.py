"""Signed notes, checkpoints and cosignatures of C2SP."""

import base64
import struct

from evidence.verifier.ed25519 import ed25519_holds
from evidence.verifier.mldsa import mldsa44_holds
from evidence.verifier.trees import Altered, sha256

LOG, COSIGNATURE, MLDSA44 = 1, 4, 6
KEY_BYTES = {LOG: 32, COSIGNATURE: 32, MLDSA44: 1312}


def parse_key(text):
    """Name, kind and bytes of a verifier key (C2SP signed note)."""
    name, key_id, packed = text.strip().split("+", 2)
    data = base64.b64decode(packed)
    if sha256(name.encode(), b"\n", data)[:4].hex() != key_id:
        raise Altered(f"the key of {name} does not have the id it claims")
    if KEY_BYTES.get(data[0]) != len(data) - 1:
        raise Altered(f"the key of {name} is of no known kind")
    return {"name": name, "id": bytes.fromhex(key_id), "kind": data[0], "public": data[1:]}


def short(text):
    """A name as it is signed: its length, then its bytes."""
    data = text.encode()
    return bytes((len(data),)) + data


def mldsa_message(name, time_s, text):
    """What an ML-DSA-44 cosignature is made over."""
    origin, size, root = text.splitlines()
    numbers = struct.pack(">QQ", 0, int(size))
    stamp = struct.pack(">Q", time_s)
    head = b"subtree/v1\n\0" + short(name) + stamp + short(origin)
    return head + numbers + base64.b64decode(root)


def signature_holds(key, text, data):
    """Whether a signature is true, and the second it says it was made (0: it does not say)."""
    if key["kind"] == LOG:
        return ed25519_holds(key["public"], text.encode(), data), 0
    time_s, signature = int.from_bytes(data[:8], "big"), data[8:]
    if key["kind"] == MLDSA44:
        message = mldsa_message(key["name"], time_s, text)
        return mldsa44_holds(key["public"], message, signature), time_s
    message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
    return ed25519_holds(key["public"], message, signature), time_s


def signatures_of(note, keys):
    """The text of a checkpoint, and who signed it: logs, witnesses with the second, by ML-DSA-44.

    Lines of keys that are not among `keys` are passed over; one that is false is an alteration.
    """
    text, _, lines = note.rpartition("\n\n")
    text, logs, witnesses, quantum_safe = text + "\n", set(), {}, set()
    for line in lines.splitlines():
        _, name, packed = line.split(" ")
        data = base64.b64decode(packed)
        for key in keys:
            if (key["name"], key["id"]) != (name, data[:4]):
                continue
            true, time_s = signature_holds(key, text, data[4:])
            if not true:
                raise Altered(f"the signature of {name} is false")
            if key["kind"] == LOG:
                logs.add(name)
            elif key["kind"] == COSIGNATURE:
                witnesses[name] = time_s
            else:
                quantum_safe.add(name)
    return text, logs, witnesses, quantum_safe
