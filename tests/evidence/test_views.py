"""Views: other programs read them, and find what the sealed records say, to the last digit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import gpxpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import Point, shape

from devices.instants import from_datetime, from_iso
from evidence.records import Record
from evidence.store import Store
from evidence.views import NOTE
from evidence.views.facts import Facts, circle_ring
from evidence.views.folder import write_views
from evidence.views.geojson import geojson
from evidence.views.geoparquet import write_geoparquet
from evidence.views.gpx import gpx
from evidence.views.kml import kml
from evidence.views.tables import safe, table, track_table
from evidence.views.xml_text import degrees
from tests.evidence.case_world import CENTRE, HERS, HIS, build, pack
from tests.evidence.conftest import Probe

KML = "{http://www.opengis.net/kml/2.2}"
ODD = '=cmd|"/c calc"!A1 <b>&\x00\x1f \ud800'

fixes = st.builds(
    lambda device, time_us, lat_e7, lon_e7, altitude: fix_of(
        device, time_us, lat_e7, lon_e7, altitude_dm=altitude
    ),
    st.sampled_from(["tag-1", "handset-1"]),
    st.integers(1_700_000_000_000_000, 1_800_000_000_000_000),
    st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    st.integers(-(2**31), 90_000),
)


def fix_of(device: str, time_us: int, lat_e7: int, lon_e7: int, **more: int) -> Record:
    values = {"time": time_us, "received_at": time_us + 5, "seq": 1, "lat_e7": lat_e7}
    values |= {"lon_e7": lon_e7, "accuracy_cm": 650, "speed_cms": -1, "course_cdeg": -1}
    values |= {"altitude_dm": -(2**31), "satellites": 9, "hdop_c": 110, "kind": 0}
    values |= {"battery_pct": -1, "charging": -1, "buffered": 0}
    return Record("fix", device, time_us, values | more)


def facts_of(*records: Record) -> Facts:
    return Facts.of("o1", "court", (0, 1), records)


def zone_record(name: str, **condition: Any) -> Record:
    document = json.dumps({"id": "c2", "type": "exclusion", "name": name} | condition)
    return Record("caseload_entry", "condition/c2", 1, {"kind": "condition", "document": document})


@given(st.lists(fixes, max_size=8))
def test_other_programs_read_the_same_places_and_times(records: list[Record]) -> None:
    facts = facts_of(*records)
    wanted = sorted((r.subject, r.time_us, r.values["lat_e7"], r.values["lon_e7"]) for r in records)
    points = json.loads(geojson(facts))["features"]
    assert wanted == sorted(
        (
            f["properties"]["device"],
            from_iso(f["properties"]["time"]),
            round(f["geometry"]["coordinates"][1] * 1e7),
            round(f["geometry"]["coordinates"][0] * 1e7),
        )
        for f in points
    )
    read = gpxpy.parse(gpx(facts))
    assert wanted == sorted(
        (
            track.name,
            from_datetime(point.time),
            round(point.latitude * 1e7),
            round(point.longitude * 1e7),
        )
        for track in read.tracks
        for segment in track.segments
        for point in segment.points
        if point.time is not None
    )
    rows = list(csv.DictReader(io.StringIO(track_table(facts))))
    assert wanted == sorted(
        (r["device"], from_iso(r["time"]), e7(r["lat"]), e7(r["lon"])) for r in rows
    )
    marks = ET.fromstring(kml(facts)).iter(f"{KML}Placemark")
    assert sorted(place for _, _, *place in wanted) == sorted(
        [
            e7(text)
            for text in reversed(mark.findtext(f"{KML}Point/{KML}coordinates", "").split(","))
        ]
        for mark in marks
    )


def e7(text: str) -> int:
    return int(text.replace(".", "")) if "." in text else 0


@given(st.integers(-1_800_000_000, 1_800_000_000))
def test_degrees_are_exact(value: int) -> None:
    assert int(degrees(value).replace(".", "")) == value


def test_a_track_is_cut_where_it_was_silent() -> None:
    minute_us = 60_000_000
    facts = facts_of(*(fix_of("t", at * minute_us, 1, 1) for at in (1, 2, 7, 8, 20)))
    assert [len(s.points) for s in gpxpy.parse(gpx(facts)).tracks[0].segments] == [2, 2, 1]


def test_a_circle_is_a_circle_on_the_ellipsoid() -> None:
    geod = Geod(ellps="WGS84")
    ring = circle_ring(CENTRE[1], CENTRE[0], 300.0)
    assert ring[0] == ring[-1]
    for lon, lat in ring:
        assert abs(geod.inv(CENTRE[1], CENTRE[0], lon, lat)[2] - 300) < 0.02


def test_zones_are_shapes_of_the_right_size() -> None:
    circle = {"lat": CENTRE[0], "lon": CENTRE[1], "radius_m": 300.0}
    square = [[[0, 0], [0.01, 0], [0.01, 0.01], [0, 0.01], [0, 0]]]
    cases: list[tuple[dict[str, Any], Point]] = [
        ({"circle": circle}, Point(CENTRE[1], CENTRE[0])),
        ({"geometry": {"type": "Polygon", "coordinates": square}}, Point(0.005, 0.005)),
        ({"geometry": {"type": "MultiPolygon", "coordinates": [square]}}, Point(0.005, 0.005)),
    ]
    for condition, inside in cases:
        facts = facts_of(zone_record("home", **condition))
        [feature] = json.loads(geojson(facts))["features"]
        zone = shape(feature["geometry"])
        assert zone.is_valid
        assert zone.contains(inside)
        if "circle" in condition:
            area_m2 = abs(Geod(ellps="WGS84").geometry_area_perimeter(zone)[0])
            assert area_m2 == pytest.approx(3.14159 * 300**2, rel=0.003)
        assert len(list(ET.fromstring(kml(facts)).iter(f"{KML}Polygon"))) == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\0x", " =1"])
def test_no_cell_is_a_formula(text: str) -> None:
    [[_], [cell]] = list(csv.reader(io.StringIO(table(["a"], [[text]]))))
    assert cell.startswith("'") or cell[0] == "\ufffd"
    assert safe(-1.5) == -1.5


def test_odd_names_break_no_document() -> None:
    circle = {"lat": 1.0, "lon": 1.0, "radius_m": 30.0}
    facts = facts_of(zone_record(ODD, circle=circle))
    name = ET.fromstring(kml(facts)).find(f".//{KML}Placemark/{KML}name")
    assert name is not None
    assert name.text == '=cmd|"/c calc"!A1 <b>&\ufffd\ufffd \ufffd'


async def test_the_views_of_a_pack(store: Store, probe: Probe, tmp_path: Path) -> None:
    await build(store, probe.dsn, tmp_path)
    await pack(probe.dsn, tmp_path / "out")
    views = tmp_path / "out" / "views"
    features = json.loads((views / "track.geojson").read_text())["features"]
    places = [f["geometry"]["coordinates"] for f in features if f["geometry"]["type"] == "Point"]
    assert len(places) == len(HERS) + len(HIS)
    assert [HIS[0][1] / 1e7, HIS[0][0] / 1e7] in places
    for name in ("track.geojson", "track.gpx", "track.kml", "NOT-EVIDENCE.txt"):
        assert NOTE in (views / name).read_text()
    steps = list(csv.DictReader(io.StringIO((views / "alert-steps.csv").read_text())))
    assert [row["step"] for row in steps] == ["raised", "acknowledged", "returned", "resolved"]
    assert (steps[3]["actor"], steps[3]["note"]) == ("Kim", "'=seen; +on CCTV")
    told = list(csv.DictReader(io.StringIO((views / "deliveries.csv").read_text())))
    assert [row["state"] for row in told] == ["sent", "received", "shown"]


def test_views_are_the_same_to_the_byte(tmp_path: Path) -> None:
    facts = facts_of(fix_of("tag-1", 1_795_000_000_123_457, 515_000_017, -1_300_013))
    for name in ("one", "two"):
        write_views(tmp_path / name, facts)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_analysts_read_geoparquet(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    facts = facts_of(fix_of("tag-1", 1_795_000_000_123_457, 515_000_017, -1_300_013))
    assert write_geoparquet(facts, tmp_path / "t.parquet")
    found = pq.read_table(tmp_path / "t.parquet")
    about = json.loads(found.schema.metadata[b"geo"])
    assert about["columns"][about["primary_column"]]["encoding"] == "WKB"
    [row] = found.to_pylist()
    from shapely import wkb  # noqa: PLC0415 - beside what reads it

    assert wkb.loads(row["geometry"]).coords[0] == (-0.1300013, 51.5000017)
    assert row["time"].timestamp() == pytest.approx(1_795_000_000.123457, abs=1e-6)
