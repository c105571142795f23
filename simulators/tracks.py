"""Reads recorded tracks, guessing the format from the file itself: GPX if it is XML, else CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import available_timezones

from simulators.csv_tracks import Columns, parse_columns, read_csv
from simulators.gpx_tracks import read_gpx
from simulators.recording import Track, TrackError, read_bytes

__all__ = ["Columns", "Track", "TrackError", "parse_columns", "read_tracks"]

_XML_STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")


def read_tracks(
    paths: Sequence[Path], *, columns: Columns | None = None, time_zone: str | None = None
) -> list[Track]:
    """All tracks of these files, in file order.

    Args:
        paths: GPX or CSV files; gzip is unpacked on the way.
        columns: Which CSV column holds what; None to go by the header. GPX has no use for it.
        time_zone: IANA name for CSV times that have no offset.

    Raises:
        TrackError: Naming the file, the line and the column, and what to do.
        ValueError: There is no such time zone.
    """
    if time_zone is not None and time_zone not in available_timezones():
        raise ValueError(f"there is no time zone {time_zone!r}; write for example Europe/London")
    tracks: list[Track] = []
    for path in paths:
        data = read_bytes(path)
        if not data.strip():
            raise TrackError(path, "is empty; nothing to play")
        if data.lstrip().startswith(_XML_STARTS):
            tracks += read_gpx(path, data)
        else:
            tracks += read_csv(path, data, columns, time_zone)
    return tracks
