"""A broker that comes back without the newest of what it had: as after a power cut, when it wants."""

from __future__ import annotations

import shutil
from pathlib import Path

from cordon.embedded.broker import EmbeddedBroker


class OlderState:
    """What a broker has on disk now, to come back to.

    Args:
        broker: Runs; it is started again.
        folder: For the copy.
    """

    def __init__(self, broker: EmbeddedBroker, folder: Path) -> None:
        self._broker = broker
        self._copy = folder / "older"
        self._store = broker.log[0].parent / "jetstream"
        broker.stop()
        shutil.copytree(self._store, self._copy)
        broker.start()

    def bring_back(self, *, start: bool = True) -> None:
        """Kill the broker, and start it on the older state."""
        self._broker.kill()
        shutil.rmtree(self._store)
        shutil.copytree(self._copy, self._store)
        if start:
            self._broker.start()
