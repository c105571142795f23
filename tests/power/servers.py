"""An embedded PostgreSQL whose data lies on a lossy disk, and a power cut to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cordon.embedded.postgres import EmbeddedPostgres
from tests.power.mounted import LossyDisk, lossy_disk

GONE_LIMIT_S = 20.0


@contextmanager
def postgres_on_a_lossy_disk(
    server: EmbeddedPostgres,
) -> Iterator[LossyDisk]:
    """Move the data of a server, which runs, onto a lossy disk. It runs again inside.

    Raises:
        NoLossyDiskError: None can be mounted here.
    """
    server.stop()
    with lossy_disk(server.directory / "data", journaling=True) as disk:
        server.start()
        try:
            yield disk
        finally:
            _kill_all(server)


def lose_power(server: EmbeddedPostgres, disk: LossyDisk, seed: int | None) -> None:
    """Cut the power of the server's machine, and start it again on what is left."""
    disk.cut()
    _kill_all(server)
    disk.bring_back(seed)
    server.start()


def _kill_all(server: EmbeddedPostgres) -> None:
    """A power cut ends all processes at once, and none has a last word."""
    pid = server.pid
    if pid is None:
        return
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    server.kill()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    end_s = time.monotonic() + GONE_LIMIT_S
    while any(_runs(child) for child in children):
        if time.monotonic() > end_s:
            raise TimeoutError("processes of PostgreSQL do not end")
        time.sleep(0.01)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
