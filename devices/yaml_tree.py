"""YAML as JSON would be read, with the line of every value.

A caseload means the same in both notations, so only what JSON has is understood: true, false,
null, numbers, strings, lists and mappings with string keys. ``12:30``, ``on`` and ``2026-11-23``
are strings here, where YAML 1.1 would make 750, True and a date of them. The tree is built from
the parser's events, not by PyYAML's composer, because that one recurses in C: a hundred thousand
open brackets end the process instead of raising. Anchors and aliases are refused: a few lines of
them can stand for gigabytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 32
"""Lists and mappings inside one another; a caseload needs nine."""

_TOO_DEEP = f"more than {MAX_DEPTH} levels of nesting; check the brackets"

_LINE_DEPTH = 8  # Deeper there are only coordinates, which nobody looks up one by one.

_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class TreeError(ValueError):
    """Text that is no tree of the kind understood here.

    Attributes:
        line: Where, from 1; None when the parser did not say.
    """

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Tree:
    """A value and where its parts stand.

    Attributes:
        value: dict, list, str, int, float, bool or None.
        lines: Line from 1, by the identity of the containing list or mapping and the index or
            key in it.
    """

    value: Any
    lines: dict[tuple[int, int | str], int] = field(default_factory=dict)

    def line_of(self, path: tuple[int | str, ...]) -> int | None:
        """Line of the value at `path`, or of its nearest ancestor that has one."""
        line, value = None, self.value
        for part in path:
            line = self.lines.get((id(value), part), line)
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                break
        return line


class _Builder:
    """Takes events one by one; `value` is the tree when the last one has been taken."""

    def __init__(self) -> None:
        self.value: Any = None
        self.lines: dict[tuple[int, int | str], int] = {}
        self._open: list[Any] = []
        self._key: list[str | None] = []  # per open mapping: the key whose value comes next
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Adds what the event says to the tree."""
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise TreeError(line, "a second document begins here; keep one per file")
        elif isinstance(event, yaml.AliasEvent):
            raise TreeError(line, f"alias *{event.anchor} is not supported; write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _refuse_tag(event.tag, line)
            self._push({} if isinstance(event, yaml.MappingStartEvent) else [], line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._key.pop()

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self._open and isinstance(self._open[-1], dict) and self._key[-1] is None:
            self._begin_entry(event.value, line)
            return
        _refuse_tag(event.tag, line)
        self._add(_plain(event.value) if event.implicit[0] else event.value, line)

    def _begin_entry(self, key: str, line: int) -> None:
        mapping = self._open[-1]
        if key in mapping:
            first = self.lines.get((id(mapping), key))
            where = "" if first is None else f", first on line {first}"
            raise TreeError(line, f"`{key}` stands here twice{where}; remove one")
        self._key[-1] = key
        if len(self._open) <= _LINE_DEPTH:
            self.lines[id(mapping), key] = line

    def _push(self, container: dict[str, Any] | list[Any], line: int) -> None:
        if len(self._open) == MAX_DEPTH:
            raise TreeError(line, _TOO_DEEP)
        self._add(container, line)
        self._open.append(container)
        self._key.append(None)

    def _add(self, value: Any, line: int) -> None:
        if not self._open:
            self.value = value
            return
        parent = self._open[-1]
        if isinstance(parent, list):
            if len(self._open) <= _LINE_DEPTH:
                self.lines[id(parent), len(parent)] = line
            parent.append(value)
            return
        key = self._key[-1]
        if key is None:
            raise TreeError(line, "a list or mapping cannot be a key; check the indentation")
        parent[key] = value
        self._key[-1] = None


def read_tree(text: str) -> Tree:
    """The tree that YAML (or JSON) text stands for.

    Raises:
        TreeError: Not YAML, or YAML that JSON has no words for.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TreeError(None if mark is None else mark.line + 1, f"{error.problem}") from error
    except yaml.YAMLError as error:
        raise TreeError(None, f"not readable as YAML: {error}".replace("\n", " ")) from error
    return Tree(builder.value, builder.lines)


def limit_depth(value: Any) -> None:
    """Holds a tree from elsewhere to `MAX_DEPTH` as well.

    Raises:
        TreeError: It is nested more deeply.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise TreeError(None, _TOO_DEEP)


def _plain(word: str) -> str | int | float | bool | None:
    """The value of a scalar without quotes."""
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        return int(word)
    return float(word) if _FLOAT.fullmatch(word) else word


def _refuse_tag(tag: str | None, line: int) -> None:
    if tag not in {None, "!"}:
        raise TreeError(line, "tags (!...) are not supported; write the value without it")
