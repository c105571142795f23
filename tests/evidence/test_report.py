"""The report: says both times, what it cannot say and what speaks against; the same to the byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.records import Record
from evidence.report import words
from evidence.report.doubts import doubts
from evidence.report.drawn_map import HEIGHT, WIDTH, Plane, drawn_map, others_drawn
from evidence.report.paper import printable
from evidence.report.pdf import About, report
from evidence.store import Store
from evidence.views.facts import Facts, OthersEvent
from tests.evidence.case_world import build, pack
from tests.evidence.conftest import Probe
from tests.evidence.test_views import ODD, facts_of, fix_of, zone_record

MINUTE_US = 60_000_000
START_US = 1_795_000_000_000_000
ABOUT = About(
    custody={
        "from": "2026-11-18T00:00:00Z",
        "to": "2026-11-19T00:00:00Z",
        "recipient": ODD,
        "side": "court",
        "purpose": "trial",
        "exported_at": "2026-11-20T00:00:00Z",
        "exported_by": "Sgt Kim",
        "disclosure": "d1",
    },
    digests={"records.jsonl": "ab" * 32},
    shown=3,
    withheld=1,
    absent={"decision": "why"},
    older=2,
    erased=["2 records were erased by the keeper"],
)


def words_of(pdf: bytes) -> str:
    """The text of an uncompressed PDF, in the order in which it was written, without spaces."""
    found = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", pdf)
    text = b"".join(found).decode("latin-1")
    text = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), text)
    return re.sub(r"\\(.)", r"\1", text).replace(" ", "")


def said(text: str) -> str:
    return printable(text).replace(" ", "")


async def test_the_report_of_a_pack(store: Store, probe: Probe, tmp_path: Path) -> None:
    await build(store, probe.dsn, tmp_path)
    await pack(probe.dsn, tmp_path / "out")
    text = words_of((tmp_path / "out" / "report.pdf").read_bytes())
    for wanted in (
        "Report on case o1",
        "the court (side: court)",
        words.VIEW,
        *words.CAN_SAY,
        *words.CANNOT_SAY,
        words.TIMES,
        words.DOUBTS,
        *words.CERTIFICATE,
        "exclusion her home, 300 m",
        "412 m (400 to 430)",
        "build b1, rules r1",
        "acknowledged",
        "breach =seen; +on CCTV",
        "shown",
        "clone 1",
    ):
        assert said(wanted) in text, wanted


def test_the_same_facts_make_the_same_bytes() -> None:
    facts = facts_of(fix_of("tag-1", START_US, 515_000_017, -1_300_013), zone_record(ODD))
    assert report(facts, ABOUT) == report(facts, ABOUT)
    assert report(facts_of(), ABOUT).startswith(b"%PDF")


@given(st.text(max_size=60))
def test_any_text_can_be_printed(text: str) -> None:
    printable(text).encode("cp1252")
    pdf = report(facts_of(zone_record(text)), ABOUT)
    assert pdf.startswith(b"%PDF")


@given(
    st.lists(st.tuples(st.floats(-179, 179), st.floats(-84, 84)), min_size=1, max_size=6),
    st.floats(0, 5_000),
)
def test_everything_lies_on_the_map(places: list[tuple[float, float]], reach_m: float) -> None:
    plane = Plane(places, reach_m)
    for place in places:
        x, y = plane.at(place)
        assert -0.01 <= x <= WIDTH + 0.01
        assert -0.01 <= y <= HEIGHT + 0.01


def stated(lon: float, lat: float, verdict: str = "supports") -> OthersEvent:
    ring = [(lon, lat), (lon + 0.001, lat), (lon, lat + 0.001), (lon, lat)]
    return OthersEvent("anpr", ODD, "a.csv", verdict, START_US, 5, (lon, lat), ring)


def test_what_others_stated_is_drawn_unless_it_lies_elsewhere() -> None:
    fix = fix_of("tag-1", START_US, 515_000_017, -1_300_013)
    near, far = stated(-0.13, 51.55, "says nothing"), stated(0.0, 0.0)
    facts = Facts.of("o1", "court", (START_US, START_US + MINUTE_US), [fix], [far, near])
    assert others_drawn(facts) == [near]
    text = words_of(report(facts, ABOUT))
    assert said("1 of them lie far from all else") in text
    alone = Facts.of("o1", "court", (START_US, START_US + MINUTE_US), [], [far, near])
    assert others_drawn(alone) == [far, near]


def test_a_map_of_nothing_is_none() -> None:
    assert drawn_map(facts_of()) is None


def test_what_speaks_against_is_counted() -> None:
    fixes = [
        fix_of("t", START_US, 1, 1, accuracy_cm=-1),
        fix_of("t", START_US + MINUTE_US, 1, 1, accuracy_cm=6_000),
        fix_of("t", START_US + 9 * MINUTE_US, 1, 1, kind=1, received_at=START_US),
    ]
    decided: dict[str, Any] = {"level": 2, "probability": 0.9}
    gap = {"state": "opened", "missing": 8}
    records = [
        Record("decision", "w", 1, decided),
        Record("decision", "w", 2, decided | {"probability": 0.99}),
        Record("decision", "w", 3, decided | {"level": 0}),
        Record("sequence_step", "t", 1, gap),
        Record("sequence_step", "t", 2, gap | {"state": "filled"}),
        Record("anomaly", "t", 1, {"kind": 2, "began": True}),
        Record("device_health", "t", 1, {"kind": "silent", "began": True}),
        Record("event", "t", 1, {"time_doubted": True}),
    ]
    found = [doubt.found for doubt in doubts(facts_of(*fixes, *records))]
    assert found == [
        "1 of 3",  # unknown accuracy
        "1 of 3",  # coarse
        "1 of 3",  # not from satellites
        "1 of 3",  # late
        "1",  # silences
        "8",  # missing
        "clone 1",
        "silent 1",
        "1 of 1",
        "none",
        "1 of 2",  # weak decisions
        "none",
    ]
    nothing = [doubt.found for doubt in doubts(facts_of())]
    assert set(nothing) == {"none"}
    assert len(nothing) == len(found)


@pytest.mark.parametrize("name", ["é ü ñ", "Łódź", "a\x00b", "日本"])
def test_what_fonts_cannot_show_is_a_question_mark(name: str) -> None:
    assert len(printable(name)) == len(name)
