"""Jurisdiction profiles: what a level means, whom it tells and in which words, as data.

The engine says how near it is (a level); a profile says how much that matters (a tier), whether the
protected person's handset is told, what staff do, and who is asked when nobody acts. Profiles are
TOML files, checked whole when they are read: one that is wrong anywhere is refused with every problem
named and its line, since half a policy is worse than yesterday's.

A profile may say ``extends = "default"``: it then has all that the other one has, but for what it says
itself, table by table. Lists are not mixed: whoever writes one writes it whole.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from alerts.conduct_rules import ConductRules
from alerts.errors import ProfileError
from alerts.escalation_rules import EscalationRule
from alerts.model import Alert
from alerts.profile_checks import problems_of
from alerts.profile_rules import (
    ANOMALIES,
    DEFAULT,
    DEFAULT_LANGUAGE,
    EVENTS,
    LEVELS,
    REQUIRED_EVENTS,
    RETURNED,
    WATCHED,
    AnomalyRule,
    EventRule,
    HealthRule,
    LevelRule,
    Profile,
    Role,
    Words,
)
from alerts.toml_lines import TomlLines
from geofence.sensitivity import Sensitivity

__all__ = [
    "ANOMALIES",
    "DEFAULT",
    "DEFAULT_LANGUAGE",
    "EVENTS",
    "LEVELS",
    "REQUIRED_EVENTS",
    "RETURNED",
    "WATCHED",
    "AnomalyRule",
    "EventRule",
    "HealthRule",
    "LevelRule",
    "Profile",
    "ProfileCounts",
    "Profiles",
    "Role",
    "Words",
    "load_profiles",
    "parse_profile",
]

UNKNOWN_NAMES_LIMIT = 100
"""Names of missing profiles kept to be shown; more are only counted."""

EXTENDS = "extends"
BASES_LIMIT = 5
"""So many profiles may extend each other in a row."""

Document = dict[str, Any]

_INDEX = re.compile(r"\[[0-9.]*\]")
_STRANGER = re.compile(r"unknown name '([^']+)'")

_PARTS: tuple[tuple[str, int, type], ...] = (
    ("levels", 2, LevelRule),
    ("events", 1, EventRule),
    ("anomalies", 1, AnomalyRule),
    ("health", 1, HealthRule),
    ("escalation", 1, EscalationRule),
    ("conduct", 0, ConductRules),
    ("texts", 3, Words),
)
"""Tables whose entries have a shape: where, how deep below, and which."""


def parse_profile(data: bytes, file: str, bases: Mapping[str, Document] | None = None) -> Profile:
    """The profile in the bytes of a TOML file.

    Args:
        data: The file's content.
        file: Its name, for the messages.
        bases: By name, the documents that it may extend; None takes those shipped.

    Raises:
        ProfileError: It is not TOML, does not have the shape, or contradicts itself. Every problem
            is named, with the line of the file.
    """
    own = _document(data, file)
    known = _shipped() if bases is None and EXTENDS in own else bases or {}
    whole = _extended(own, file, known)
    lines = TomlLines(data.decode("utf-8"))
    try:
        profile = msgspec.convert(whole, Profile)
    except msgspec.ValidationError as error:
        shape = tuple(_shape_problems(whole)) or (_shape_problem("", error),)
        raise ProfileError(file, _with_lines(shape, lines)) from error
    problems = tuple(problems_of(profile))
    if problems:
        raise ProfileError(file, _with_lines(problems, lines))
    return profile


def _document(data: bytes, file: str) -> Document:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(file, (str(error),)) from error


def _extended(own: Document, file: str, bases: Mapping[str, Document], depth: int = 0) -> Document:
    """A document with all that those it extends have, but for what it says itself."""
    base = own.get(EXTENDS)
    if base is None:
        return own
    if base not in bases or depth >= BASES_LIMIT:
        known = ", ".join(sorted(bases))
        raise ProfileError(file, (f"{EXTENDS}: there is no profile {base!r}; known are {known}",))
    below = _extended(bases[str(base)], file, bases, depth + 1)
    return _merged(below, {key: value for key, value in own.items() if key != EXTENDS})


def _merged(below: Document, above: Document) -> Document:
    made = dict(below)
    for key, value in above.items():
        known = made.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            made[key] = _merged(known, value)
        else:
            made[key] = value
    return made


def _shape_problems(document: Document) -> Iterator[str]:
    """Each entry by itself, so that its path is known and all problems are named at once."""
    for table, depth, shape in _PARTS:
        for path, value in _entries(document.get(table, {}), table, depth):
            try:
                msgspec.convert(value, shape)
            except msgspec.ValidationError as error:
                yield _shape_problem(path, error)


def _entries(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth == 0:
        yield path, value
        return
    pairs = value if isinstance(value, dict) else {}
    if isinstance(value, list):
        pairs = {str(index): item for index, item in enumerate(value)}
    for key, below in pairs.items():
        yield from _entries(below, f"{path}.{key}", depth - 1)


def _shape_problem(path: str, error: msgspec.ValidationError) -> str:
    text, _, where = str(error).partition(" - at `$")
    field_path = _INDEX.sub("", where.rstrip("`"))
    return f"{path}{field_path}".lstrip(".") + f": {text}"


def _with_lines(problems: Iterable[str], lines: TomlLines) -> tuple[str, ...]:
    return tuple(_with_line(problem, lines) for problem in problems)


def _with_line(problem: str, lines: TomlLines) -> str:
    path = problem.partition(":")[0]
    stranger = _STRANGER.search(problem)
    line = lines.of(path if stranger is None else f"{path}.{stranger[1]}")
    return problem if line is None else f"line {line}: {problem}"


@dataclass(slots=True)
class ProfileCounts:
    """What the profiles have seen.

    Attributes:
        fallbacks: How often an order named a profile that is not there.
    """

    fallbacks: int = 0


@dataclass(slots=True)
class Profiles:
    """The profiles of a site, the default among them.

    An order that names a profile which is not there is served by the default, since no policy at
    all would be worse. It does not go unseen: it is counted, `unknown` has the name, and the
    alert's own `profile` field says which one was used.

    Attributes:
        by_name: All profiles by their names.
        unknown: Names asked for that are not there, at most `UNKNOWN_NAMES_LIMIT`.
    """

    by_name: Mapping[str, Profile]
    counts: ProfileCounts = field(default_factory=ProfileCounts)
    unknown: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if DEFAULT not in self.by_name:
            raise ProfileError(DEFAULT, ("is missing; it serves every order without one",))

    @property
    def sensitivities(self) -> dict[str, Sensitivity]:
        """By the names of the profiles, what their watches go by."""
        return {name: profile.sensitivity for name, profile in self.by_name.items()}

    def replace(self, others: Profiles) -> None:
        """Go by others from now on. What was decided keeps the tier it has until it changes."""
        self.by_name = others.by_name

    def find(self, name: str) -> Profile:
        """The profile of this name, or the default."""
        found = self.by_name.get(name)
        if found is not None:
            return found
        self.counts.fallbacks += 1
        if len(self.unknown) < UNKNOWN_NAMES_LIMIT:
            self.unknown.add(name)
        return self.by_name[DEFAULT]

    def of_alert(self, alert: Alert) -> Profile:
        """The profile that an alert was made under, in its present version."""
        return self.by_name.get(alert.profile.partition("@")[0], self.by_name[DEFAULT])


def load_profiles(folder: Path | None = None) -> Profiles:
    """The shipped profiles, and those of a site's own folder, which win over them by name.

    Raises:
        ProfileError: One of them cannot be used, or two files of the folder have one name.
        OSError: The folder cannot be read.
    """
    shipped = _shipped()
    own = _by_name((item.name, item.read_bytes()) for item in _files(folder))
    bases = dict(shipped)
    for name, (file, _, document) in own.items():
        # One that extends the shipped profile of its own name stands in that one's place.
        is_itself = document.get(EXTENDS) == name
        bases[name] = _extended(document, file, shipped) if is_itself else document
    profiles = {name: _profile(document, name, bases) for name, document in shipped.items()}
    for name, (file, data, _) in own.items():
        profiles[name] = parse_profile(data, file, bases)
    return Profiles(profiles)


def _files(folder: Path | None) -> list[Path]:
    found = [] if folder is None else sorted(folder.iterdir())
    return [item for item in found if item.name.endswith(".toml")]


def _shipped() -> dict[str, Document]:
    folder = resources.files("alerts") / "profiles"
    files = ((item.name, item.read_bytes()) for item in folder.iterdir())
    return {name: document for name, (_, _, document) in _by_name(files).items()}


def _profile(document: Document, file: str, bases: Mapping[str, Document]) -> Profile:
    profile = msgspec.convert(_extended(document, file, bases), Profile)
    problems = tuple(problems_of(profile))
    if problems:
        raise ProfileError(file, problems)
    return profile


def _by_name(files: Iterable[tuple[str, bytes]]) -> dict[str, tuple[str, bytes, Document]]:
    found: dict[str, tuple[str, bytes, Document]] = {}
    for file, data in files:
        if not file.endswith(".toml"):
            continue
        document = _document(data, file)
        name = str(document.get("name", ""))
        if name in found:
            raise ProfileError(file, (f"name: {name!r} is used by another file, too",))
        found[name] = (file, data, document)
    return found
