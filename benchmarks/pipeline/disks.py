"""Disks that are small, full or failing, for runs and tests that break them."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL, POSIX = (Path(f"/usr/lib/fiu/fiu_{name}_preload.so") for name in ("run", "posix"))
"""What `fiu-run -x` has a program load before everything else (libfiu, package fiu-utils)."""

FILL_BYTES = 1024 * 1024
EIO = 5


class NoSmallDiskError(OSError):
    """This machine does not let us mount one."""


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A folder on a disk of its own, in memory.

    Raises:
        NoSmallDiskError: It cannot be mounted here: only root can, and not in every container.
    """
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount") or "/bin/mount"
    options = ["-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "cordon-faults", str(folder)]
    done = subprocess.run([mount, *options], check=False, capture_output=True, text=True)  # noqa: S603 - our own words
    if done.returncode:
        raise NoSmallDiskError(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        umount = shutil.which("umount") or "/bin/umount"
        subprocess.run([umount, "--lazy", str(folder)], check=True)  # noqa: S603 - as above


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte is left on the folder's disk inside the block; then there is room again."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(FILL_BYTES))
        yield
    finally:
        ballast.unlink()


class FailingWrites:
    """Has the writes of programs fail with EIO, by libfiu.

    Whatever is started inside `prepared` can be made to fail, as under `fiu-run -x`, and so can what
    it starts itself. A program that is linked statically (nats-server) loads nothing beforehand, and
    is not reached. What libfiu has loaded is a copy that prefers its own functions: it has some of
    the same names as PostgreSQL (`hash_create`), would call PostgreSQL's, and crash.

    Args:
        folder: For the pipes by which a program is told; the program must be able to write there.
    """

    FAILING = ("posix/io/rw/write", "posix/io/rw/pwrite", "posix/io/sync/fsync")

    def __init__(self, folder: Path) -> None:
        self._prefix = folder / "fiu"
        self._preloaded = folder / POSIX.name

    @staticmethod
    def missing() -> str:
        """Why it does not work here; empty: it does."""
        if CONTROL.exists() and POSIX.exists() and shutil.which("fiu-ctrl"):
            return ""
        return "libfiu is not installed (Debian: fiu-utils)"

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Programs that are started inside can be made to fail."""
        self._preloaded.write_bytes(preferring_its_own(POSIX.read_bytes()))
        self._preloaded.chmod(0o755)
        names = {
            "LD_PRELOAD": f"{CONTROL} {self._preloaded}",
            "FIU_CTRL_FIFO": str(self._prefix),
            "FIU_ENABLE": "",
        }
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def begin(self, pid: int) -> None:
        """From now on writes of this process, and of its children, fail."""
        commands = [f"enable name={name},failinfo={EIO}" for name in self.FAILING]
        self._tell(pid, commands)

    def end(self, pid: int) -> None:
        """They succeed again, where the process still lives."""
        self._tell(pid, [f"disable name={name}" for name in self.FAILING])

    def _tell(self, pid: int, commands: list[str]) -> None:
        control = shutil.which("fiu-ctrl") or "/usr/bin/fiu-ctrl"
        words = [word for command in commands for word in ("-c", command)]
        # Children first: one that is started meanwhile by the parent has what the parent had.
        for one in (pid, *children_of(pid), pid):
            if Path(f"{self._prefix}-{one}.in").exists():
                subprocess.run(  # noqa: S603 - our own words
                    [control, "-f", str(self._prefix), *words, str(one)],
                    check=False,
                    capture_output=True,
                    timeout=10,
                )


_HEADERS_AT, _HEADER_SIZE_AT = 32, 54
_DYNAMIC = 2
_RELATIVE_COUNT, _SYMBOLIC = 0x6FFFFFF9, 16
_ENTRY = struct.Struct("<qQ")


def preferring_its_own(library: bytes) -> bytes:
    """A shared library (ELF, 64 bits) that looks for names in itself before elsewhere.

    The entry DT_SYMBOLIC takes the place of DT_RELACOUNT, which only speeds up its loading.
    """
    data = bytearray(library)
    (start,) = struct.unpack_from("<Q", data, _HEADERS_AT)
    size, count = struct.unpack_from("<HH", data, _HEADER_SIZE_AT)
    for header in range(start, start + count * size, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, header)
        if kind != _DYNAMIC:
            continue
        for at in range(offset, offset + length, _ENTRY.size):
            if _ENTRY.unpack_from(data, at)[0] == _RELATIVE_COUNT:
                _ENTRY.pack_into(data, at, _SYMBOLIC, 0)
    return bytes(data)


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that still run."""
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in thread.read_text().split()]
    return found
