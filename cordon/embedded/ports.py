"""Ports for servers that have to get the same one again after a restart.

They are taken from below the range that the system hands to outgoing connections. From within it,
any program on the machine may be given a port between our looking and the server's listening; and
a client that dials a port of that range while its server is down can be given the very port it
dials, is then connected to itself, and keeps the server from coming back.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection
from pathlib import Path

from cordon.errors import ServerStartError

LOWEST = 10_000
"""Below it well-known services live."""

TRIES = 100
_LEAST_ROOM = 1_000
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(
    host: str = "127.0.0.1", *, preferred: int = 0, other_than: Collection[int] = ()
) -> int:
    """A port that nothing listens on now.

    Args:
        host: Address it is wanted on.
        preferred: Taken when it is free; 0 for none.
        other_than: Ports that somebody has already been promised.

    Raises:
        ServerStartError: There is none.
    """
    if preferred and preferred not in other_than and _is_free(host, preferred):
        return preferred
    end = _first_outgoing()
    for _ in range(TRIES):
        # Where the system leaves no room below its own range, it chooses itself.
        wanted = LOWEST + secrets.randbelow(end - LOWEST) if end - LOWEST >= _LEAST_ROOM else 0
        port = _is_free(host, wanted)
        if port and port not in other_than:
            return port
    raise ServerStartError(f"no port is free on {host}; close programs that hold many connections")


def accepts_connections(host: str, port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _is_free(host: str, port: int) -> int:
    """The port if it is free (for 0: the one the system chose), else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


def _first_outgoing() -> int:
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
