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


FAILING = ("posix/io/rw/pwrite", "posix/io/sync/fsync", "posix/io/sync/fdatasync")
SHARE = 0.05


def libfiu_missing() -> str:
    """Why writes cannot be made to fail here; empty: they can."""
    if CONTROL.exists() and POSIX.exists():
        return ""
    return "libfiu is not installed (Debian: fiu-utils)"


@contextmanager
def failing_writes(folder: Path) -> Iterator[None]:
    """Of programs started inside, and of their children, one write in twenty fails with EIO.

    As under `fiu-run -x`. A program that is linked statically (nats-server) loads nothing beforehand,
    and is not reached. What is loaded is a copy of libfiu's library that prefers its own functions:
    some have names that PostgreSQL's have, too (`hash_create`), and it would call those and crash.
    Its remote control is left out: the thread behind it takes signals that PostgreSQL waits for.

    Args:
        folder: For the copy; the programs must be able to read it.
    """
    library = folder / POSIX.name
    library.write_bytes(preferring_its_own(POSIX.read_bytes()))
    library.chmod(0o755)
    orders = [f"enable_random name={name},probability={SHARE},failinfo={EIO}" for name in FAILING]
    names = {
        "LD_PRELOAD": f"{CONTROL} {library}",
        "FIU_CTRL_FIFO": "",
        "FIU_ENABLE": "\n".join(orders),
    }
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


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
