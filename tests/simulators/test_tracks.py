"""Readers of recorded tracks: the real files, and files with every mistake."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordon.clock import wall_clock_us
from devices.compiler import compile_caseload
from devices.instants import from_iso
from devices.rules import check
from simulators.casting import cast, tracks_caseload
from simulators.csv_tracks import RADIUS_68_PER_50, Columns, parse_columns
from simulators.gpx_tracks import ACCURACY_PER_HDOP_M, PLANNED_SPEED_MPS
from simulators.naming import identifiers
from simulators.recording import FILE_LIMIT_BYTES, Point, TrackError, track_of
from simulators.tracks import Track, read_tracks

NAN = float("nan")
ID_LETTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def written(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Path, **how: object) -> str:
    with pytest.raises(TrackError) as caught:
        read_tracks([path], **how)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    return str(caught.value)


def gpx(points: str, before: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{before}<gpx version="1.1" '
        'xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>\n'
        f"{points}\n</trkseg></trk></gpx>"
    )


# --- the real files ---


def test_oxford_walks(data_dir: Path) -> None:
    tracks = read_tracks([data_dir / "oxford_walks" / "fixes_truth_dev.csv"])
    assert [track.name for track in tracks] == [f"c0{n}" for n in range(6)] + [
        f"w0{n}" for n in range(7)
    ]
    assert sum(len(track) for track in tracks) == 22_605
    first = tracks[0]
    assert first.times_us[0] == from_iso("2023-01-14T15:53:59.921Z")
    assert first.accuracy_m[0] == pytest.approx(41.466167 * RADIUS_68_PER_50)
    # 173 fixes have no confidence at all and 134 a NaN: unknown, not perfect
    assert sum(int(np.isnan(track.accuracy_m).sum()) for track in tracks) >= 173
    assert all((np.diff(track.times_us) >= 0).all() for track in tracks)
    assert all(track.interval_s == pytest.approx(1.0, abs=0.05) for track in tracks)


def test_whitchurch_bike(data_dir: Path) -> None:
    paths = sorted((data_dir / "whitchurch_bike").glob("*.gpx"))
    tracks = {track.name: track for track in read_tracks(paths)}
    assert len(tracks) == len(paths) == 8
    assert len(tracks["Garmin-Edge-605"]) == 6_398
    assert np.isnan(tracks["Lezyne"].accuracy_m).all()
    assert tracks["MotoG3"].accuracy_m[0] == pytest.approx(3.0 * ACCURACY_PER_HDOP_M)
    assert [name for name, track in tracks.items() if track.planned] == ["planned-route"]
    planned = tracks["planned-route"]
    # the planner's own comment says 32,589 m
    assert planned.times_us[-1] / 1e6 * PLANNED_SPEED_MPS == pytest.approx(32_589, rel=0.02)


def test_bus_files_through_a_mapping(data_dir: Path) -> None:
    columns = parse_columns("id=vehicle_id,time=timestamp,lat=latitude,lon=longitude")
    path = data_dir / "liverpool_buses" / "route14_outbound.csv"
    tracks = read_tracks([path], columns=columns, time_zone="Europe/London")
    assert len(tracks) == 8
    assert tracks[0].times_us[0] == from_iso("2026-01-26T15:57:02Z")
    assert "offset" in refused(path, columns=columns)

    columns = parse_columns("id=vehicle_id,time=timestamp,lat=latitude,lon=longitude,speed=speed")
    tracks = read_tracks([data_dir / "austin_buses" / "2016-12-16.csv.gz"], columns=columns)
    assert len(tracks) == 279
    assert sum(len(track) for track in tracks) == 34_501
    assert tracks[0].times_us[0] == from_iso("2016-12-16T05:34:02-06:00")
    assert tracks[0].speed_mps[0] == pytest.approx(5.36448)


# --- CSV ---


def test_radius_of_68_percent() -> None:
    rng = np.random.default_rng(1)
    length = np.hypot(*rng.normal(size=(2, 200_000)))
    r50, r68 = np.quantile(length, [0.5, 0.68])
    assert pytest.approx(r68 / r50, rel=0.01) == RADIUS_68_PER_50


def test_rows_are_sorted_and_equal_times_kept(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeffid,time,lat,lon,accuracy_m\r\n"
        "a,2026-01-01T00:00:02Z,1,2,0\r\n"
        "b,2026-01-01T00:00:00Z,5,6,7\r\n"
        "a,2026-01-01T01:00:01+01:00,3,4,\r\n"
        "\r\n"
        "a,2026-01-01T00:00:02Z,9,8,2.5\r\n",
    )
    a, b = read_tracks([path])
    assert a.name == "a"
    assert np.diff(a.times_us).tolist() == [1_000_000, 0]
    assert a.lat_deg.tolist() == [3, 1, 9]
    assert np.isnan(a.accuracy_m).tolist() == [True, True, False]
    assert b.accuracy_m.tolist() == [7]
    assert math.isnan(b.speed_mps[0])


def test_without_an_id_the_file_is_the_track(tmp_path: Path) -> None:
    text = "lat,lon,time\n1,2,2026-01-01T00:00:00Z\n"
    packed = gzip.compress(text.encode())
    (track,) = read_tracks([written(tmp_path, packed, "walk.csv.gz")])
    assert track.name == "walk"


@pytest.mark.parametrize(
    ("row", "column", "hint"),
    [
        ("a,2026-01-01T00:00:00Z,91,0,1", "lat", "-90 to 90"),
        ("a,2026-01-01T00:00:00Z,nan,0,1", "lat", "-90 to 90"),
        ("a,2026-01-01T00:00:00Z,,0,1", "lat", "-90 to 90"),
        ("a,2026-01-01T00:00:00Z,1,180.5,1", "lon", "-180 to 180"),
        ("a,2026-01-01T00:00:00Z,1,0,inf", "accuracy_m", "number"),
        ("a,2026-01-01T00:00:00Z,1,0,near", "accuracy_m", "number"),
        ("a,2026-01-01T00:00:00,1,0,1", "time", "--time-zone"),
        ("a,yesterday,1,0,1", "time", "ISO 8601"),
        (",2026-01-01T00:00:00Z,1,0,1", "id", "every row"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: str, column: str, hint: str) -> None:
    good = "a,2026-01-01T00:00:00Z,1,2,3"
    path = written(tmp_path, f"id,time,lat,lon,accuracy_m\n{good}\n{row}\n")
    message = refused(path)
    assert f"line 3, column {column}:" in message
    assert hint in message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "empty"),
        ("id,time,lat,lon\n", "no rows"),
        ("when,where\n1,2\n", "--columns"),
        ("time,lat,lon\n2026-01-01T00:00:00Z,1\n", "2 cells"),
        ('time,lat,lon\n"2026-01-01T00:00:00Z,1,2\n', "quote"),
        (b"time,lat,lon\n\xff,1,2\n", "line 2: is not UTF-8"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
        ("time,lat,lon,lat\n", "2 columns"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str | bytes, hint: str) -> None:
    assert hint in refused(written(tmp_path, text))


def test_a_missing_file_and_a_missing_column(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.csv")
    path = written(tmp_path, "time,lat,lon\n2026-01-01T00:00:00Z,1,2\n")
    columns = Columns(time="time", lat="latitude", lon="lon")
    assert "column latitude" in refused(path, columns=columns)
    with pytest.raises(ValueError, match="no time zone"):
        read_tracks([path], time_zone="Mars/Olympus")


def test_a_compressed_giant_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE_LIMIT_BYTES >= 64 * 1024 * 1024
    monkeypatch.setattr("simulators.recording.FILE_LIMIT_BYTES", 1_000)
    path = written(tmp_path, gzip.compress(b"x" * 100_000))
    assert "larger" in refused(path)


@pytest.mark.parametrize("text", ["", "time=t", "time", "time=a,time=b,lat=c,lon=d", "x=y,time=a"])
def test_a_bad_mapping_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match="for example"):
        parse_columns(text)


# --- GPX ---


def test_segments_join_and_tracks_do_not(tmp_path: Path) -> None:
    def point(second: int) -> str:
        return f'<trkpt lat="1" lon="2"><time>2026-01-01T00:00:0{second}Z</time></trkpt>'

    body = f"{point(1)}</trkseg><trkseg>{point(3)}</trkseg></trk><trk><trkseg>{point(5)}"
    first, second = read_tracks([written(tmp_path, gpx(body), "ride.gpx")])
    assert (first.name, second.name) == ("ride-1", "ride-2")
    assert np.diff(first.times_us).tolist() == [2_000_000]


@pytest.mark.parametrize(
    ("points", "hint"),
    [
        ('<trkpt lat="91" lon="0"/>', "line 2: lat"),
        ('<trkpt lon="0"/>', "line 2: lat"),
        ('<trkpt lat="1" lon="nan"/>', "line 2: lon"),
        ('<trkpt lat="1" lon="2"><time>noon</time></trkpt>', "ISO 8601"),
        ('<trkpt lat="1" lon="2"><time>2026-01-01T00:00:00</time></trkpt>', "offset"),
        ('<trkpt lat="1" lon="2"><hdop>-1</hdop></trkpt>', "hdop"),
        (
            '<trkpt lat="1" lon="2"><time>2026-01-01T00:00:00Z</time></trkpt>\n<trkpt lat="1" lon="2"/>',
            "line 3: this point has no time",
        ),
        ("", "no track points"),
        ("<trkpt", "not well-formed"),
    ],
)
def test_bad_gpx_is_refused(tmp_path: Path, points: str, hint: str) -> None:
    assert hint in refused(written(tmp_path, gpx(points), "a.gpx"))


def test_other_xml_and_any_doctype_are_refused(tmp_path: Path) -> None:
    assert "only GPX" in refused(written(tmp_path, "<kml/>", "a.gpx"))
    bomb = '<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    text = gpx('<trkpt lat="1" lon="2"><name>&b;</name></trkpt>', before=bomb)
    assert "DOCTYPE" in refused(written(tmp_path, text, "a.gpx"))
    outside = '<!DOCTYPE gpx SYSTEM "file:///etc/passwd">'
    assert "DOCTYPE" in refused(written(tmp_path, gpx("", before=outside), "a.gpx"))


# --- names and parts ---


@given(st.lists(st.text(max_size=80), max_size=12), st.integers(0, 20))
def test_identifiers_are_valid_and_distinct(names: list[str], room: int) -> None:
    found = identifiers(names, room=room)
    assert len(found) == len(names)
    assert len({name.lower() for name in found}) == len(names)
    for name in found:
        assert 0 < len(name) <= 64 - room
        assert set(name) <= ID_LETTERS
        assert name[0] not in "-_"


def test_good_names_stay_as_they_are() -> None:
    assert identifiers(["c00", "Bus 7/a", "bus 7/a"]) == ["c00", "Bus-7-a", "bus-7-a-2"]


def small(name: str) -> Track:
    return track_of(name, [Point(n * 1_000_000, 1.0, 2.0, NAN, NAN, NAN) for n in range(3)])


def test_tracks_are_paired_and_an_odd_one_joins_the_first() -> None:
    tracks = [small(name) for name in ("a", "b", "c", "d", "e")]
    assert [part.device for part in cast(tracks)] == [
        "tag-a",
        "phone-b",
        "tag-c",
        "phone-d",
        "tag-e",
    ]
    caseload = tracks_caseload(tracks, speed=4, alert_m=150)
    barred = {order.wearer: order.conditions[0] for order in caseload.orders}
    assert {wearer: near.protected for wearer, near in barred.items()} == {
        "wearer-a": "protected-b",
        "wearer-c": "protected-d",
        "wearer-e": "protected-b",
    }
    assert {device.fix_interval_s for device in caseload.devices} == {0.25}
    assert check(caseload) == []
    assert set(compile_caseload(caseload, wall_clock_us()).watches) == {
        "near-a/tag-a/phone-b",
        "near-c/tag-c/phone-d",
        "near-e/tag-e/phone-b",
    }
    alone = tracks_caseload(tracks[:1])
    assert alone.orders == ()
    assert check(alone) == []
