"""The folder of an export: what stands in it, and how it is written down.

docs/evidence.md describes its files; `verify.py` in it, which `evidence.verifier` is put together to,
reads them. The records and their proofs are the evidence; every other file is made out of the records
that are shown, and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from devices.durable import force_all, write_durably
from devices.instants import to_iso
from evidence.case_uco import PackFile, case_uco
from evidence.erasures import erasure_text
from evidence.export_gaps import gaps_table
from evidence.log.notes import parse_note
from evidence.pack import Bundle, Pack
from evidence.pack_custody import access_table, approval_text, custody_lines, story_of
from evidence.pack_overlays import FOLDER as OVERLAYS
from evidence.pack_overlays import (
    Compared,
    compared,
    drawn,
    others_story,
    proof_entries,
    write_overlays,
)
from evidence.private_folder import empty, make_private
from evidence.records import columns
from evidence.report.pdf import About, report
from evidence.selection import Asked, ExportError
from evidence.single_file import page_text, verifier_text
from evidence.views.facts import Facts
from evidence.views.folder import write_views

FORMAT = "cordon evidence 3"
MANIFEST = "manifest.sha256"
MANIFEST_MODE = 0o644


class LeftOverError(ExportError):
    """What was written of a pack that failed is still there."""


@contextmanager
def whole_or_gone(folder: Path) -> Iterator[None]:
    """Make the folder of a pack, for its owner alone; where anything fails meanwhile, what is in it is removed.

    Records and proof come first and prove themselves, so a part of a pack is as good as a pack: it must not
    stay where none is said to be.

    Args:
        folder: Must not exist or be empty.

    Raises:
        ExportError: The folder cannot be used.
        LeftOverError: What is in it cannot be removed.
    """
    try:
        make_private(folder)
        try:
            yield
        except BaseException:
            _remove(folder)
            raise
    except FileExistsError as error:
        raise ExportError(f"{error}: name another folder.") from error
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror}.") from error


def _remove(folder: Path) -> None:
    try:
        empty(folder)
    except BaseException as error:  # stopped a second time, too
        raise LeftOverError(
            f"The pack failed, and what was written of it was not removed ({type(error).__name__}). Remove {folder} "
            "yourself: it may hold all of the records. An approval that it was made by stays used up."
        ) from error


def write_folder(folder: Path, asked: Asked, pack: Pack) -> None:
    """Write all files.

    Args:
        folder: Empty: see `whole_or_gone`.
        asked: What is shown.
        pack: The records and their proofs.

    Raises:
        OSError: The folder cannot be written.
    """
    runs: list[dict[str, Any]] = []
    with (folder / "records.jsonl").open("w") as file:
        for number, bundle in enumerate(pack.bundles):
            for line in _lines(number, bundle, runs):
                file.write(line + "\n")
    _write_json(folder / "proof.json", _proof(asked, pack, runs))
    for number, log in enumerate(pack.logs):
        _write_stamps(folder, number, log)
    _write_json(folder / "layout.json", columns())
    custody = custody_lines(_custody(asked, pack), pack)
    (folder / "custody.jsonl").write_text("".join(json.dumps(line) + "\n" for line in custody))
    (folder / "access.csv").write_text(access_table(pack), newline="")
    beside = compared(pack)
    write_overlays(folder / OVERLAYS, pack, beside)
    facts = Facts.of(asked.custody.case, asked.side, asked.window, pack.shown(), drawn(beside))
    write_views(folder / "views", facts)
    about = _about(folder, asked, pack, beside)
    (folder / "report.pdf").write_bytes(report(facts, about))
    (folder / "gaps.csv").write_text(gaps_table(pack.shown()))
    (folder / "verify.py").write_text(verifier_text())
    (folder / "verify.html").write_text(page_text())
    text = resources.files("evidence").joinpath("README-export.txt").read_text()
    (folder / "README.txt").write_text(text)
    _write_json(folder / "case.jsonld", case_uco(_custody(asked, pack), _files(folder)))
    # The manifest says that all is there: it comes when all is on disk.
    force_all(folder)
    write_durably(folder / MANIFEST, "".join(_manifest(folder)).encode(), MANIFEST_MODE)


def _proof(asked: Asked, pack: Pack, runs: list[dict[str, Any]]) -> dict[str, Any]:
    selection = pack.selection
    return {
        "format": FORMAT,
        "case": asked.custody.case,
        "side": asked.side,
        "devices": sorted(selection.devices),
        "from": to_iso(asked.window[0]),
        "to": to_iso(asked.window[1]),
        "window_us": list(asked.window),
        "approval": None if asked.approval is None else asked.approval.request_id,
        "overlays": proof_entries(pack),
        "older_than_the_log": pack.older,
        "erasures": [erasure_text(one) for one in pack.erased],
        "absent": selection.absent,
        "runs": runs,
        "logs": pack.logs,
    }


def _custody(asked: Asked, pack: Pack) -> dict[str, str]:
    custody = asked.custody
    return {
        "disclosure": custody.disclosure,
        "case": custody.case,
        "side": custody.side,
        "from": to_iso(custody.from_us),
        "to": to_iso(custody.to_us),
        "exported_at": to_iso(pack.opened_us),
        "exported_by": custody.actor,
        "purpose": custody.purpose,
        "recipient": custody.recipient,
        "approval": approval_text(asked, pack.shown()),
        "note": "As stated by whoever exported it. The keeper's log holds a sealed record of this "
        f"disclosure, with the SHA-256 of {MANIFEST}; a later export of the case shows it.",
    }


def _about(folder: Path, asked: Asked, pack: Pack, beside: Sequence[Compared]) -> About:
    places = pack.places()
    shown = sum(place.shown for place in places)
    return About(
        custody=_custody(asked, pack),
        digests={name: _sha256(folder / name) for name in ("records.jsonl", "proof.json")},
        shown=shown,
        withheld=len(places) - shown,
        absent=pack.selection.absent,
        older=pack.older,
        erased=[erasure_text(one) for one in pack.erased],
        story=story_of(asked, pack),
        others=others_story(pack, beside),
    )


def _files(folder: Path) -> list[PackFile]:
    """The files that stand there by now."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        PackFile(path.relative_to(folder).as_posix(), path.stat().st_size, _sha256(path))
        for path in paths
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _manifest(folder: Path) -> Iterator[str]:
    """A line per file, as ``sha256sum --check`` reads it."""
    for file in _files(folder):
        yield f"{file.sha256}  {file.name}\n"


def _write_stamps(folder: Path, number: int, log: dict[str, Any]) -> None:
    """The head's text and the stamps over it as files, as OpenSSL takes them."""
    if log["stamps"]:
        text = parse_note(log["checkpoint"].encode()).text
        (folder / f"head-{number}.txt").write_bytes(text.encode())
    for index, stamp in enumerate(log["stamps"]):
        (folder / f"head-{number}-{index}.tsr").write_bytes(bytes.fromhex(stamp["response"]))


def _lines(log: int, bundle: Bundle, runs: list[dict[str, Any]]) -> Iterable[str]:
    """One line per leaf; a new run begins with each chain."""
    chain = None
    for place in bundle.places:
        leaf = place.leaf
        if leaf.chain != chain:
            chain = leaf.chain
            runs.append(
                {
                    "log": log,
                    "kind": place.chosen.kind,
                    "subject": place.chosen.subject,
                    "first": leaf.place,
                    "before": leaf.before.hex(),
                }
            )
        content = [leaf.commitment.hex()]
        if place.shown and leaf.salt is not None and leaf.payload is not None:
            content = [leaf.salt.hex(), leaf.payload.hex()]
        yield json.dumps([len(runs) - 1, leaf.place, place.batch, place.index, *content])
