"""XML as GPX and KML are written: one way to make elements, and text that XML can hold."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def text_of(value: str) -> str:
    """The text as XML 1.0 can hold it: what it cannot is replaced."""
    return _FORBIDDEN.sub("\ufffd", value)


def add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    """A new element at the end of another."""
    child = ET.SubElement(parent, name, attributes)
    if text:
        child.text = text_of(text)
    return child


def document(root: ET.Element) -> str:
    """The file."""
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def degrees(e7: int) -> str:
    """A coordinate in decimal degrees, exact."""
    whole, part = divmod(abs(e7), 10_000_000)
    return f"{'-' if e7 < 0 else ''}{whole}.{part:07d}"
