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
_NULLS = slice(4, 8)
_NO_NULLS = bytes(4)

Wire = Mapping[str, str]
"""By column (none is ever NULL), how an element stands on the wire: a dtype."""


def aggregates(names: Iterable[str]) -> sql.Composed:
    """What to select: each column, in the order in which its rows are read."""
    one = sql.SQL("array_send(array_agg({}))")
    return sql.SQL(", ").join(one.format(sql.Identifier(name)) for name in names)


class NullError(ValueError):
    """A column has an empty value, which it never has."""


def read_groups(
    wire: Wire, groups: Sequence[Sequence[bytes]]
) -> tuple[list[int], dict[str, NDArray[Any]]]:
    """The columns of rows of `aggregates`, one behind the other; a binary cursor gave them.

    Returns:
        How many elements are of each row, and the columns.

    Raises:
        NullError: A value is NULL.
    """
    if any(value[_NULLS] != _NO_NULLS for row in groups for value in row):
        raise NullError
    found, sizes = {}, list[int]()
    for place, (name, kind) in enumerate(wire.items()):
        layout = np.dtype([("size", ">i4"), ("value", kind)])
        parts = [row[place][_HEADER_BYTES:] for row in groups]
        found[name] = np.frombuffer(b"".join(parts), layout)["value"]
        sizes = sizes or [len(part) // layout.itemsize for part in parts]
    return sizes, found
