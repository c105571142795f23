"""GeoParquet 1.1, for analysts: optional, as it takes pyarrow (extra ``parquet``)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from evidence.views import NOTE
from evidence.views.facts import Facts

_POINT = struct.Struct("<BIdd")
_WKB_POINT = 1


def write_geoparquet(facts: Facts, path: Path) -> bool:
    """Write the fixes. Returns whether it could: without pyarrow there is no such file.

    Instants are in microseconds UTC; the geometry is a WKB point in longitude and latitude.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra; the command must start without it
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        return False
    fixes = [fix for track in facts.tracks.values() for fix in track]
    instant = pa.timestamp("us", tz="UTC")
    columns: dict[str, Any] = {
        "device": pa.array([fix.device for fix in fixes], pa.string()),
        "time": pa.array([fix.time_us for fix in fixes], pa.int64()).cast(instant),
        "received": pa.array([fix.received_us for fix in fixes], pa.int64()).cast(instant),
        "seq": pa.array([fix.seq for fix in fixes], pa.int64()),
        "lat_e7": pa.array([fix.lat_e7 for fix in fixes], pa.int32()),
        "lon_e7": pa.array([fix.lon_e7 for fix in fixes], pa.int32()),
        "accuracy_m": pa.array([fix.accuracy_m for fix in fixes], pa.float64()),
        "kind": pa.array([fix.kind for fix in fixes], pa.string()),
        "geometry": pa.array(
            [_POINT.pack(1, _WKB_POINT, *fix.place) for fix in fixes], pa.binary()
        ),
    }
    column = {"encoding": "WKB", "geometry_types": ["Point"]}
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    metadata = {"geo": json.dumps(about), "note": NOTE}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return True
