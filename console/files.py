"""The pages' own files, read once at start: what is not in the table cannot be asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"

MAP_LIBRARY = "vendor/maplibre-gl/maplibre-gl.mjs"
"""Brought in by the build hook; the pages work without it, but draw no map."""

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Files of any other kind are not served."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent. `etag` names the content."""

    content: bytes
    media_type: str
    etag: str


def read_static(folder: Path = STATIC) -> Mapping[str, StaticFile]:
    """All files that may be served, by their path below the folder, with forward slashes."""
    files = {}
    for path in sorted(folder.rglob("*")):
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        files[path.relative_to(folder).as_posix()] = StaticFile(content, media_type, etag)
    return files
