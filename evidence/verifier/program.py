"""The program: checks a folder, says in plain words what is proven, missing and withheld."""

import argparse
import base64
import csv
import json
import struct
import sys
from pathlib import Path

from evidence.verifier.custody import check_approval, check_overlays, check_times
from evidence.verifier.records import FIX, FIX_FIELDS, decode, open_batches, read_runs
from evidence.verifier.signed_notes import parse_key, signatures_of
from evidence.verifier.trees import Altered, iso, sha256, tree_root

ALTERED, NO_PACK, NOT_WITNESSED = 1, 2, 3
OLDER, NEWEST = FORMATS = ("cordon evidence 2", "cordon evidence 3")


def check_log(log, batches, trusted):
    """See that the batches stand in the log, and who signed it. Returns what is proven."""
    for batch in batches:
        if tree_root(batch["leaves"], batch["rows"], batch["hashes"]) != batch["root"]:
            raise Altered(f"records of batch {batch['number']} are not those that were sealed")
    keys = [parse_key(text) for text in trusted or log["keys"] + log["witness_keys"]]
    text, signed, witnesses, mldsa = signatures_of(log["checkpoint"], keys)
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
        "mldsa44": sorted(mldsa),
        "keys": {key["name"]: key["id"].hex() for key in keys if key["kind"] != 6},
    }


def verify(folder, trusted):
    """Check a folder. Returns what is proven, and the payloads that are shown with their runs."""
    proof = json.loads((folder / "proof.json").read_text())
    if proof.get("format") not in FORMATS:
        raise KeyError("format")
    batches = [open_batches(log) for log in proof["logs"]]
    with (folder / "records.jsonl").open() as lines:
        shown, withheld = read_runs(lines, proof["runs"], batches)
    logs = [check_log(*pair, trusted) for pair in zip(proof["logs"], batches)]
    counts = [{"shown": 0, "withheld": [], "last": 0} for _ in proof["runs"]]
    for number, place, _ in shown:
        counts[number]["shown"] += 1
        counts[number]["last"] = max(place, counts[number]["last"])
    for number, place in withheld:
        counts[number]["withheld"].append(place)
        counts[number]["last"] = max(place, counts[number]["last"])
    names = ("kind", "subject", "first")
    runs = [{name: run[name] for name in names} | one for run, one in zip(proof["runs"], counts)]
    result = {name: proof[name] for name in ("case", "side", "devices", "from", "to")}
    result |= {
        "records": len(shown),
        "withheld": len(withheld),
        "runs": runs,
        "logs": logs,
        "missing": missing(shown),
        "absent": proof["absent"],
        "erasures": proof["erasures"],
        "unsealed": proof.get("unsealed", {}),  # older packs could hold such
        "older_than_the_log": proof["older_than_the_log"],
        "other_files": check_files(folder),
        "keys_given": bool(trusted),
    }
    if proof["format"] == NEWEST:
        records = [decode(payload) for _, _, payload in shown if payload[0] != 1]
        result |= {name: iso(at) for name, at in zip(("from", "to"), proof["window_us"])}
        approval = check_approval(proof, records)
        check_times(proof, approval, [FIX.unpack(p)[2] for _, _, p in shown if p[0] == 1])
        overlays = check_overlays(proof, records, approval, lambda name: contents(folder / name))
        result |= {"approval": approval, "overlays": overlays}
    return result, [(proof["runs"][number], place, payload) for number, place, payload in shown]


def contents(path):
    """The bytes of a file; None: it is not there."""
    return path.read_bytes() if path.is_file() else None


def missing(shown):
    """Numbers of reports that devices counted and that never arrived, by the records of that."""
    open_gaps = {}
    for _, _, payload in shown:
        values = [] if payload[0] == 1 else decode(payload)
        if values[1:2] == ["sequence_step"]:
            number, first, last, count, state, device = (values[at] for at in (4, 5, 6, 7, 10, 11))
            open_gaps[device, number, first, last] = 0 if state == "filled" else count
    names = ("device", "first", "last", "reports")
    found = ((device, first, last, n) for (device, _, first, last), n in open_gaps.items() if n)
    return [dict(zip(names, gap)) for gap in found]


def check_files(folder):
    """See that the other files are those the manifest names. It is not signed: see the README."""
    manifest = folder / "manifest.sha256"
    if not manifest.exists():
        return None
    count = 0
    for line in manifest.read_text().splitlines():
        digest, name = line.split("  ", 1)
        path = folder / name
        if path.name in ("records.jsonl", "proof.json"):
            continue  # they prove themselves
        if folder.resolve() not in path.resolve().parents:
            raise Altered(f"the manifest names {name}, which is outside the folder")
        if not path.is_file() or sha256(path.read_bytes()).hex() != digest:
            raise Altered(f"the file {name} is missing, or is not as it was written")
        count += 1
    return count


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
    """Say in plain words what is proven, what is missing and what is withheld."""
    print(f"Case {result['case']}, made for the side: {result['side']}.")
    print(f"PROVEN: {result['records']} records are, bit for bit, as they were sealed.")
    for run in result["runs"]:
        print(
            f"  {run['kind']} of {run['subject']}: places {run['first']} to {run['last']} of the "
            f"chain are complete; shown: {run['shown']}, withheld: {ranges(run['withheld'])}"
        )
    for log in result["logs"]:
        print(f"  Log {log['origin']}, size {log['size']}, signed by its own key.")
        print(f"    Sealed not before:     {log['not_before'] or 'not proven'}")
        print(f"    Existed no later than: {log['not_after'] or 'not proven'}")
        for name, time in log["witnesses"].items():
            also = " (and by ML-DSA-44)" if name in log["mldsa44"] else ""
            print(f"    Witness {name} signed at {time}{also}")
        if not result["keys_given"]:
            print("    Keys were taken from the folder itself. Compare them with published copies:")
            for name, key_id in log["keys"].items():
                print(f"      {name} {key_id}")
    tell_custody(result)
    tell_the_rest(result)


def tell_custody(result):
    """Who approved the pack, and what of others' files is there."""
    approval = result.get("approval")
    if "approval" not in result:
        print("APPROVAL: nothing is said of it: the pack is of an older format.")
    elif approval is None:
        print("APPROVAL: no second person approved this pack.")
    else:
        print(f"APPROVED by {approval['by']} at {approval['at']}, as sealed; names are as stated.")
        print(f"  Asked for by {approval['requested_by']} at {approval['requested_at']},")
        print(f"  for {approval['recipient']}: {approval['purpose']}")
        if approval["withheld"]:
            print(f"  Withheld, as approved: {approval['withheld']}")
    said = {
        "whole": "is there as it was taken in",
        "rows": "is there in part: nothing proves these lines but the file as received",
        "none": "is not there; proof.json says why",
    }
    for overlay, part in sorted(result.get("overlays", {}).items()):
        print(f"OF OTHERS: the file {overlay} {said[part]}.")


def tell_the_rest(result):
    """What is missing, withheld and not proven."""
    print("MISSING:" if result["missing"] else "MISSING: nothing that the devices counted.")
    for gap in result["missing"]:
        print(
            f"  {gap['reports']} of the reports {gap['first']} to {gap['last']} of "
            f"{gap['device']} never arrived"
        )
    print(f"WITHHELD: the content of {result['withheld']} records, whose places are above.")
    for why in sorted(set(result["absent"].values())):
        kinds = ", ".join(sorted(kind for kind, said in result["absent"].items() if said == why))
        print(f"  Not in this pack at all: {why} ({kinds})")
    for text in result["erasures"]:
        print(f"ERASED, as its keeper says: {text}")
    print("NOT PROVEN: that a position was true when the device sent it.")
    if result["older_than_the_log"]:
        print(f"  {result['older_than_the_log']} more records are from before there was a log.")
    for name, count in result["unsealed"].items():
        print(f"  {count} records of {name} in unsealed.json: no log covers them.")
    print("  custody.jsonl: its last line is as stated by whoever exported it.")
    print("  Report and views are made from the records; the records are the evidence.")


def write_table(path, shown):
    """Write the proven fixes as a table."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("device", "place", "time", *FIX_FIELDS))
        for run, place, payload in shown:
            if payload[0] == 1:
                values = FIX.unpack(payload)[2:]
                table.writerow((run["subject"], place, iso(values[0]), *values))


def main():
    """Read the arguments, verify, tell; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
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
        result, code = {"no_pack": f"{type(reason).__name__}: {reason}"}, NO_PACK
    if asked.json:
        print(json.dumps(result | {"exit_code": code}))
    elif code in (ALTERED, NO_PACK):
        print("ALTERED OR INCOMPLETE:" if code == ALTERED else "NOT A PACK:", *result.values())
    else:
        tell(result)
        if code:
            print("Not fully proven: too few witnesses, or their keys were not given with --keys.")
    return code


if __name__ == "__main__":
    sys.exit(main())
