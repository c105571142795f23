"""A disk that can lose its power: what is on it, and what was written and not forced there yet.

Nothing is promised here that POSIX does not promise. What a file holds survives once the file was
forced (fsync). A name in a folder, new, changed or gone, survives once the folder was forced; the
two have nothing to do with each other, so a file may have its new name and nothing in it. Of what
was not forced, any part may survive: later without earlier, torn, or as zeros. A rename survives
as a whole or not at all.

That is harder than any real file system. With `journaling` names are kept as ext4, XFS and Btrfs keep
them, whose behaviour PostgreSQL and nats-server rest on: in their order, and none is lost that was
given before anything was forced. What files hold is lost in the same way.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ROOT = 1
FOLDER_MODE, FILE_MODE = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644

TORN_AMONG = 4
"""Of a file's unforced writes one of so many, the newest, is torn."""


class Chooser(Protocol):
    """Decides what a power cut leaves."""

    def pick(self, options: int) -> int:
        """One of so many."""


@dataclass(frozen=True, slots=True)
class Write:
    """A part of a file, written and not forced; with no data: the file was cut or stretched."""

    at: int
    data: bytes | None


@dataclass(slots=True)
class Node:
    """A file, a folder or a socket. `forced` is what is on the disk, the others what programs see.

    Attributes:
        data, entries: Of a file, or of a folder: names and numbers of nodes.
        unforced: What was written since a file was forced, in order.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    data: bytearray = field(default_factory=bytearray)
    forced: bytearray = field(default_factory=bytearray)
    unforced: list[Write] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    forced_entries: dict[str, int] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


Edit = tuple[int, str, int]
"""In this folder this name is of that node now; 0: of none."""


class Disk:
    """See the module.

    Args:
        recording: Keep each change in `log`, so that `replayed` can go back to any moment.
        journaling: See the module.
    """

    def __init__(self, *, recording: bool = False, journaling: bool = False) -> None:
        self.nodes: dict[int, Node] = {ROOT: Node(FOLDER_MODE)}
        self.renamings: list[list[Edit]] = []
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self.journaling = journaling
        self._recording = recording
        self._next = ROOT + 1

    def _note(self, name: str, *values: Any) -> None:
        if self._recording:
            self.log.append((name, values))

    # -- what programs do -------------------------------------------------------------------

    def make(self, folder: int, name: str, mode: int, uid: int = 0, gid: int = 0) -> int:
        """A new file, folder or socket."""
        self._note("make", folder, name, mode, uid, gid)
        number, self._next = self._next, self._next + 1
        self.nodes[number] = Node(mode, uid, gid)
        self._edit([(folder, name, number)])
        return number

    def link(self, folder: int, name: str, number: int) -> None:
        """Another name."""
        self._note("link", folder, name, number)
        self._edit([(folder, name, number)])

    def remove(self, folder: int, name: str) -> None:
        """Take a name away."""
        self._note("remove", folder, name)
        self._edit([(folder, name, 0)])

    def rename(self, folder: int, name: str, to_folder: int, to_name: str) -> None:
        """Another name instead of this one, which takes the place of what has it."""
        self._note("rename", folder, name, to_folder, to_name)
        number = self.nodes[folder].entries[name]
        self._edit([(folder, name, 0), (to_folder, to_name, number)])

    def write(self, number: int, at: int, data: bytes) -> None:
        """Write into a file."""
        self._note("write", number, at, data)
        self._write(number, Write(at, data))

    def resize(self, number: int, size: int) -> None:
        """Cut or stretch a file."""
        self._note("resize", number, size)
        self._write(number, Write(size, None))

    def force(self, number: int) -> None:
        """Force a file or a folder (fsync, fdatasync)."""
        self._note("force", number)
        node = self.nodes[number]
        for one in node.unforced:
            _apply(node.forced, one)
        node.unforced.clear()
        if node.is_folder or self.journaling:
            kept = []
            for renaming in self.renamings:
                if self.journaling or any(folder == number for folder, _, _ in renaming):
                    _rename(self.nodes, renaming)
                else:
                    kept.append(renaming)
            self.renamings = kept

    def _write(self, number: int, write: Write) -> None:
        node = self.nodes[number]
        _apply(node.data, write)
        node.unforced.append(write)

    def _edit(self, edits: list[Edit]) -> None:
        for folder, name, number in edits:
            entries = self.nodes[folder].entries
            entries.pop(name, None)
            if number:
                entries[name] = number
        self.renamings.append(edits)

    def unforced(self, folder: int = ROOT, path: str = "") -> list[str]:
        """Paths of the files of which something was not forced yet."""
        found = []
        for name, number in self.nodes[folder].entries.items():
            if self.nodes[number].unforced:
                found.append(f"{path}/{name}")
            found += self.unforced(number, f"{path}/{name}")
        return found

    # -- what becomes of it -------------------------------------------------------------------

    def replayed(self, count: int) -> Disk:
        """The disk as it was after the first `count` changes."""
        disk = Disk(journaling=self.journaling)
        for name, values in self.log[:count]:
            getattr(disk, name)(*values)
        return disk

    def after_cut(self, chooser: Chooser) -> Disk:
        """A disk as a power cut now may leave it.

        Args:
            chooser: Decides what of the rest survives; always 0: nothing of it.
        """
        left = Disk(journaling=self.journaling)
        left._next = self._next
        for number, node in self.nodes.items():
            entries = dict(node.forced_entries)
            left.nodes[number] = Node(
                node.mode, node.uid, node.gid, node.mtime_ns, forced_entries=entries
            )
        order = chooser.pick(len(self.renamings) + 1) if self.journaling else 0
        for index, renaming in enumerate(self.renamings):
            if index < order if self.journaling else chooser.pick(2):
                _rename(left.nodes, renaming)
        for number in left.reachable():
            node = self.nodes[number]
            content = _survived(node, chooser)
            left.nodes[number].data, left.nodes[number].forced = content, bytearray(content)
        left.nodes = {number: left.nodes[number] for number in left.reachable()}
        for node in left.nodes.values():
            node.entries = dict(node.forced_entries)
        return left

    def reachable(self) -> list[int]:
        """Nodes that have a name on the disk."""
        found, waiting = dict.fromkeys([ROOT]), [ROOT]
        while waiting:
            inner = sorted(self.nodes[waiting.pop()].forced_entries.values())
            waiting += [number for number in inner if number not in found]
            found |= dict.fromkeys(inner)
        return list(found)

    # -- to and from real folders ---------------------------------------------------------------

    @classmethod
    def of(cls, folder: Path, *, journaling: bool = False) -> Disk:
        """A disk with what stands in a folder, all of it forced."""
        disk = cls(journaling=journaling)
        disk._load(folder, ROOT)
        for number in disk.nodes:
            disk.force(number)
        return disk

    def _load(self, path: Path, number: int) -> None:
        node, there = self.nodes[number], path.stat()
        node.mode, node.uid, node.gid = there.st_mode, there.st_uid, there.st_gid
        if not node.is_folder:
            self.write(number, 0, path.read_bytes())
            return
        for inner in sorted(path.iterdir()):
            if inner.is_dir() or inner.is_file():
                self._load(inner, self.make(number, inner.name, inner.stat().st_mode))

    def save(self, folder: Path, number: int = ROOT) -> None:
        """Write what programs see into a real folder, which is made."""
        folder.mkdir()
        for name, inner in self.nodes[number].entries.items():
            node = self.nodes[inner]
            if node.is_folder:
                self.save(folder / name, inner)
            else:
                (folder / name).write_bytes(node.data)
                (folder / name).chmod(stat.S_IMODE(node.mode))


def _apply(content: bytearray, write: Write) -> None:
    if write.data is None:
        del content[write.at :]
    if len(content) < write.at:
        content.extend(bytes(write.at - len(content)))
    if write.data is not None:
        content[write.at : write.at + len(write.data)] = write.data


def _rename(nodes: dict[int, Node], edits: list[Edit]) -> None:
    for folder, name, number in edits:
        entries = nodes[folder].forced_entries
        entries.pop(name, None)
        if number:
            entries[name] = number


def _survived(node: Node, chooser: Chooser) -> bytearray:
    """What is in a file afterwards: nothing new, all, zeros, a part, or the newest alone."""
    content = bytearray(node.forced)
    if not node.unforced:
        return content
    how = chooser.pick(5)
    if how == 1:
        return bytearray(node.data)
    if how == 2:
        return content.ljust(len(node.data), b"\0")
    if how == 3:  # up to one that is torn
        newest = min(len(node.unforced), TORN_AMONG)
        at = len(node.unforced) - 1 - chooser.pick(newest)
        for one in node.unforced[:at]:
            _apply(content, one)
        torn = node.unforced[at]
        _apply(content, Write(torn.at, torn.data and torn.data[: len(torn.data) // 2]))
    if how == 4:
        _apply(content, node.unforced[-1])
    return content


class Every:
    """Makes all choices one after the other: `for chooser in Every.all(limit): ...`."""

    def __init__(self, path: list[list[int]]) -> None:
        self._path = path
        self._at = 0

    def pick(self, options: int) -> int:
        if self._at == len(self._path):
            self._path.append([0, options])
        self._at += 1
        return self._path[self._at - 1][0]

    @classmethod
    def all(cls) -> Iterator[Every]:
        """One chooser per combination; each must be used up before the next is taken."""
        path: list[list[int]] = []
        while True:
            yield cls(path)
            while path and path[-1][0] + 1 == path[-1][1]:
                path.pop()
            if not path:
                return
            path[-1][0] += 1
