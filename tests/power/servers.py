"""An embedded PostgreSQL whose data lies on a lossy disk, and a power cut to it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    with ExitStack() as held:
        ends = []
        for child in children:
            with suppress(ProcessLookupError):
                ends.append(os.pidfd_open(int(child)))
                held.callback(os.close, ends[-1])
        server.kill()
        for end in ends:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(end, signal.SIGKILL)
        for end in ends:  # it can be read from when the process has ended
            if not select.select([end], [], [], GONE_LIMIT_S)[0]:
                raise TimeoutError("processes of PostgreSQL do not end")
