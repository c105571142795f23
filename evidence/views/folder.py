"""The folder ``views`` of a pack."""

from __future__ import annotations

from pathlib import Path

from evidence.views import NOTE
from evidence.views.facts import Facts
from evidence.views.geojson import geojson
from evidence.views.geoparquet import write_geoparquet
from evidence.views.gpx import gpx
from evidence.views.kml import kml
from evidence.views.tables import delivery_table, step_table, track_table

_VIEWS = {
    "track.geojson": geojson,
    "track.gpx": gpx,
    "track.kml": kml,
    "track.csv": track_table,
    "alert-steps.csv": step_table,
    "deliveries.csv": delivery_table,
}


def write_views(folder: Path, facts: Facts) -> None:
    """Write every view; GeoParquet where pyarrow is installed.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir()
    for name, make in _VIEWS.items():
        (folder / name).write_text(make(facts), newline="")
    write_geoparquet(facts, folder / "track.parquet")
    (folder / "NOT-EVIDENCE.txt").write_text(NOTE + "\n")
