"""A `Disk` mounted over a folder, in a process of its own, and a power cut at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.power.disk import Disk
from tests.power.fuse import NoLossyDiskError, Server, mount, unmount

START_LIMIT_S = 30


class Chance:
    """A chooser that draws lots, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, options: int) -> int:
        return self._random.randrange(options)


class Nothing:
    """A chooser by whom nothing survives that was not forced."""

    def pick(self, _options: int) -> int:
        return 0


class LossyDisk:
    """The hand on the switch; see `lossy_disk`."""

    def __init__(self, folder: Path, control: Connection) -> None:
        self.folder = folder
        self._control = control

    def changes(self) -> int:
        """How many changes were recorded so far."""
        return int(self._ask("changes"))

    def unforced(self) -> list[str]:
        """Paths of the files of which something was not forced yet."""
        found = self._ask("unforced")
        assert isinstance(found, list)
        return found

    def disk(self) -> Disk:
        """What is there now, with the record of its changes."""
        found = self._ask("disk")
        assert isinstance(found, Disk)
        return found

    def cut(self, after: int = 0) -> None:
        """Lose the power now, or after so many more changes: then nothing is read or written."""
        self._ask("cut", after)

    def bring_back(self, seed: int | None = None) -> None:
        """Mount what is left, when everybody who used it is gone. No seed: only what was forced."""
        unmount(self.folder)
        self._ask("back", seed)

    def _ask(self, *words: Any) -> Any:
        self._control.send(words)
        if not self._control.poll(START_LIMIT_S):
            raise TimeoutError(f"the disk does not answer to {words[0]}")
        answer = self._control.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def lossy_disk(
    folder: Path, *, recording: bool = False, journaling: bool = False
) -> Iterator[LossyDisk]:
    """A disk over a folder, with what stands there, all of it forced.

    Args:
        folder: Where. As it was, afterwards.
        recording: See `Disk`. A record begins with an empty folder.
        journaling: See `Disk`.

    Raises:
        NoLossyDiskError: It cannot be mounted here.
    """
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.power.mounted", str(folder), str(theirs.fileno())]
    process = subprocess.Popen(
        [*command, str(int(recording)), str(int(journaling))],
        pass_fds=[theirs.fileno()],
        cwd=Path(__file__).parents[2],
    )
    theirs.close()
    disk = LossyDisk(folder, Connection(ours.detach()))
    try:
        disk._ask("ready")
        yield disk
    finally:
        unmount(folder)
        process.kill()
        process.wait()
        disk._control.close()


def serve(folder: Path, control: Connection, *, recording: bool, journaling: bool) -> None:
    """The process behind it."""
    disk = Disk(recording=True) if recording else Disk.of(folder, journaling=journaling)
    try:
        device = mount(folder)
    except NoLossyDiskError as error:
        control.recv()
        control.send(error)
        return
    server = Server(device, disk)
    with selectors.DefaultSelector() as selector:
        selector.register(device, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    words = control.recv()
                    if words[0] == "back":
                        with contextlib.suppress(KeyError):  # it has noticed already
                            selector.unregister(device)
                        os.close(device)
                        device, server = _back(folder, server.disk, *words[1:])
                        selector.register(device, selectors.EVENT_READ)
                    control.send(_answer(server, *words))
                elif key.fileobj == device and not server.step():
                    selector.unregister(device)


def _back(folder: Path, disk: Disk, seed: int | None) -> tuple[int, Server]:
    left = disk.after_cut(Nothing() if seed is None else Chance(seed))
    device = mount(folder)
    return device, Server(device, left)


def _answer(server: Server, word: str, *values: Any) -> Any:
    if word == "changes":
        return len(server.disk.log)
    if word == "unforced":
        return server.disk.unforced()
    if word == "disk":
        return server.disk
    if word == "cut":
        server.lives = values[0]
    return True


if __name__ == "__main__":
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        serve(
            Path(sys.argv[1]),
            Connection(int(sys.argv[2])),
            recording=sys.argv[3] == "1",
            journaling=sys.argv[4] == "1",
        )
