"""Reads a caseload file, JSON or YAML, and says everything that is wrong with it at once."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from devices import rules
from devices.canonical import merged
from devices.caseload import Agency, Assignment, Caseload, Condition, Device, Order, Person
from devices.problems import CaseloadError, Problem
from devices.yaml_tree import Tree, TreeError, limit_depth, read_tree

__all__ = ["MAX_FILE_BYTES", "CaseloadError", "Problem", "read_caseload"]

MAX_FILE_BYTES = 32 * 2**20
"""Room for some 50,000 orders; a larger file is more likely the wrong one."""

_SECTIONS: dict[str, Any] = {
    "agencies": Agency,
    "people": Person,
    "devices": Device,
    "assignments": Assignment,
    "orders": Order,
}

_WHERE = re.compile(r"(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")

_ALLOWED = {
    "days": "one of mon, tue, wed, thu, fri, sat, sun",
    "kind": "one of tag, handset, home_unit",
    "role": "one of wearer, protected",
    "type": "one of proximity, exclusion, inclusion",
}
_TIME = "write an instant with its offset, like 2026-11-23T18:00:00Z or 2026-11-23T19:00:00+01:00"
_LOCAL = "write a local time as hours and minutes, like 07:30 (24:00 is the end of the day)"
_ID = "use 1 to 64 letters, digits, - or _, beginning with a letter or digit"
_ADVICE = (
    ("datetime", _TIME),
    ("[0-5][0-9]$", _LOCAL),
    ("{0,63}$", _ID),
    ("[a-z]{2}", "write a language code like en or en-GB"),
    ("`str`, got `int`", "put it in quotes"),
    ("`str`, got `float`", "put it in quotes"),
    ("<= 50000.0", "it is in metres and may be 50 km at most; make it smaller"),
    ("`float`, got `str`", "write a number without quotes or unit"),
    ("got `null`", "give a value, or leave the field out if it is optional"),
)

_NOTHING = Caseload()

Path = tuple[int | str, ...]


def read_caseload(data: bytes, name: str, below: Caseload = _NOTHING) -> Caseload:
    """The caseload in a file.

    Args:
        data: The file's bytes, UTF-8.
        name: The file's name, for messages. ``.json`` is read as JSON, ``.yaml`` and ``.yml`` as
            YAML; with any other ending the first character decides.
        below: What the file is going to be merged on top of; it may refer to anything in there.

    Returns:
        What the file says, without what is below.

    Raises:
        CaseloadError: With all problems found. What the schema says comes first; references,
            periods and geometry are looked at once every field is of the right kind.
    """
    text = _decode(data, name)
    is_json = name.endswith(".json") or (
        not name.endswith((".yaml", ".yml")) and text.lstrip().startswith(("{", "["))
    )
    try:
        tree = _read_json(text) if is_json else read_tree(text)
    except TreeError as error:
        raise CaseloadError(name, [Problem(error.line, "", str(error))]) from error
    caseload, problems = _convert(tree.value)
    if caseload is not None:
        problems = rules.check(merged(below, caseload))
    if caseload is None or problems:
        lines = _with_lines(text) if is_json else tree
        raise CaseloadError(name, [_located(problem, lines) for problem in problems])
    return caseload


def _decode(data: bytes, name: str) -> str:
    """The file as text.

    Raises:
        CaseloadError: Too large, not UTF-8, or empty.
    """
    if len(data) > MAX_FILE_BYTES:
        limit = f"{len(data):,} bytes; a caseload file may have {MAX_FILE_BYTES:,}"
        raise CaseloadError(name, [Problem(None, "", f"{limit}; split it and load the parts")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaseloadError(name, [Problem(line, "", "not UTF-8; save it as UTF-8")]) from error
    if not text.strip():
        advice = "the file is empty; an empty caseload is written {}"
        raise CaseloadError(name, [Problem(None, "", advice)])
    return text


def _read_json(text: str) -> Tree:
    """The JSON tree, without lines: they are looked up only when something is wrong.

    Raises:
        TreeError: Not JSON, or JSON that reads differently in different programs.
    """
    try:
        value = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse_constant)
    except TreeError as error:
        raise _placed(error, text) from error
    except json.JSONDecodeError as error:
        raise TreeError(error.lineno, f"not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise TreeError(None, "nesting or a number beyond all bounds") from error
    limit_depth(value)
    return Tree(value)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise TreeError(None, f"`{key}` stands twice in one object; remove one")
        mapping[key] = value
    return mapping


def _refuse_constant(word: str) -> None:
    raise TreeError(None, f"{word} is not a number that JSON knows; write a finite number")


def _placed(error: TreeError, text: str) -> TreeError:
    """The same complaint with its line, which the JSON parser's hooks are not told."""
    try:
        read_tree(_without_tabs(text))
    except TreeError as located:
        return located if "stands here twice" in str(located) else error
    return error


def _with_lines(text: str) -> Tree:
    """Lines of a JSON text; JSON is all but a subset of YAML, so the same reader finds them."""
    try:
        return read_tree(_without_tabs(text))
    except TreeError:
        return Tree(None)


def _without_tabs(text: str) -> str:
    # JSON may be indented with tabs and YAML may not; in JSON strings they cannot stand anyway.
    return text.replace("\t", " ")


def _convert(value: Any) -> tuple[Caseload | None, list[Problem]]:
    """The caseload, or what the schema has against it."""
    try:
        return msgspec.convert(value, Caseload), []
    except msgspec.ValidationError as error:
        return None, _schema_problems(value) or [_problem((), str(error))]


def _schema_problems(value: Any) -> list[Problem]:
    """One problem per item at most: msgspec stops at the first, so items are tried singly."""
    if not isinstance(value, dict):
        return _attempt((), value, Caseload)
    problems = []
    for section, items in value.items():
        kind = _SECTIONS.get(section)
        if kind is None or not isinstance(items, list):
            problems += _attempt((), {section: items}, Caseload)
            continue
        for number, item in enumerate(items):
            problems += _item_problems((section, number), item, kind)
    return problems


def _item_problems(path: Path, item: Any, kind: Any) -> list[Problem]:
    problems = []
    if kind is Order and isinstance(item, dict) and isinstance(item.get("conditions"), list):
        for number, condition in enumerate(item["conditions"]):
            problems += _attempt((*path, "conditions", number), condition, Condition)
        item = item | {"conditions": []}
    return _attempt(path, item, kind) + problems


def _attempt(path: Path, value: Any, kind: Any) -> list[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [_problem(path, str(error))]
    return []


def _problem(path: Path, text: str) -> Problem:
    """The sentence of msgspec as a problem, with what to do about it."""
    match = _WHERE.fullmatch(text)
    what, inner = (text, "") if match is None else (match["what"], match["path"] or "")
    path = (*path, *_parts(inner))
    if missing := _MISSING.fullmatch(what):
        return Problem(None, _field((*path, missing[1])), "is missing; add it")
    if unknown := _UNKNOWN.fullmatch(what):
        message = "is not a field known here; correct its name or remove it"
        return Problem(None, _field((*path, unknown[1])), message)
    return Problem(None, _field(path), _advised(what, path))


def _advised(what: str, path: Path) -> str:
    last = next((part for part in reversed(path) if isinstance(part, str)), "")
    if what.startswith("Invalid ") and last in _ALLOWED:
        return f"{what[0].lower()}{what[1:]}; write {_ALLOWED[last]}"
    advice = next((advice for sign, advice in _ADVICE if sign in what), "")
    if "matching regex" in what:
        return advice
    what = what[0].lower() + what[1:].replace("`", "")
    return f"{what}; {advice}" if advice else what


def _parts(path: str) -> Path:
    return tuple(int(index) if index else name for index, name in _PART.findall(path))


def _field(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _located(problem: Problem, tree: Tree) -> Problem:
    path = _parts(problem.field)
    if len(path) > 1 and isinstance(path[1], int) and not _is_in_file(path[0], path[1], tree):
        message = f"{problem.message} (this is about what is in force already)"
        return Problem(None, problem.field, message)
    return Problem(tree.line_of(path), problem.field, problem.message)


def _is_in_file(section: int | str, number: int, tree: Tree) -> bool:
    """Whether an item stands in the file itself, not in what it is merged with."""
    return tree.value is None or number < len(tree.value.get(section, ()))
