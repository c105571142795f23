"""What is not there: silences between fixes, reports that never came, what a stream lost."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable

from devices.instants import to_iso
from evidence.records import Record

SILENCE_S = 300.0
"""Time between two fixes from which it is listed."""

HEAD = ("what", "of", "from", "to", "seconds", "count")


def gaps_table(records: Iterable[Record]) -> str:
    """A CSV table for people, out of the records that are shown."""
    records = list(records)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(HEAD)
    table.writerows(silences(records))
    for record in records:
        values = record.values
        if record.kind == "sequence_step" and values["state"] == "opened":
            numbers = f"{values['first_seq']} to {values['last_seq']}"
            at = to_iso(values["opened_at"])
            table.writerow((f"reports {numbers}", record.subject, at, "", "", values["missing"]))
        elif record.kind == "gap":
            count = values["to_position"] - values["from_position"] + 1
            at = to_iso(values["found_at"])
            table.writerow((f"stream: {values['kind']}", record.subject, at, "", "", count))
    return out.getvalue()


def silences(records: Iterable[Record]) -> Iterable[tuple[str, str, str, str, str, str]]:
    """Times of `SILENCE_S` or more between two shown fixes of a device."""
    by_device: dict[str, list[int]] = {}
    for record in records:
        if record.kind == "fix":
            by_device.setdefault(record.subject, []).append(record.time_us)
    for device, times in sorted(by_device.items()):
        for before, after in itertools.pairwise(sorted(times)):
            seconds = (after - before) / 1e6
            if seconds >= SILENCE_S:
                yield "silence", device, to_iso(before), to_iso(after), f"{seconds:.1f}", ""
