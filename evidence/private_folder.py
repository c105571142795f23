"""A folder that nobody but its owner reads: for what is taken out of the record."""

from __future__ import annotations

from pathlib import Path

from devices.durable import make_durable_folder

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
