"""Columns of whole numbers read as arrays: one value of the wire for each, and no object per row.

`array_send` writes an array as PostgreSQL does on the wire: 20 bytes of header, then before each
element its size. COPY would hand over row by row, and each costs more than it carries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

_HEADER_BYTES = 20

Wire = Mapping[str, str]
"""By column (none is ever NULL), how an element stands on the wire: a dtype."""


def aggregates(names: Iterable[str]) -> sql.Composed:
    """What to select: each column, in the order in which its rows are read."""
    one = sql.SQL("array_send(array_agg({}))")
    return sql.SQL(", ").join(one.format(sql.Identifier(name)) for name in names)


def read_columns(wire: Wire, values: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """The columns of a row of `aggregates`; a cursor that reads in binary gave it."""
    return {
        name: np.frombuffer(value, [("size", ">i4"), ("value", kind)], offset=_HEADER_BYTES)[
            "value"
        ]
        for (name, kind), value in zip(wire.items(), values, strict=True)
    }
