#!/usr/bin/env python3
"""Verifies an export of evidence, with nothing but Python 3.9 or later: python3 verify.py FOLDER.

Written apart from the program that sealed the records, from the description of the formats. It
checks that every record shown is one that was sealed, that no record is missing in the runs that
are shown, and that the log that holds them was signed by its own key and by independent witnesses.
It cannot tell whether a position was true when the device sent it.

Ends with 0: all is proven; 1: something was altered or is missing; 2: this is no export;
3: nothing is wrong, but too few witnesses signed, or their keys were not given with --keys.
"""

import argparse
import base64
import csv
import datetime as dt
import hashlib
import json
import struct
import sys
from pathlib import Path

FIX = struct.Struct(">B32sqqqqiiiiiiihhhhhB")
FIX_FIELDS = (
    "time_us", "seq", "received_us", "journal_position", "message", "lat_e7", "lon_e7",
    "accuracy_cm", "speed_cms", "course_cdeg", "altitude_dm", "satellites", "hdop_c", "kind",
    "battery_pct", "charging", "buffered",
)  # fmt: skip
HEADER_FIELDS = ("magic", "log", "number", "rows", "opened", "closed", "root", "anchor", "program")
HEADER = struct.Struct(">4sIQQqq32s32s32s")
SUBJECT_AT = {
    "event": 7,
    "status": 6,
    "refusal": 6,
    "anomaly": 11,
}  # where a record names its device
ALTERED, NO_EXPORT, NOT_WITNESSED = 1, 2, 3


class Altered(Exception):  # noqa: N818 - what is altered is the evidence, not this program
    """The evidence is not as it was sealed."""


def sha256(*parts):
    """SHA-256 over the parts."""
    return hashlib.sha256(b"".join(parts)).digest()


# Ed25519, RFC 8032, section 5.1.7. Slow and plain; it is used some tens of times.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    """The sum of two points in extended coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return (w * x % P, y * z % P, x * y % P, w * z % P)


def point_times(number, point):
    """A point added to itself so many times."""
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        number >>= 1
    return result


def point_of(data):
    """The point that 32 bytes name; None if there is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point_of(bytes.fromhex("58" + "66" * 31))


def ed25519_holds(public, message, signature):
    """Whether an Ed25519 signature over a message is true."""
    key, r = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= ORDER or len(signature) != 64:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = point_times(s, BASE), point_add(r, point_times(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % P == 0


def parse_key(text):
    """Name, kind and bytes of a verifier key (C2SP signed note)."""
    name, key_id, packed = text.strip().split("+", 2)
    data = base64.b64decode(packed)
    if sha256(name.encode(), b"\n", data)[:4].hex() != key_id:
        raise Altered(f"the key of {name} does not have the id it claims")
    return {"name": name, "id": bytes.fromhex(key_id), "kind": data[0], "public": data[1:]}


def signatures_of(note, keys):
    """The text of a checkpoint; the logs that signed it; witnesses, with the second they signed."""
    text, _, lines = note.rpartition("\n\n")
    text, logs, witnesses = text + "\n", set(), {}
    for line in lines.splitlines():
        _, name, packed = line.split(" ")
        data = base64.b64decode(packed)
        for key in keys:
            if (key["name"], key["id"]) != (name, data[:4]) or key["kind"] not in (1, 4):
                continue
            message, signature = text.encode(), data[4:]
            if key["kind"] == 4:
                witnesses[name] = time_s = int.from_bytes(signature[:8], "big")
                message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
                signature = signature[8:]
            if not ed25519_holds(key["public"], message, signature):
                raise Altered(f"the signature of {name} is false")
            if key["kind"] == 1:
                logs.add(name)
    return text, logs, witnesses


def decode(data):
    """The values of a record: a CBOR array (RFC 8949) of integers, floats, texts, bytes, simples."""
    at, values = 0, []
    while at < len(data):
        major, extra, at = data[at] >> 5, data[at] & 31, at + 1
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(extra, 0)
        raw, at = data[at : at + width], at + width
        number = int.from_bytes(raw, "big") if width else extra
        if major in (2, 3):
            body, at = data[at : at + number], at + number
            values.append(body if major == 2 else body.decode())
        elif major in (0, 1):
            values.append(number if major == 0 else -1 - number)
        elif major == 7:
            simple = {20: False, 21: True, 22: None}
            values.append(struct.unpack(">d", raw)[0] if width == 8 else simple[number])
        elif major != 4 or values:
            raise Altered("a record is not encoded as records are")
    return values


def check_subject(payload, run, chain):
    """See that a record is of the kind and the device that its run is said to be about."""
    if payload[0] == 1:
        right = run["kind"] == "fix" and payload[1:33] == chain
    else:
        values = decode(payload)
        right = (values[1], values[SUBJECT_AT[run["kind"]]]) == (run["kind"], run["subject"])
    if not right:
        raise Altered("a record is of another kind, or of another device, than is claimed")


def tree_root(leaves, size, hashes):
    """RFC 6962 root of a tree of which some leaves, and the hashes of all other parts, are known."""
    places, rest = sorted(leaves), iter(hashes)
    if not places or places[0] < 0 or places[-1] >= size:
        raise Altered("a leaf is shown that its tree does not have")

    def descend(start, end, low, high):
        if low == high:
            return next(rest)
        if end - start == 1:
            return leaves[start]
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        between = low
        while between < high and places[between] < middle:
            between += 1
        left = descend(start, middle, low, between)
        return sha256(b"\x01", left, descend(middle, end, between, high))

    try:
        root = descend(0, size, 0, len(places))
    except StopIteration:
        raise Altered("a proof has too few hashes") from None
    if next(rest, None) is not None:
        raise Altered("a proof has too many hashes")
    return root


def read_runs(lines, runs, batches):
    """Follow the chains through all leaves, and put each leaf into its batch's tree.

    Returns the payloads that are shown, with their run; and how many leaves are withheld.
    """
    shown, withheld, current, place, leaf = [], [], -1, 0, b""
    pack, digest = struct.Struct(">Q").pack, hashlib.sha256
    for line in lines:
        number, claimed, batch, index, *content = json.loads(line)
        if number != current:
            if number != current + 1:
                raise Altered("a run of records is missing")
            current, run = number, runs[number]
            place, leaf = run["first"] - 1, bytes.fromhex(run["before"])
            trees = batches[run["log"]]
            chain = sha256(run["kind"].encode(), b"\0", run["subject"].encode())
            if place == 0 and leaf != sha256(b"cordon chain v1\n", chain):
                raise Altered("a chain does not begin as chains do")
        place += 1
        if claimed != place:
            raise Altered(f"record {place} of the {run['kind']} records is missing")
        if len(content) == 2:
            payload = bytes.fromhex(content[1])
            commitment = digest(b"\x02" + bytes.fromhex(content[0]) + payload).digest()
            check_subject(payload, run, chain)
            shown.append((number, place, payload))
        else:
            commitment = bytes.fromhex(content[0])
            withheld.append((number, place))
        leaf = digest(b"\x00" + leaf + pack(place) + commitment).digest()
        if index in trees[batch]["leaves"]:
            raise Altered("two records are shown at one place of a batch")
        trees[batch]["leaves"][index] = leaf
    if current + 1 != len(runs):
        raise Altered("a run of records is missing")
    return shown, withheld


def open_batches(log):
    """Headers of a log's batches, each with room for its leaves."""
    found = []
    for batch in log["batches"]:
        data = bytes.fromhex(batch["header"])
        if len(data) != HEADER.size or data[:4] != b"CBH1":
            raise Altered("a batch has no header of a known kind")
        header = dict(zip(HEADER_FIELDS, HEADER.unpack(data)))
        hashes = [bytes.fromhex(node) for node in batch["hashes"]]
        found.append(header | {"data": data, "hashes": hashes, "leaves": {}})
    return found


def check_log(log, batches, trusted):
    """See that the batches stand in the log, and who signed it. Returns what is proven."""
    for batch in batches:
        if tree_root(batch["leaves"], batch["rows"], batch["hashes"]) != batch["root"]:
            raise Altered(f"records of batch {batch['number']} are not those that were sealed")
    keys = [parse_key(text) for text in trusted or log["keys"] + log["witness_keys"]]
    text, signed, witnesses = signatures_of(log["checkpoint"], keys)
    origin, size, root = text.splitlines()
    if origin != log["origin"] or origin not in signed:
        raise Altered("the log's own signature is missing")
    leaves = {batch["number"]: sha256(b"\x00", batch["data"]) for batch in batches}
    hashes = [bytes.fromhex(node) for node in log["hashes"]]
    if tree_root(leaves, int(size), hashes) != base64.b64decode(root):
        raise Altered("the batches are not part of the log that was signed")
    anchor = log["batches"][0]["anchor"]
    not_before = None
    if anchor and sha256(anchor.encode()) == batches[0]["anchor"]:
        stamps = [base64.b64decode(line.split(" ")[2])[4:12] for line in anchor.splitlines()]
        not_before = min(int.from_bytes(stamp, "big") for stamp in stamps)
    return {
        "origin": origin,
        "size": int(size),
        "witnesses": {name: iso(1_000_000 * time_s) for name, time_s in witnesses.items()},
        "not_before": None if not_before is None else iso(1_000_000 * not_before),
        "not_after": iso(1_000_000 * min(witnesses.values())) if witnesses else None,
        "keys": {key["name"]: key["id"].hex() for key in keys if key["kind"] in (1, 4)},
    }


def iso(time_us):
    """An instant in microseconds since 1970 as text."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (epoch + dt.timedelta(microseconds=time_us)).isoformat()


def verify(folder, trusted):
    """Check a folder. Returns what is proven, and the payloads that are shown."""
    proof = json.loads((folder / "proof.json").read_text())
    if proof.get("format") != "cordon evidence 1":
        raise KeyError("format")
    batches = [open_batches(log) for log in proof["logs"]]
    with (folder / "records.jsonl").open() as lines:
        shown, withheld = read_runs(lines, proof["runs"], batches)
    logs = [check_log(*pair, trusted) for pair in zip(proof["logs"], batches)]
    runs = []
    for number, run in enumerate(proof["runs"]):
        places = [place for of, place, _ in shown if of == number]
        hidden = [place for of, place in withheld if of == number]
        first, last = min(places + hidden), max(places + hidden)
        runs.append(
            {"kind": run["kind"], "first": first, "last": last, "shown": len(places)}
            | {"withheld": hidden}
        )
    result = {
        "device": proof["device"],
        "records": len(shown),
        "withheld": len(withheld),
        "runs": runs,
        "logs": logs,
        "older_than_the_log": proof["older_than_the_log"],
        "keys_given": bool(trusted),
        "not_checked_here": "ML-DSA-44 signatures",
    }
    return result, shown


def ranges(places):
    """Places as text: 3, 17-24."""
    runs = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"


def tell(result):
    """Say in plain words what is proven."""
    print(f"Device {result['device']}: {result['records']} records shown, none altered; ", end="")
    print(f"{result['withheld']} withheld, whose content is not here and whose places are.")
    if result["older_than_the_log"]:
        print(
            f"  {result['older_than_the_log']} more are said to be from before the log; not proven."
        )
    for run in result["runs"]:
        print(
            f"  {run['kind']}: places {run['first']} to {run['last']} of the chain are complete; ",
            end="",
        )
        print(f"shown: {run['shown']}, withheld: {ranges(run['withheld'])}")
    for log in result["logs"]:
        print(f"Log {log['origin']}, size {log['size']}, signed by its own key.")
        print(f"  Sealed not before:     {log['not_before'] or 'not proven'}")
        print(f"  Existed no later than: {log['not_after'] or 'not proven'}")
        for name, time in log["witnesses"].items():
            print(f"  Witness {name} signed at {time}")
        if not result["keys_given"]:
            print("  Keys were taken from the folder itself. Compare them with published copies:")
            for name, key_id in log["keys"].items():
                print(f"    {name} {key_id}")
    print(
        f"Not checked here: {result['not_checked_here']}. Not provable: that a position was true."
    )


def write_table(path, shown):
    """Write the proven fixes as a table."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("place", "time", *FIX_FIELDS))
        for _, place, payload in shown:
            if payload[0] == 1:
                values = FIX.unpack(payload)[2:]
                table.writerow((place, iso(values[0]), *values))


def main():
    """Read the arguments, verify, tell; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keys", type=Path, help="public keys you trust, one a line")
    parser.add_argument("--witnesses", type=int, default=2, help="how many must have signed (2)")
    parser.add_argument("--table", type=Path, help="write the proven fixes to this CSV file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    trusted = asked.keys.read_text().split() if asked.keys else None
    code = 0
    try:
        result, shown = verify(asked.folder, trusted)
        if asked.table:
            write_table(asked.table, shown)
        enough = all(len(log["witnesses"]) >= asked.witnesses for log in result["logs"])
        code = 0 if enough and trusted else NOT_WITNESSED
    except Altered as reason:
        result, code = {"altered": str(reason)}, ALTERED
    except (OSError, KeyError, IndexError, TypeError, ValueError, struct.error) as reason:
        result, code = {"no_export": f"{type(reason).__name__}: {reason}"}, NO_EXPORT
    if asked.json:
        print(json.dumps(result | {"exit_code": code}))
    elif code in (ALTERED, NO_EXPORT):
        print("ALTERED OR INCOMPLETE:" if code == ALTERED else "NOT AN EXPORT:", *result.values())
    else:
        tell(result)
        if code:
            print("Not fully proven: too few witnesses, or their keys were not given with --keys.")
    return code


if __name__ == "__main__":
    sys.exit(main())
