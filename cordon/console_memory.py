"""What the console has to remember over a restart: its port, a token, and who is signed in.

So that after a crash open pages find it again and go on, without anybody doing anything.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from console.access import Session
from console.server import bind

log = structlog.get_logger("console")


class SessionFile:
    """Sessions in a file that only the service's user may read. Ids stand in it as hashes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> dict[str, Session]:
        """What was saved last; empty when there is nothing that can be read."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Session])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("sessions_not_read", reason=type(error).__name__)
            return {}

    def save(self, sessions: Mapping[str, Session]) -> None:
        """Replace the file."""
        try:
            _replace(self._file, msgspec.json.encode(sessions))
        except OSError as error:
            log.warning("sessions_not_saved", reason=type(error).__name__)


def kept_token(file: Path) -> str:
    """The token kept there; a new one, kept from now on, where there is none.

    Raises:
        OSError: The file can neither be read nor written.
    """
    try:
        token = file.read_text().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(24)
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, token.encode())
    return token


def bind_console(host: str, port: int, file: Path) -> socket.socket:
    """The console's socket: on `port`, or for port 0 on the one it had last, if that is free.

    Args:
        host: Address to listen on.
        port: As the settings have it.
        file: Where the last port is kept.

    Raises:
        OSError: `port` is not 0 and not free.
    """
    if port:
        return bind(host, port)
    try:
        bound = bind(host, int(file.read_text()))
    except (OSError, ValueError, OverflowError):
        bound = bind(host, 0)
    file.write_text(str(bound.getsockname()[1]))
    return bound


def _replace(file: Path, content: bytes) -> None:
    """Put another content in the file's place, for this user's eyes only."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)  # one with other rights would keep them
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    fresh.replace(file)
