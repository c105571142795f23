"""Who carries what now, by the caseload in force: asked whenever somebody is to be told something."""

from __future__ import annotations

from collections.abc import Sequence

from cordon.partition import Partition
from devices.watches import Bearer


class Carried:
    """Knows nothing until the partition is there.

    Attributes:
        partition: Whose caseload is asked.
    """

    def __init__(self) -> None:
        self.partition: Partition | None = None

    def bearer_of(self, device: str) -> Bearer | None:
        """The assignment of a device."""
        return None if self.partition is None else self.partition.compiled.bearers.get(device)

    def handsets_of(self, person: str) -> Sequence[str]:
        """The handsets that a protected person carries."""
        return () if self.partition is None else self.partition.compiled.handsets.get(person, ())
