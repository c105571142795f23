"""The report as PDF: cover, map, timeline, alerts, what speaks against, certificate."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    Flowable,
    HRFlowable,
    KeepTogether,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from devices.instants import to_iso
from evidence.records import Record
from evidence.report import words
from evidence.report.doubts import doubts
from evidence.report.drawn_map import DRAWN_MOST, drawn_map
from evidence.report.drawn_timeline import drawn_timeline
from evidence.views.facts import AlertStory, Facts
from evidence.views.xml_text import degrees
from geofence.levels import Cause, Level

DECISIONS_MOST = 200
ALERTS_MOST = 100
"""Listed in the report; the tables in views/ hold all of them, and the report says so."""

_INK, _ACCENT, _LINE = HexColor(0x222222), HexColor(0x1F3A5F), HexColor(0xCCCCCC)
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.2, leading=12.6, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=7.6, leading=9.6)
_BOLD = ParagraphStyle("bold", parent=_SMALL, fontName="Helvetica-Bold")
_STORY = ParagraphStyle("story", parent=_BOLD, keepWithNext=1, spaceBefore=6)
_TITLE = ParagraphStyle(
    "title", parent=_BODY, fontName="Helvetica-Bold", fontSize=19, leading=24, textColor=_ACCENT
)
_HEADING = ParagraphStyle(
    "heading",
    parent=_BODY,
    fontName="Helvetica-Bold",
    fontSize=12.5,
    leading=16,
    textColor=_ACCENT,
    spaceBefore=12,
    spaceAfter=4,
    keepWithNext=1,
)
_WIDTH = A4[0] - 40 * mm - 12  # the frame has a padding of 6 points


@dataclass(frozen=True, slots=True)
class About:
    """What a report says beside the records.

    Attributes:
        custody: As in ``custody.json``.
        digests: SHA-256 of the files that hold the evidence, by name.
        absent: Kinds that this side is not shown, and why.
        older: Records from before there was a log.
        erased: What was erased, by whom and why, one sentence each.
    """

    custody: Mapping[str, str]
    digests: Mapping[str, str]
    shown: int
    withheld: int
    absent: Mapping[str, str]
    older: int
    erased: Sequence[str]


def report(facts: Facts, about: About) -> bytes:
    """The PDF: the same bytes for the same facts. Uncompressed, so that it can be searched."""
    out = io.BytesIO()
    title = f"Report on case {facts.case}"
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=printable(title),
        author="Cordon",
        invariant=1,
        pageCompression=0,
    )
    parts = [
        *_cover(facts, about, title),
        *_map(facts),
        *_timeline(facts),
        *_decisions(facts),
        *_alerts(facts),
        *_doubts(facts),
        *_withheld(about),
        *_certificate(about),
    ]

    def foot(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(_INK)
        text = f"Case {facts.case}, side: {facts.side}. A view of the records, not evidence."
        canvas.drawString(20 * mm, 11 * mm, printable(text))
        canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, f"page {page.page}")

    document.build(parts, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def printable(text: str) -> str:
    """Text in the characters of the built-in fonts (Western Europe); others become ``?``."""
    return (
        "".join(c if c.isprintable() else "?" for c in text)
        .encode("cp1252", "replace")
        .decode("cp1252")
    )


def _text(value: object, style: ParagraphStyle = _BODY) -> Paragraph:
    return Paragraph(escape(printable(str(value))), style)


def _bullets(lines: Iterable[str]) -> list[Flowable]:
    return [Paragraph(f"&bull;&nbsp; {escape(printable(line))}", _BODY) for line in lines]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], widths: Sequence[float]) -> Table:
    whole = sum(widths)
    cells = [[_text(name, _BOLD) for name in head]]
    cells += [[_text("" if cell is None else cell, _SMALL) for cell in row] for row in rows]
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


def _cover(facts: Facts, about: About, title: str) -> list[Flowable]:
    custody = about.custody
    counts = ", ".join(f"{name}: {len(track)} positions" for name, track in facts.tracks.items())
    rows = [
        ("Window", f"{custody['from']} to {custody['to']}"),
        ("Made for", f"{custody['recipient']} (side: {custody['side']})"),
        ("Purpose", custody["purpose"]),
        ("Exported by", f"{custody['exported_by']}, {custody['exported_at']}"),
        ("Disclosure", custody["disclosure"]),
        ("Devices", counts or "no positions are shown"),
        ("Alerts shown", len(facts.alerts)),
        ("Records", f"{about.shown} shown, {about.withheld} withheld"),
        ("Programs", _programs(facts)),
        *((f"SHA-256 of {name}", digest) for name, digest in about.digests.items()),
    ]
    return [
        _text(title, _TITLE),
        _text(words.VIEW),
        Spacer(1, 8),
        _table(("", ""), rows, (1.3, 4)),
        _text("The order", _HEADING),
        *_bullets(_conditions(facts)),
        _text("What this can say", _HEADING),
        *_bullets(words.CAN_SAY),
        _text("What it cannot say", _HEADING),
        *_bullets(words.CANNOT_SAY),
    ]


def _programs(facts: Facts) -> str:
    found = {
        f"build {r.values['build']}, rules {r.values['rules']}"
        for r in facts.other.get("decision", ())
    }
    return "; ".join(sorted(found)) or "no decisions are shown"


def _conditions(facts: Facts) -> list[str]:
    lines = []
    for condition in facts.conditions:
        what = condition.get("name") or condition.get("protected") or ""
        radius = condition.get("alert_m") or (condition.get("circle") or {}).get("radius_m")
        text = f"{condition['id']}: {condition['type']} {what}"
        lines.append(text + (f", {radius:g} m" if radius else ""))
    return lines or ["Its conditions are not shown."]


def _map(facts: Facts) -> list[Flowable]:
    drawing = drawn_map(facts)
    if drawing is None:
        return []
    most = max(map(len, facts.tracks.values()), default=0)
    thin = (
        f" Of more than {DRAWN_MOST} positions, not every one is drawn."
        if most > DRAWN_MOST
        else ""
    )
    head = [PageBreak(), _text("Map", _HEADING)]
    return [*head, drawing, Spacer(1, 4), _text(words.ACCURACY + thin, _SMALL)]


def _timeline(facts: Facts) -> list[Flowable]:
    return [
        KeepTogether([_text("Timeline", _HEADING), drawn_timeline(facts)]),
        Spacer(1, 4),
        _text(
            "A line is a position, a dot a step of an alert; shaded: silent for 5 minutes or more.",
            _SMALL,
        ),
        _text(words.TIMES, _SMALL),
    ]


def _decisions(facts: Facts) -> list[Flowable]:
    decisions = facts.other.get("decision", ())
    if not decisions:
        return []
    head = ("decided", "level", "distance (95 %)", "probability", "rests on", "device times")
    rows = [_decision_row(record) for record in decisions[:DECISIONS_MOST]]
    return [
        _text("Decisions", _HEADING),
        _text(_shown_of(len(rows), len(decisions)), _SMALL),
        _table(head, rows, (2.6, 1.5, 1.9, 1, 0.9, 1.7)),
        *_positions(facts),
    ]


def _positions(facts: Facts) -> list[Flowable]:
    """The positions that decisions rest on, with both times of each."""
    used = {
        (record.values[device], record.values[time])
        for record in facts.other["decision"][:DECISIONS_MOST]
        for device, time in (("tag", "fix_time_a"), ("handset", "fix_time_b"))
    }
    rows = [
        (
            fix.device,
            to_iso(fix.time_us),
            to_iso(fix.received_us),
            f"{degrees(fix.lat_e7)}, {degrees(fix.lon_e7)}",
            "unknown" if fix.accuracy_m is None else f"{fix.accuracy_m:.1f} m",
        )
        for track in facts.tracks.values()
        for fix in track
        if (fix.device, fix.time_us) in used
    ]
    if not rows:
        return []
    head = ("device", "device's time", "received", "latitude, longitude", "accuracy")
    return [
        _text("Positions that decisions rest on", _STORY),
        _table(head, rows, (1.3, 2.4, 2.4, 2.2, 0.9)),
    ]


def _decision_row(record: Record) -> tuple[str, ...]:
    values = record.values
    times = [values["fix_time_a"], values["fix_time_b"]]
    said = "; ".join("none" if time is None else to_iso(time)[11:] for time in times)
    low, high = values["distance_low_m"], values["distance_high_m"]
    level = f"{Level(values['previous']).label} to {Level(values['level']).label}"
    cause = "" if values["cause"] is None else Cause(values["cause"]).label
    distance = f"{values['distance_m']:.0f} m ({low:.0f} to {high:.0f})"
    return to_iso(record.time_us), level, distance, f"{values['probability']:.2f}", cause, said


def _shown_of(shown: int, whole: int) -> str:
    rest = "" if shown == whole else " The rest stands in records.jsonl and in views/."
    return f"{shown} of {whole}.{rest}"


def _alerts(facts: Facts) -> list[Flowable]:
    if not facts.alerts:
        return [_text("Alerts", _HEADING), _text(words.NO_ALERTS)]
    stories = facts.alerts[:ALERTS_MOST]
    parts: list[Flowable] = [_text("Alerts, what was done, and who was told", _HEADING)]
    parts.append(_text(_shown_of(len(stories), len(facts.alerts)), _SMALL))
    for story in stories:
        parts += _story(story)
    return parts


def _story(story: AlertStory) -> list[Flowable]:
    steps = []
    for record in story.steps:
        data, values = record.document["data"], record.values
        step = values["type"].rpartition(".")[2]
        note = " ".join(filter(None, [data.get("outcome"), data.get("note")]))
        row = (to_iso(record.time_us), step, values["actor"], values["tier"], data["level"], note)
        steps.append(row)
    told = [
        (
            to_iso(record.time_us),
            record.document.get("device_time") or "",
            record.values["channel"],
            record.values["recipient"],
            record.values["state"],
        )
        for record in story.deliveries
    ]
    parts: list[Flowable] = [_text(f"Alert {story.alert_id}", _STORY)]
    head: Sequence[str]
    if steps:
        head = ("time", "step", "by", "tier", "level", "outcome and note")
        parts.append(_table(head, steps, (2.2, 1.4, 1.2, 0.5, 1, 2.6)))
    if told:
        head = ("known here", "device's time", "channel", "recipient", "state")
        parts.append(_table(head, told, (2.2, 2.2, 1.2, 1.6, 1.2)))
    return parts


def _doubts(facts: Facts) -> list[Flowable]:
    rows = [(doubt.question, doubt.found, doubt.meaning) for doubt in doubts(facts)]
    return [
        _text("What speaks against, or may exonerate", _HEADING),
        _text(words.DOUBTS),
        Spacer(1, 4),
        _table(("looked for", "found", "what it means"), rows, (2.4, 1.4, 3.4)),
    ]


def _withheld(about: About) -> list[Flowable]:
    lines = [f"{about.withheld} records show their place and not their content."]
    for why in sorted(set(about.absent.values())):
        kinds = ", ".join(sorted(kind for kind, said in about.absent.items() if said == why))
        lines.append(f"Not in this pack at all: {why} ({kinds}).")
    if about.older:
        lines.append(f"{about.older} records are from before there was a log; nothing proves them.")
    lines += about.erased
    return [_text("What is withheld, and what nothing proves", _HEADING), *_bullets(lines)]


def _certificate(about: About) -> list[Flowable]:
    first, *rest = words.CERTIFICATE
    line = HRFlowable(width="100%", thickness=0.5, color=_INK, spaceBefore=22, spaceAfter=2)
    parts: list[Flowable] = [PageBreak(), _text("Certificate of the custodian", _HEADING)]
    parts += [_text(first, _BOLD), Spacer(1, 6)]
    for text in rest:
        parts += [_text(text), Spacer(1, 5)]
        if text.endswith(":"):
            parts += [line, line]
    digests = [(name, digest) for name, digest in about.digests.items()]
    parts.append(_table(("file", "SHA-256"), digests, (1.2, 4)))
    for name in ("Name and position", "Organisation", "Place and date", "Signature"):
        parts += [line, _text(name, _SMALL)]
    return parts
