"""The folder of an export: what stands in it, and how it is written down.

docs/evidence.md describes its files; `evidence.verify` reads them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from devices.instants import to_iso
from evidence.erasures import Erasure
from evidence.log.canonical import decode
from evidence.log.leaves import FIX_PAYLOAD, Leaf, chain_of
from evidence.log.notes import parse_note
from evidence.seal_store import LogState

FORMAT = "cordon evidence 1"
KINDS = ("fix", "event", "status", "refusal", "anomaly")
"""What is exported of a device: tables whose chains are named by the device."""

SILENCE_S = 300.0
"""Time between two fixes from which `gaps.csv` lists it."""


class ExportError(RuntimeError):
    """Nothing can be exported as asked. The text is for people."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown.

    Attributes:
        device: Whose records.
        from_us, to_us: Of the record's own time: from the first to before the second.
        withheld_us: Parts of the window whose records show their places only.
    """

    device: str
    from_us: int
    to_us: int
    withheld_us: tuple[tuple[int, int], ...] = ()

    def shows(self, time_us: int) -> bool:
        """Whether the content of a record of this time is shown."""
        hidden = any(start <= time_us < end for start, end in self.withheld_us)
        return self.from_us <= time_us < self.to_us and not hidden


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf and where it stands: batch (of `Bundle.batches`) and index in its tree."""

    leaf: Leaf
    batch: int
    index: int
    in_window: bool
    shown: bool


@dataclass(slots=True)
class Bundle:
    """What one log contributes."""

    state: LogState
    batches: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


def time_of(payload: bytes) -> int:
    """The time of a record of `KINDS`, microseconds since 1970."""
    if payload[0] == 1:
        return int(FIX_PAYLOAD.unpack(payload)[2])
    time_us = decode(payload)[2]  # layout, table, time
    assert isinstance(time_us, int), "records of these kinds begin with their time"
    return time_us


def write_folder(
    folder: Path,
    asked: Asked,
    bundles: Sequence[Bundle],
    logs: Sequence[dict[str, Any]],
    older: int,
    erased: Sequence[Erasure] = (),
) -> None:
    """Write all files.

    Args:
        folder: Made; must not exist or be empty.
        asked: What is shown.
        bundles: What each log contributes.
        logs: Its part of `proof.json`.
        older: Records of the window from before there was a log.
        erased: What was erased of this device: places without content are theirs.

    Raises:
        ExportError: The folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ExportError(f"{folder} is not empty: name another folder.")
        names = {chain_of(kind, asked.device): kind for kind in KINDS}
        runs: list[dict[str, Any]] = []
        with (folder / "records.jsonl").open("w") as file:
            for number, bundle in enumerate(bundles):
                for line in _lines(number, bundle, names, asked.device, runs):
                    file.write(line + "\n")
        document = {
            "format": FORMAT,
            "device": asked.device,
            "from": to_iso(asked.from_us),
            "to": to_iso(asked.to_us),
            "older_than_the_log": older,
            "erasures": [erasure_text(one) for one in erased],
            "runs": runs,
            "logs": logs,
        }
        (folder / "proof.json").write_text(json.dumps(document, indent=1) + "\n")
        for number, log in enumerate(logs):
            _write_stamps(folder, number, log)
        (folder / "gaps.csv").write_text(_gaps(bundles))
        for name in ("verify.py", "README-export.txt"):
            text = resources.files("evidence").joinpath(name).read_text()
            (folder / name.replace("-export", "")).write_text(text)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror}.") from error


def erasure_text(one: Erasure) -> str:
    """An erasure, for people."""
    return (
        f"{one.leaves} records from {to_iso(one.from_us)} to {to_iso(one.to_us)} were erased on "
        f"{to_iso(one.erased_us)} by {one.approved_by}, asked for by {one.asked_by}: {one.reason}"
    )


def _write_stamps(folder: Path, number: int, log: dict[str, Any]) -> None:
    """The head's text and the stamps over it as files, as OpenSSL takes them."""
    if log["stamps"]:
        text = parse_note(log["checkpoint"].encode()).text
        (folder / f"head-{number}.txt").write_bytes(text.encode())
    for index, stamp in enumerate(log["stamps"]):
        (folder / f"head-{number}-{index}.tsr").write_bytes(bytes.fromhex(stamp["response"]))


def _lines(
    log: int,
    bundle: Bundle,
    names: dict[bytes, str],
    device: str,
    runs: list[dict[str, Any]],
) -> Iterable[str]:
    """One line per leaf; a new run begins with each chain."""
    chain = None
    for place in bundle.places:
        leaf = place.leaf
        if leaf.chain != chain:
            chain = leaf.chain
            runs.append(
                {
                    "log": log,
                    "kind": names[chain],
                    "subject": device,
                    "first": leaf.place,
                    "before": leaf.before.hex(),
                }
            )
        content = [leaf.commitment.hex()]
        if place.shown and leaf.salt is not None and leaf.payload is not None:
            content = [leaf.salt.hex(), leaf.payload.hex()]
        yield json.dumps([len(runs) - 1, leaf.place, place.batch, place.index, *content])


def _gaps(bundles: Sequence[Bundle]) -> str:
    """Silences between shown fixes, as a table for people."""
    times = sorted(
        time_of(place.leaf.payload)
        for bundle in bundles
        for place in bundle.places
        if place.shown and place.leaf.payload and place.leaf.payload[0] == 1
    )
    lines = ["from,to,seconds"]
    for before, after in itertools.pairwise(times):
        if after - before >= SILENCE_S * 1_000_000:
            lines.append(f"{to_iso(before)},{to_iso(after)},{(after - before) / 1e6:.1f}")
    return "\n".join(lines) + "\n"
