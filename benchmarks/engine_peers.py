"""What one would use instead of the engine, given the same fixes of the same town.

None of them has a state, an accuracy or a probability: they say how far two points are apart, and
whether a point lies in an area. So they do less than the engine for each fix:

- `shapely_per_fix`: shapely and pyproj as one would call them when a fix comes: the geodesic to the
  partner's last fix (`Geod.inv`), and three prepared polygons asked whether they hold the point;
- `shapely_arrays`: the same over whole batches, with arrays in place of loops;
- `redis_geo`: a server of its own; GEOADD of the fix, GEODIST to the partner and GEOSEARCH for the
  middles of zones nearby, pipelined. On a sphere, and without polygons, which it does not have;
- `postgis`: a server one names; a batch is copied in, last positions are updated, and one join each
  gives the distances of pairs (on the spheroid) and the zones that hold the points.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from benchmarks.town import Columns, Town
from geofence.plan import FloatArray, IntArray, Zones

NOT_INSTALLED = "not installed"
_WGS84 = Geod(ellps="WGS84")
_SEARCH_M = 500
_START_WAIT_S = 10.0
_PIPELINE = 1000
"""Fixes in one go over the wire; both ends would otherwise wait for each other."""

Seconds = list[float]
"""What each batch took."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one of them is.

    Attributes:
        name: As in the module.
        fixes_per_s: None where it is not there, or failed.
        ratio: How many times faster the engine takes the same fixes.
        note: Why there is no figure; empty where there is one.
    """

    name: str
    fixes_per_s: float | None = None
    ratio: float | None = None
    note: str = ""


def shapely_per_fix(town: Town, batches: Sequence[Columns], most: int) -> Seconds:
    """Seconds of CPU for the first `most` fixes of each batch, one by one."""
    areas = areas_of(town.plan.zones).reshape(town.count, -1).tolist()
    last = np.zeros((town.count, 2))
    seconds: Seconds = []
    for columns in batches:
        who, lat_deg, lon_deg = _points(columns)
        rows = list(zip(who.tolist(), lat_deg.tolist(), lon_deg.tolist(), strict=True))[:most]
        places, partner = last.tolist(), town.partner.tolist()
        began_s = time.thread_time()
        for track, lat, lon in rows:
            places[track] = (lat, lon)
            other_lat, other_lon = places[partner[track]]
            _WGS84.inv(lon, lat, other_lon, other_lat)
            point = shapely.Point(lon, lat)
            for area in areas[track]:
                area.contains(point)
        seconds.append(time.thread_time() - began_s)
        last[who] = np.stack([lat_deg, lon_deg], axis=1)
    return seconds


def shapely_arrays(town: Town, batches: Sequence[Columns]) -> Seconds:
    """Seconds of CPU for each batch as a whole."""
    areas = areas_of(town.plan.zones).reshape(town.count, -1)
    last = np.zeros((town.count, 2))
    seconds: Seconds = []
    for columns in batches:
        began_s = time.thread_time()
        who, lat_deg, lon_deg = _points(columns)
        last[who] = np.stack([lat_deg, lon_deg], axis=1)
        partner = last[town.partner[who]]
        _WGS84.inv(lon_deg, lat_deg, partner[:, 1], partner[:, 0])
        shapely.contains_xy(areas[who], lon_deg[:, None], lat_deg[:, None])
        seconds.append(time.thread_time() - began_s)
    return seconds


def areas_of(zones: Zones) -> NDArray[np.object_]:
    """The outlines as prepared polygons in degrees."""
    rings = np.repeat(np.arange(len(zones.keys)), np.diff(zones.ring_vertex))
    outlines = shapely.linearrings(zones.lon_deg, zones.lat_deg, indices=rings)
    areas: NDArray[np.object_] = shapely.polygons(outlines)
    shapely.prepare(areas)
    return areas


def redis_geo(town: Town, batches: Sequence[Columns]) -> Seconds:
    """Seconds on the clock for each batch, at a server started for this and stopped after.

    Raises:
        FileNotFoundError: There is no redis-server.
        OSError: It cannot be started or talked to.
    """
    with _redis() as call:
        zones = town.plan.zones
        centre = shapely.get_coordinates(shapely.centroid(areas_of(zones)))
        placed = [
            ("GEOADD", "zones", repr(lon), repr(lat), key)
            for key, (lon, lat) in zip(zones.keys, centre.tolist(), strict=True)
        ]
        for start in range(0, len(placed), _PIPELINE):
            call(placed[start : start + _PIPELINE])
        seconds: Seconds = []
        for columns in batches:
            asked = _geo_commands(town, columns)
            began_s = time.perf_counter()
            for start in range(0, len(asked), 3 * _PIPELINE):
                call(asked[start : start + 3 * _PIPELINE])
            seconds.append(time.perf_counter() - began_s)
        return seconds


def _geo_commands(town: Town, columns: Columns) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    who, lat_deg, lon_deg = _points(columns)
    for track, lat, lon in zip(who.tolist(), lat_deg.tolist(), lon_deg.tolist(), strict=True):
        at = (repr(lon), repr(lat))
        near = ("FROMLONLAT", *at, "BYRADIUS", str(_SEARCH_M), "m")
        commands += [
            ("GEOADD", "people", *at, str(track)),
            ("GEODIST", "people", str(track), str(town.partner[track]), "m"),
            ("GEOSEARCH", "zones", *near),
        ]
    return commands


@contextmanager
def _redis() -> Iterator[Callable[[Sequence[tuple[str, ...]]], None]]:
    """A server on this machine alone, keeping nothing; what sends commands and awaits answers."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = f"--bind 127.0.0.1 --port {port} --appendonly no --daemonize no".split()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(  # noqa: S603 - found on the path, with words of our own
            [program, *words, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with _connected(port) as connection, connection.makefile("rb") as answers:

                def call(commands: Sequence[tuple[str, ...]]) -> None:
                    connection.sendall(b"".join(map(_as_resp, commands)))
                    for _ in commands:
                        _skip_answer(answers.readline, answers.read)

                yield call
        finally:
            server.terminate()
            server.wait(_START_WAIT_S)


def _connected(port: int) -> socket.socket:
    until_s = time.monotonic() + _START_WAIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)


def _as_resp(words: tuple[str, ...]) -> bytes:
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


def _skip_answer(line: Callable[[], bytes], read: Callable[[int], bytes]) -> None:
    """Read one answer of the protocol, whatever it is.

    Raises:
        OSError: It is an error, or the server is gone.
    """
    head = line()
    kind, rest = head[:1], head[1:]
    if kind == b"$" and int(rest) >= 0:
        read(int(rest) + 2)
    elif kind == b"*":
        for _ in range(int(rest)):
            _skip_answer(line, read)
    elif kind not in {b"$", b":", b"+"}:
        raise OSError(f"redis-server answered {head!r}")


_TABLES = """
CREATE TEMPORARY TABLE fix (track int, lon float8, lat float8);
CREATE TEMPORARY TABLE place (track int PRIMARY KEY, point geography(Point));
CREATE TEMPORARY TABLE pair (a int, b int);
CREATE TEMPORARY TABLE zone (track int, area geometry(Polygon, 4326));
"""
_BATCH = """
INSERT INTO place SELECT track, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography FROM fix
ON CONFLICT (track) DO UPDATE SET point = excluded.point;
SELECT count(ST_Distance(p.point, q.point)) FROM fix
JOIN pair ON pair.a = fix.track
JOIN place p ON p.track = pair.a JOIN place q ON q.track = pair.b;
SELECT count(*) FILTER (WHERE ST_Covers(zone.area, place.point::geometry)) FROM fix
JOIN place USING (track) JOIN zone USING (track);
"""


def postgis(town: Town, batches: Sequence[Columns], dsn: str) -> Seconds:
    """Seconds on the clock for each batch, in temporary tables of the database `dsn` names.

    Raises:
        LookupError: The database has no PostGIS.
        psycopg.Error: It cannot be reached, or refuses.
    """
    with psycopg.connect(dsn) as connection:
        found = "SELECT 1 FROM pg_extension WHERE extname = 'postgis'"
        if connection.execute(found).fetchone() is None:
            raise LookupError("the database has no extension postgis")
        connection.execute(_TABLES)
        ends = enumerate(town.partner.tolist())
        _copy(connection, "pair (a, b)", ends)
        areas = areas_of(town.plan.zones)
        texts = zip(town.plan.zones.track.tolist(), shapely.to_wkt(areas).tolist(), strict=True)
        rows = ((track, f"SRID=4326;{text}") for track, text in texts)
        _copy(connection, "zone (track, area)", rows)
        connection.execute("CREATE INDEX ON pair (a); CREATE INDEX ON zone (track)")
        connection.execute("ANALYZE pair; ANALYZE zone")
        seconds: Seconds = []
        for columns in batches:
            who, lat_deg, lon_deg = _points(columns)
            fixes = list(zip(who.tolist(), lon_deg.tolist(), lat_deg.tolist(), strict=True))
            began_s = time.perf_counter()
            connection.execute("TRUNCATE fix")
            _copy(connection, "fix (track, lon, lat)", fixes)
            connection.execute(_BATCH)
            seconds.append(time.perf_counter() - began_s)
        connection.rollback()
        return seconds


def _copy(
    connection: psycopg.Connection,
    target: str,
    rows: Iterator[tuple[object, ...]] | Sequence[tuple[object, ...]],
) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _points(columns: Columns) -> tuple[IntArray, FloatArray, FloatArray]:
    who, _, lat_e7, lon_e7, _ = columns
    return who, lat_e7 / 1e7, lon_e7 / 1e7
