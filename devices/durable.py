"""Files that are there after a power cut: the one way to write what must not be lost.

What was written and not forced to the disk is gone with the power. So is a file's name, if its
folder was not forced, and a folder's own name in the one above it. A rename that is forced before
what it names leaves a file with its new name and nothing in it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SECRET_MODE = 0o600


def write_durably(path: Path, data: bytes, mode: int = SECRET_MODE) -> None:
    """Replace a file so that a crash leaves the old content or the new, on disk when this returns.

    Args:
        path: The file. Its folder is there, and its name on disk; see `make_durable_folder`.
        data: The new content.
        mode: Who may read it. Nobody else could meanwhile.

    Raises:
        OSError: The disk refuses. What is on it then is not known: do not go on.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)  # one with other rights would keep them
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    force(path.parent)


def read_settled(path: Path) -> bytes:
    """The content of a file, forced to the disk: what is acted on must not be undone by a power cut.

    Whoever wrote it may have been stopped before forcing it.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read, or the disk refuses.
    """
    force(path)
    with contextlib.suppress(PermissionError):  # then others put it there
        force(path.parent)
    return path.read_bytes()


def make_durable_folder(folder: Path) -> None:
    """Make a folder, if it is not there, and force its name and those above it to the disk.

    Those that are there, too: whoever made them may have been stopped before forcing them. Folders
    above that this user cannot read were made by somebody else, who has to see to it.

    Raises:
        OSError: The disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    disk = folder.stat().st_dev
    for above in folder.parents:
        if above.stat().st_dev != disk:
            break
        with contextlib.suppress(PermissionError):
            force(above)


def force(path: Path) -> None:
    """Force a file's content, or the names in a folder, to the disk.

    Raises:
        OSError: The disk refuses.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def force_all(folder: Path) -> None:
    """Force a folder to the disk, with all that is in it.

    Raises:
        OSError: The disk refuses.
    """
    for path in folder.rglob("*"):
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            force(path)
    force(folder)
