"""A child process that cannot outlive its parent.

Linux sends a child the signal named by ``PR_SET_PDEATHSIG`` when the *thread* that started it
ends, so children are started from the main thread only. They get a session of their own: Ctrl-C
at the terminal reaches Cordon, which then stops them in the right order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cordon.errors import ServerStartError

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT_BYTES = 10_000_000
_SAID_LIMIT_BYTES = 1_000_000
_POLL_S = 0.02
LOG_TAIL_LINES = 12

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """The system user a child runs as."""

    name: str
    uid: int
    gid: int


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a new child runs to be sent `death_signal` when the thread that starts it ends.

    For `preexec_fn`: one system call between fork and exec. None where the kernel has none.
    """
    if _libc is None:
        return None
    libc, number, parent = _libc, int(death_signal), os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), number)

    return ask_kernel


class Child:
    """One supervised process.

    Args:
        name: What it is called in messages, for example ``nats-server``.
        command: Program and arguments.
        log_file: Where its output goes; kept from earlier runs up to 10 MB.
        death_signal: What it gets when Cordon dies without stopping it.
        account: System user to run as; None for the present one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_file: Path,
        *,
        death_signal: signal.Signals = signal.SIGTERM,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log_file = log_file
        self._death_signal = death_signal
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._log_began = 0

    @property
    def log(self) -> tuple[Path, int]:
        """Where its output goes, and at which byte the last start began."""
        return self._log_file, self._log_began

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process.

        Raises:
            ServerStartError: It cannot be started at all.
            RuntimeError: Called outside the main thread, where it would die with the thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"start {self.name} from the main thread: it dies with its thread")
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_LIMIT_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".old.log"))
        user = self._account.uid if self._account else None
        group = self._account.gid if self._account else None
        with self._log_file.open("ab") as log:
            self._log_began = log.tell()
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=user,
                    group=group,
                    extra_groups=[] if self._account else None,
                    preexec_fn=die_with_parent(self._death_signal),  # noqa: PLW1509 - one system call
                    cwd="/",
                )
            except OSError as error:
                raise ServerStartError(
                    f"{self.name} cannot be started: {error}. "
                    f"Check that {self._command[0]} exists and may be run by this user."
                ) from error

    def revive(self) -> bool:
        """Start it again if it has ended by itself; whether that was so.

        Does not wait for it to be ready. One that was stopped, or never started, stays so.

        Raises:
            ServerStartError, RuntimeError: As `start`.
        """
        if self._process is None or self._process.poll() is None:
            return False
        self.start()
        return True

    def wait_until(self, ready: Callable[[], bool], *, limit_s: float) -> None:
        """Wait until `ready()` is true.

        Raises:
            ServerStartError: The process ended, or was not ready within `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        while not ready():
            code = self._process.poll() if self._process else -1
            if code is not None:
                raise ServerStartError(
                    f"{self.name} ended with code {code} while starting. It said:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"{self.name} was not ready within {limit_s:.0f} s. It said:\n{self.log_tail()}"
                )
            time.sleep(_POLL_S)

    def stop(self, how: signal.Signals, *, limit_s: float) -> None:
        """Ask it to end, and kill it when it has not within `limit_s`."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would (``kill -9``)."""
        self.stop(signal.SIGKILL, limit_s=10)

    def said(self, words: str) -> bool:
        """Whether it has written these words since it was started last."""
        try:
            with self._log_file.open("rb") as log:
                log.seek(self._log_began)
                return words.encode() in log.read(_SAID_LIMIT_BYTES)
        except OSError:
            return False

    def log_tail(self) -> str:
        """The last lines it wrote."""
        try:
            lines = self._log_file.read_text(errors="replace").splitlines()
        except OSError as error:
            return f"(no log: {error})"
        return "\n".join(lines[-LOG_TAIL_LINES:])
