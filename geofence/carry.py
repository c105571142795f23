"""State of named things, carried from one plan to another."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

NameT = TypeVar("NameT", bound=Hashable)


def carry(
    source: NDArray[np.void],
    source_names: tuple[NameT, ...],
    target: NDArray[np.void],
    target_names: tuple[NameT, ...],
) -> dict[NameT, np.void]:
    """Copy rows to where their name stands in the target; the rows whose name does not."""
    place = {name: index for index, name in enumerate(target_names)}
    gone: dict[NameT, np.void] = {}
    for index, name in enumerate(source_names):
        if name in place:
            target[place[name]] = source[index]
        else:
            gone[name] = source[index]
    return gone
