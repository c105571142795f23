"""Every disk that a power cut may leave, at each moment of a record."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.power.disk import Disk, Every
from tests.power.mounted import Chance

EVERY_LIMIT = 100
"""So many combinations of one moment are made in order; of more, as many again are drawn."""


def states(disk: Disk, limit: int = EVERY_LIMIT, *, each: int = 1) -> Iterator[tuple[int, Disk]]:
    """Pairs of a moment (changes made by then) and a disk as it may be found afterwards.

    Args:
        disk: With its record.
        limit: See `EVERY_LIMIT`.
        each: Look at every so manieth moment, counted from the end.
    """
    for moment in range(len(disk.log), -1, -each):
        then = disk.replayed(moment)
        count = 0
        for chooser in itertools.islice(Every.all(), limit):
            count += 1
            yield moment, then.after_cut(chooser)
        if count == limit:
            for seed in range(limit):
                yield moment, then.after_cut(Chance(seed))


class Found:
    """A real folder for one state after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def with_(self, disk: Disk) -> Path:
        """The folder, with what is on this disk."""
        shutil.rmtree(self._folder, ignore_errors=True)
        disk.save(self._folder)
        return self._folder
