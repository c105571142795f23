"""A folder that nobody but its owner reads: for what is taken out of the record."""

from __future__ import annotations

import shutil
from pathlib import Path

from devices.durable import force, make_durable_folder

MODE = 0o700


def make_private(folder: Path) -> None:
    """Make it, or take one that is empty.

    Raises:
        FileExistsError: It holds something. It is left as it was.
        OSError: It cannot be made, or is somebody else's.
    """
    folder.mkdir(mode=MODE, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    folder.chmod(MODE)  # of one that was there, too
    make_durable_folder(folder)


def empty(folder: Path) -> None:
    """Remove all that stands in it, so that it is gone after a power cut, too. The folder stays.

    Raises:
        OSError: Something cannot be removed, or the disk refuses: it may still be there.
    """
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    force(folder)
