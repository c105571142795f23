"""Charts of the monthly report: SVG that prints in black and white as well. Numbers in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 720
INKS = ("#7b1e3a", "#d1495b", "#e0a458", "#9fb4c7")
"""Tiers 1 to 4: also from dark to light."""

_LABEL = 210
_NAME_CHARS = 32
_SAYS = 190
_ROW = 24
_COLUMNS_HEIGHT = 170
_AXIS = 22


class Bar(NamedTuple):
    """A bar to the right.

    Attributes:
        says: What stands behind it.
        mark: Where the value should be, as a line; None for nowhere.
        ink: Its colour.
    """

    name: str
    value: float
    says: str
    mark: float | None = None
    ink: str = "#5b7083"


class Column(NamedTuple):
    """A column of stacked values, the first at the bottom; an empty name is not written."""

    name: str
    values: Sequence[float]


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Bars below each other, all to one scale."""
    most = max((max(row.value, row.mark or 0.0) for row in rows), default=0.0) or 1.0
    scale = (WIDTH - _LABEL - _SAYS) / most
    parts = []
    for number, row in enumerate(rows):
        top = number * _ROW
        middle = top + _ROW / 2 + 4
        parts += [
            _text(_LABEL - 8, middle, _short(row.name), "end"),
            _rect(_LABEL, top + 4, row.value * scale, _ROW - 8, row.ink),
            _text(_LABEL + max(row.value, row.mark or 0.0) * scale + 8, middle, row.says, "start"),
        ]
        if row.mark is not None:
            at = _LABEL + row.mark * scale
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 1}" y2="{top + _ROW - 1}" '
                'stroke="#000" stroke-width="2"/>'
            )
    return _svg(title, len(rows) * _ROW, parts)


def columns(title: str, found: Sequence[Column]) -> str:
    """Columns beside each other, with the highest value at the left."""
    most = max((sum(column.values) for column in found), default=0.0) or 1.0
    step = (WIDTH - 50) / max(1, len(found))
    scale = (_COLUMNS_HEIGHT - 14) / most
    parts = [
        _text(40, 14, f"{most:g}", "end"),
        _text(40, _COLUMNS_HEIGHT, "0", "end"),
        f'<line x1="46" x2="{WIDTH}" y1="{_COLUMNS_HEIGHT}" y2="{_COLUMNS_HEIGHT}" stroke="#000"/>',
    ]
    for number, column in enumerate(found):
        left, top = 48 + number * step, float(_COLUMNS_HEIGHT)
        for ink, value in zip(INKS, column.values, strict=False):
            height = value * scale
            top -= height
            parts.append(_rect(left, top, step - 3, height, ink))
        if column.name:
            parts.append(_text(left + step / 2, _COLUMNS_HEIGHT + 16, column.name, "middle"))
    return _svg(title, _COLUMNS_HEIGHT + _AXIS, parts)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "\u2026"


def _rect(x: float, y: float, width: float, height: float, ink: str) -> str:
    """Never so narrow that it cannot be seen."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(1.0, width):.1f}" height="{height:.1f}" '
        f'fill="{ink}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
