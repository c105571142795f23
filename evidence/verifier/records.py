"""Records, chains and batches: what `records.jsonl` and `proof.json` hold."""

import hashlib
import json
import struct

from evidence.verifier.trees import Altered, sha256

FIX = struct.Struct(">B32sqqqqiiiiiiihhhhhB")
FIX_FIELDS = (
    "time_us", "seq", "received_us", "journal_position", "message", "lat_e7", "lon_e7",
    "accuracy_cm", "speed_cms", "course_cdeg", "altitude_dm", "satellites", "hdop_c", "kind",
    "battery_pct", "charging", "buffered",
)  # fmt: skip
HEADER_FIELDS = ("magic", "log", "number", "rows", "opened", "closed", "root", "anchor", "program")
HEADER = struct.Struct(">4sIQQqq32s32s32s")
SUBJECT_AT = {
    "message": 5,
    "event": 7,
    "receipt": 6,
    "status": 6,
    "refusal": 6,
    "decision": 17,
    "anomaly": 11,
    "device_health": 11,
    "sequence_step": 11,
    "command": 7,
    "alert_change": 6,
    "delivery": 6,
    "gap": 2,
    "caseload_entry": 5,
    "disclosure": 5,
    "access": 8,
    "pack_request": 6,
    "pack_decision": 6,
    "pack_use": 7,
}  # where a record names whom its chain is about, counted from 0: layout, kind, columns


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
