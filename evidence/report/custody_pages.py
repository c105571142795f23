"""The part of the report that says who approved the pack, who had one before, and who looked."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.platypus import Flowable, Spacer

from evidence.pack_custody import CustodyStory
from evidence.report.paper import HEADING, SMALL, STORY, paragraph, rows_of, shown_of

STEPS_MOST = 100
LOOKS_MOST = 200
"""Listed in the report; records.jsonl, custody.jsonl and access.csv hold all of them."""

LOOKS = (
    "Records of access within the window, and to the case itself at any time, out of the sealed log: who they say "
    "read, as what and for what; refusals, too. Whoever asked a database directly, past the program, is not among them."
)


def custody_section(story: CustodyStory) -> list[Flowable]:
    """The section."""
    steps_head = ("time", "step", "made by", "for", "purpose", "side", "approved by")
    looks_head = ("time", "who", "as", "at what", "of whom", "purpose", "refused")
    parts: list[Flowable] = [
        paragraph("Custody", HEADING),
        paragraph(story.approval),
        paragraph("Earlier packs of this case", STORY),
        *_listed(steps_head, story.earlier, STEPS_MOST, (2.2, 0.9, 1.3, 1.4, 2.2, 0.9, 1.3)),
        paragraph("Who looked", STORY),
        paragraph(LOOKS, SMALL),
        Spacer(1, 3),
        *_listed(looks_head, story.looks, LOOKS_MOST, (2.2, 1.3, 1.2, 1.4, 1.3, 1.8, 1.2)),
    ]
    if story.looks_withheld:
        text = (
            f"{story.looks_withheld} more records of access show their place only: of other cases, or of "
            "another time, or because this side is not shown them."
        )
        parts.append(paragraph(text, SMALL))
    return parts


def _listed(
    head: Sequence[str], rows: Sequence[tuple[str, ...]], most: int, widths: Sequence[float]
) -> list[Flowable]:
    if not rows:
        return [paragraph("None is shown in this pack.", SMALL)]
    some = rows[:most]
    return [paragraph(shown_of(len(some), len(rows)), SMALL), rows_of(head, some, widths)]
