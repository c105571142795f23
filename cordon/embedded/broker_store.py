"""Forces to the disk what nats-server writes of its streams and consumers, and does not force itself.

It forces messages once in `sync_interval`, but never the files that say what a stream or a consumer is.
The system writes those within half a minute; a power cut before that takes away the stream, and with it
what devices were told is kept: `$MQTT_msgs` is one of them, made when the first device comes.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from devices.durable import force

DESCRIPTION = ("meta.inf", "meta.sum")
LOOKS = 3
"""Consumers are made folder first: so often they are looked at after their folder was new."""


class StoreDescriptions:
    """See the module.

    Args:
        store: The broker's JetStream folder.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._streams: dict[str, int] = {}
        self._consumers: dict[str, deque[int]] = {}

    def force_new(self) -> int:
        """Force the descriptions that are new since the last call. Returns how many.

        Costs two looks at each stream; its consumers are looked at only when there are new ones.

        Raises:
            OSError: The disk refuses.
        """
        forced = 0
        for stream in self._store.glob("jetstream/*/streams/*"):
            with contextlib.suppress(FileNotFoundError):  # it is being made, or was taken away
                changed_ns = (stream / DESCRIPTION[0]).stat().st_mtime_ns
                if self._streams.get(str(stream)) != changed_ns:
                    _force(stream)
                    self._streams[str(stream)] = changed_ns
                    forced += 1
            with contextlib.suppress(FileNotFoundError):
                for consumer in self._new_consumers(stream):
                    _force(consumer)
                    forced += 1
        return forced

    def _new_consumers(self, stream: Path) -> Iterator[Path]:
        folder = stream / "obs"
        changed_ns = folder.stat().st_mtime_ns
        seen = self._consumers.setdefault(str(stream), deque([0] * LOOKS, LOOKS))
        if all(one == changed_ns for one in seen):
            return
        since_ns = seen[0]  # those that are older were forced then
        seen.append(changed_ns)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat().st_mtime_ns >= since_ns:
                    yield Path(entry.path)


def _force(folder: Path) -> None:
    for name in DESCRIPTION:
        with contextlib.suppress(FileNotFoundError):
            force(folder / name)
    force(folder)
    force(folder.parent)
