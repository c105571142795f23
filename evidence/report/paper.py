"""How the report's pages are set: styles, paragraphs, lists and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, Table, TableStyle

from devices.instants import to_iso

INK = HexColor(0x222222)
_ACCENT, _LINE = HexColor(0x1F3A5F), HexColor(0xCCCCCC)
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.2, leading=12.6, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.6, leading=9.6)
BOLD = ParagraphStyle("bold", parent=SMALL, fontName="Helvetica-Bold")
STORY = ParagraphStyle("story", parent=BOLD, keepWithNext=1, spaceBefore=6)
TITLE = ParagraphStyle(
    "title", parent=BODY, fontName="Helvetica-Bold", fontSize=19, leading=24, textColor=_ACCENT
)
HEADING = ParagraphStyle(
    "heading",
    parent=BODY,
    fontName="Helvetica-Bold",
    fontSize=12.5,
    leading=16,
    textColor=_ACCENT,
    spaceBefore=12,
    spaceAfter=4,
    keepWithNext=1,
)
_WIDTH = A4[0] - 40 * mm - 12  # the frame has a padding of 6 points


def printable(text: str) -> str:
    """Text in the characters of the built-in fonts (Western Europe); others become ``?``."""
    return (
        "".join(c if c.isprintable() else "?" for c in text)
        .encode("cp1252", "replace")
        .decode("cp1252")
    )


def paragraph(value: object, style: ParagraphStyle = BODY) -> Paragraph:
    """Text as it stands: nothing in it is markup."""
    return Paragraph(escape(printable(str(value))), style)


def bullets(lines: Iterable[str]) -> list[Flowable]:
    """A list."""
    return [Paragraph(f"&bull;&nbsp; {escape(printable(line))}", BODY) for line in lines]


def rows_of(
    head: Sequence[str], rows: Iterable[Sequence[object]], widths: Sequence[float]
) -> Table:
    """A table whose head stands on each page; widths are parts of the whole."""
    whole = sum(widths)
    cells = [[paragraph(name, BOLD) for name in head]]
    cells += [[paragraph("" if cell is None else cell, SMALL) for cell in row] for row in rows]
    table = Table(cells, [_WIDTH * width / whole for width in widths], repeatRows=1)
    lines = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    table.setStyle(TableStyle(lines))
    return table


def second_of(time_us: int) -> str:
    """An instant in a narrow column."""
    return f"{to_iso(time_us)[:19]}Z"


def shown_of(shown: int, whole: int) -> str:
    """How many of a list are printed."""
    rest = "" if shown == whole else " The rest stands in records.jsonl and in views/."
    return f"{shown} of {whole}.{rest}"
