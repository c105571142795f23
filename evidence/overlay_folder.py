"""A comparison as files: a table, everything as JSON, a picture, and what it can and cannot say."""

from __future__ import annotations

from pathlib import Path

import msgspec

from devices.instants import to_iso
from evidence.overlay_compare import Beside, Finding, Verdict, counts, gap_s
from evidence.overlay_picture import picture
from evidence.overlay_reading import Comparison
from evidence.overlay_words import CANNOT_TELL, says
from evidence.private_folder import make_private
from evidence.views.tables import table
from evidence.views.xml_text import text_of

HEAD = (
    *("time", "as_written", "clock_error_s", "kind", "name", "place", "lat", "lon", "area_m2"),
    *("device", "verdict", "says", "probability", "probability_mean", "known_share"),
    *("at_least_outside_m", "distance_m", "distance_low_m", "distance_high_m", "at_most_m"),
    *("before_s", "before_m", "after_s", "after_m", "gap_s", "fixes", "overlay", "line", "detail"),
)


class _Written(msgspec.Struct):
    """What stands in the JSON file."""

    comparison: Comparison
    counts: dict[Verdict, int]
    says: list[str]
    cannot_tell: tuple[str, ...]


def write(folder: Path, found: Comparison) -> None:
    """Write `findings.csv`, `comparison.json`, `picture.svg` and `README.txt`.

    Raises:
        FileExistsError: The folder holds something.
        OSError: It cannot be written.
    """
    make_private(folder)
    (folder / "findings.csv").write_text(
        table(HEAD, [row(one, found.person) for one in found.findings]),
        encoding="utf-8",
        newline="",
    )
    (folder / "comparison.json").write_bytes(as_json(found))
    (folder / "picture.svg").write_text(picture(found), encoding="utf-8")
    (folder / "README.txt").write_text("\n".join(lines_of(found)) + "\n", encoding="utf-8")


def as_json(found: Comparison) -> bytes:
    """Everything, as one object."""
    sentences = [says(one, found.person) for one in found.findings]
    return msgspec.json.encode(
        _Written(found, counts(list(found.findings)), sentences, CANNOT_TELL)
    )


def row(one: Finding, person: str) -> tuple[object, ...]:
    """A line of the table."""
    event = one.event
    return (
        *(to_iso(event.time_us), event.written, event.clock_error_s, one.kind, event.name),
        *(event.place, event.lat, event.lon, round(one.area_m2), one.device),
        *(one.verdict, says(one, person), one.probability, one.probability_mean, one.known_share),
        *(_metres(one.outside_m), _metres(one.distance_m), _metres(one.low_m), _metres(one.high_m)),
        *(_metres(one.most_m), *_fix(one.before), *_fix(one.after), gap_s(one), one.fixes),
        *(str(one.overlay_id), event.line, msgspec.json.encode(event.detail).decode()),
    )


def lines_of(found: Comparison) -> list[str]:
    """A page for people."""
    every = counts(list(found.findings))
    said = ", ".join(f"{count} {verdict}" for verdict, count in every.items())
    lines = [
        f"Case {found.case} beside the positions of {found.person}",
        f"{len(found.findings)} findings: {said}.",
        *(_files(found)),
        "",
        *(
            f"{to_iso(one.event.time_us)} {_name(one)}: {says(one, found.person)}"
            for one in found.findings
        ),
        "",
        "What this cannot tell:",
        *(f"- {text}" for text in CANNOT_TELL),
    ]
    # What others wrote moves no cursor of a terminal and begins no line.
    return [text_of(" ".join(line.split())) for line in lines]


def _files(found: Comparison) -> list[str]:
    lines = [
        f"{one.name}: {one.kind}, from {one.source}; {one.refused} lines could not be read; SHA-256 {one.sha256}"
        for one in found.overlays
    ]
    if found.uncarried:
        lines.append(
            f"{found.uncarried} events are of times in which {found.person} is not known to have carried a "
            "device: nothing can be said of them."
        )
    return lines


def _name(one: Finding) -> str:
    return " ".join(part for part in (one.kind, one.event.name, one.event.place) if part)


def _metres(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _fix(fix: Beside | None) -> tuple[float | None, float | None]:
    return (None, None) if fix is None else (fix.seconds, _metres(fix.distance_m))
