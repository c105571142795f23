"""The part of the report about what other systems stated, beside the positions in the pack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.platypus import Flowable, Spacer

from evidence.report.paper import HEADING, SMALL, STORY, bullets, paragraph, rows_of

FINDINGS_MOST = 200
"""Listed in the report; overlays/findings.csv holds all of them."""

ABOUT = (
    "Not recorded by this system: files that others gave, kept as received. Each is compared with the positions in "
    "this pack of who is bound, while that person carried the device, by the rules of docs/overlays.md."
)


@dataclass(frozen=True, slots=True)
class OthersStory:
    """What the report says of others' files.

    Attributes:
        files: Name, kind, source, who took it in and when, what of it is here, SHA-256.
        findings: Time, what stated it, device, what is found, in words.
        cannot_tell: What a comparison cannot say.
    """

    files: Sequence[tuple[str, ...]] = ()
    findings: Sequence[tuple[str, ...]] = ()
    cannot_tell: Sequence[str] = ()


def others_section(story: OthersStory) -> list[Flowable]:
    """The section; nothing where no file was taken in."""
    if not story.files:
        return []
    file_head = ("file", "kind", "from", "taken in by", "in this pack", "SHA-256 as received")
    parts: list[Flowable] = [
        paragraph("What others recorded", HEADING),
        paragraph(ABOUT),
        rows_of(file_head, story.files, (1.3, 0.6, 1.8, 1.8, 1.4, 2.4)),
    ]
    findings = story.findings[:FINDINGS_MOST]
    if findings:
        rest = "" if len(findings) == len(story.findings) else " The rest: overlays/findings.csv."
        head = ("time", "stated by", "device", "verdict", "in words")
        parts += [
            Spacer(1, 5),
            paragraph(f"{len(findings)} of {len(story.findings)}.{rest}", SMALL),
            rows_of(head, findings, (2.1, 1.6, 1.1, 1.1, 4)),
            paragraph("What this cannot tell", STORY),
            *bullets(story.cannot_tell),
        ]
    else:
        parts.append(paragraph("None of their events lies beside a position in this pack.", SMALL))
    return parts
