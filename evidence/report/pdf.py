"""The report as PDF: cover, map, timeline, alerts, what speaks against, certificate."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import (
    Flowable,
    HRFlowable,
    KeepTogether,
    PageBreak,
    SimpleDocTemplate,
    Spacer,
)

from devices.instants import to_iso
from evidence.pack_custody import NOT_APPROVED, CustodyStory
from evidence.records import Record
from evidence.report import words
from evidence.report.custody_pages import custody_section
from evidence.report.doubts import doubts
from evidence.report.drawn_map import DRAWN_MOST, drawn_map, others_drawn
from evidence.report.drawn_timeline import drawn_timeline
from evidence.report.others_pages import OthersStory, others_section
from evidence.report.paper import (
    BOLD,
    HEADING,
    INK,
    SMALL,
    STORY,
    TITLE,
    bullets,
    paragraph,
    printable,
    rows_of,
    shown_of,
)
from evidence.views.facts import AlertStory, Facts
from evidence.views.xml_text import degrees
from geofence.levels import Cause, Level

DECISIONS_MOST = 200
ALERTS_MOST = 100
"""Listed in the report; the tables in views/ hold all of them, and the report says so."""


@dataclass(frozen=True, slots=True)
class About:
    """What a report says beside the records.

    Attributes:
        custody: As in the last line of ``custody.jsonl``.
        digests: SHA-256 of the files that hold the evidence, by name.
        absent: Kinds that this side is not shown, and why.
        older: Records from before there was a log.
        erased: What was erased, by whom and why, one sentence each.
        story: Who approved it, who had a pack before, who looked.
        others: What other systems stated.
    """

    custody: Mapping[str, str]
    digests: Mapping[str, str]
    shown: int
    withheld: int
    absent: Mapping[str, str]
    older: int
    erased: Sequence[str]
    story: CustodyStory = field(default_factory=lambda: CustodyStory(NOT_APPROVED))
    others: OthersStory = field(default_factory=OthersStory)


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
        *others_section(about.others),
        *custody_section(about.story),
        *_doubts(facts),
        *_withheld(about),
        *_certificate(about),
    ]

    def foot(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(INK)
        text = f"Case {facts.case}, side: {facts.side}. A view of the records, not evidence."
        canvas.drawString(20 * mm, 11 * mm, printable(text))
        canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, f"page {page.page}")

    document.build(parts, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _cover(facts: Facts, about: About, title: str) -> list[Flowable]:
    custody = about.custody
    counts = ", ".join(f"{name}: {len(track)} positions" for name, track in facts.tracks.items())
    rows = [
        ("Window", f"{custody['from']} to {custody['to']}"),
        ("Made for", f"{custody['recipient']} (side: {custody['side']})"),
        ("Purpose", custody["purpose"]),
        ("Exported by", f"{custody['exported_by']}, {custody['exported_at']}"),
        ("Approval", about.story.approval),
        ("Disclosure", custody["disclosure"]),
        ("Devices", counts or "no positions are shown"),
        ("Alerts shown", len(facts.alerts)),
        ("Records", f"{about.shown} shown, {about.withheld} withheld"),
        ("Programs", _programs(facts)),
        *((f"SHA-256 of {name}", digest) for name, digest in about.digests.items()),
    ]
    return [
        paragraph(title, TITLE),
        paragraph(words.VIEW),
        Spacer(1, 8),
        rows_of(("", ""), rows, (1.3, 4)),
        paragraph("The order", HEADING),
        *bullets(_conditions(facts)),
        paragraph("What this can say", HEADING),
        *bullets(words.CAN_SAY),
        paragraph("What it cannot say", HEADING),
        *bullets(words.CANNOT_SAY),
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
    head = [PageBreak(), paragraph("Map", HEADING)]
    others = f" {words.OTHERS}" if facts.others else ""
    hidden = len(facts.others) - len(others_drawn(facts))
    others += f" {hidden} of them lie far from all else and are not drawn." if hidden else ""
    return [*head, drawing, Spacer(1, 4), paragraph(words.ACCURACY + thin + others, SMALL)]


def _timeline(facts: Facts) -> list[Flowable]:
    return [
        KeepTogether([paragraph("Timeline", HEADING), drawn_timeline(facts)]),
        Spacer(1, 4),
        paragraph(
            "A line is a position, a dot a step of an alert, an open square what others stated; shaded: silent "
            "for 5 minutes or more.",
            SMALL,
        ),
        paragraph(words.TIMES, SMALL),
    ]


def _decisions(facts: Facts) -> list[Flowable]:
    decisions = facts.other.get("decision", ())
    if not decisions:
        return []
    head = ("decided", "level", "distance (95 %)", "probability", "rests on", "device times")
    rows = [_decision_row(record) for record in decisions[:DECISIONS_MOST]]
    return [
        paragraph("Decisions", HEADING),
        paragraph(shown_of(len(rows), len(decisions)), SMALL),
        rows_of(head, rows, (2.6, 1.5, 1.9, 1, 0.9, 1.7)),
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
        paragraph("Positions that decisions rest on", STORY),
        rows_of(head, rows, (1.3, 2.4, 2.4, 2.2, 0.9)),
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


def _alerts(facts: Facts) -> list[Flowable]:
    if not facts.alerts:
        return [paragraph("Alerts", HEADING), paragraph(words.NO_ALERTS)]
    stories = facts.alerts[:ALERTS_MOST]
    parts: list[Flowable] = [paragraph("Alerts, what was done, and who was told", HEADING)]
    parts.append(paragraph(shown_of(len(stories), len(facts.alerts)), SMALL))
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
    parts: list[Flowable] = [paragraph(f"Alert {story.alert_id}", STORY)]
    head: Sequence[str]
    if steps:
        head = ("time", "step", "by", "tier", "level", "outcome and note")
        parts.append(rows_of(head, steps, (2.2, 1.4, 1.2, 0.5, 1, 2.6)))
    if told:
        head = ("known here", "device's time", "channel", "recipient", "state")
        parts.append(rows_of(head, told, (2.2, 2.2, 1.2, 1.6, 1.2)))
    return parts


def _doubts(facts: Facts) -> list[Flowable]:
    rows = [(doubt.question, doubt.found, doubt.meaning) for doubt in doubts(facts)]
    return [
        paragraph("What speaks against, or may exonerate", HEADING),
        paragraph(words.DOUBTS),
        Spacer(1, 4),
        rows_of(("looked for", "found", "what it means"), rows, (2.4, 1.4, 3.4)),
    ]


def _withheld(about: About) -> list[Flowable]:
    lines = [f"{about.withheld} records show their place and not their content."]
    for why in sorted(set(about.absent.values())):
        kinds = ", ".join(sorted(kind for kind, said in about.absent.items() if said == why))
        lines.append(f"Not in this pack at all: {why} ({kinds}).")
    if about.older:
        lines.append(f"{about.older} records are from before there was a log; nothing proves them.")
    lines += about.erased
    return [paragraph("What is withheld, and what nothing proves", HEADING), *bullets(lines)]


def _certificate(about: About) -> list[Flowable]:
    first, *rest = words.CERTIFICATE
    line = HRFlowable(width="100%", thickness=0.5, color=INK, spaceBefore=22, spaceAfter=2)
    parts: list[Flowable] = [PageBreak(), paragraph("Certificate of the custodian", HEADING)]
    parts += [paragraph(first, BOLD), Spacer(1, 6)]
    for text in rest:
        parts += [paragraph(text), Spacer(1, 5)]
        if text.endswith(":"):
            parts += [line, line]
    digests = [(name, digest) for name, digest in about.digests.items()]
    parts.append(rows_of(("file", "SHA-256"), digests, (1.2, 4)))
    for name in ("Name and position", "Organisation", "Place and date", "Signature"):
        parts += [line, paragraph(name, SMALL)]
    return parts
