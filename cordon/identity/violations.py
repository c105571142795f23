"""Sees what devices may not do and try all the same, in the broker's log.

nats-server acknowledges a QoS 1 publish on a topic that is not the device's own, throws it away,
and tells nobody: there is no advisory of it, only a line in its log. So the log is followed, and
each such line becomes a refusal. Of a server on another machine nothing of this can be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NatsClient

from cordon.broker_refusals import BrokerRefusals
from cordon.connections import connect_nats
from cordon.identity.sessions import connection, device_of
from devices.ending import end_if_told

log = structlog.get_logger("violations")

LOOK_S = 0.25
READ_BYTES = 1 << 20
"""The most of the log that is taken in at one look; the rest waits for the next."""

LINE_BYTES = 8_192
REMEMBERED = 10_000
"""Connections whose device is known without asking the broker again."""

SUBJECT_CHARS = 160
TOPIC = "$broker/violation"

_STARTED = b"Starting nats-server"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CONNECTION = rf"\S+ - mid(?:_ws)?:(?P<cid>\d+)(?: - (?P<client>{_QUOTED}))?"
_VIOLATION = re.compile(
    rf"\[ERR\] {_CONNECTION} - (?P<what>Publish|Subscription) Violation - "
    rf".*?Subject (?P<subject>{_QUOTED})"
)
_HANDSHAKE = re.compile(
    rf"\[ERR\] {_CONNECTION} - TLS handshake error: (?P<error>.*(?:tls:|x509:).*)"
)
"""A connection that just ends in the middle of it is somebody who looks whether the port is open."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What somebody tried.

    Attributes:
        cid: Number of the connection at its server.
        client_id: What it calls itself.
        code, reason: As of any other refusal.
    """

    cid: int
    client_id: str
    code: str
    reason: str


def read_line(line: str) -> Violation | None:
    """What a line of the log says, if it is of interest."""
    found = _VIOLATION.search(line)
    if found is not None:
        subject = _unquoted(found["subject"])[:SUBJECT_CHARS]
        if found["what"] == "Publish":
            code = "not_its_topic"
            reason = (
                f"It published on {subject}, which it has no right to. The broker acknowledged that "
                "and threw it away. A device that is set up wrongly loses its reports so; one that "
                "is set up rightly wants to speak for another."
            )
        else:
            code = "not_its_commands"
            reason = (
                f"It wanted to subscribe to {subject}, which it has no right to. The broker "
                "refused."
            )
        return Violation(int(found["cid"]), _unquoted(found["client"]), code, reason)
    found = _HANDSHAKE.search(line)
    if found is not None:
        reason = (
            f"The TLS handshake failed: {found['error'][:SUBJECT_CHARS]}. Its certificate is "
            "missing, expired or of a CA that is not ours, or it does not trust the broker's."
        )
        return Violation(int(found["cid"]), "", "tls_failed", reason)
    return None


class Violations:
    """Follows the broker's log, and brings what it forbade.

    Args:
        log_file: Of the broker.
        from_byte: Where to begin; None: where it was left the last time, else at its end.
        memory: File in which it stands how far the log has been read.
        system_url: NATS address with system rights, to ask who a connection is; or empty.
        refusals: Where violations go.
    """

    def __init__(
        self,
        log_file: Path,
        from_byte: int | None,
        memory: Path,
        system_url: str,
        refusals: BrokerRefusals,
    ) -> None:
        self._file = log_file
        self._memory = memory
        self._system_url = system_url
        self._refusals = refusals
        self._devices: OrderedDict[int, str] = OrderedDict()
        self._from_byte = from_byte

    async def run(self) -> None:
        """Follow until cancelled."""
        nc = await connect_nats(self._system_url, "violations") if self._system_url else None
        mark = self._begin()
        try:
            while True:
                end_if_told()
                mark, lines = self._read(mark)
                for line in lines:
                    await self._take(nc, line)
                if lines:
                    self._remember(mark)
                else:
                    await asyncio.sleep(LOOK_S)
        finally:
            if nc is not None:
                await nc.close()

    def _begin(self) -> _Mark:
        """Where to begin to read."""
        with contextlib.suppress(OSError):
            now = self._file.stat()
            if self._from_byte is not None:
                begin, self._from_byte = self._from_byte, None  # after a failure: where it was left
                return _Mark(now.st_ino, begin)
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                kept = msgspec.json.decode(self._memory.read_bytes(), type=_Mark)
                if kept.inode == now.st_ino and kept.offset <= now.st_size:
                    return kept
            return _Mark(now.st_ino, now.st_size)
        return _Mark(0, 0)

    def _read(self, mark: _Mark) -> tuple[_Mark, list[bytes]]:
        """Whole lines since the mark, and the new mark; a log begun anew is read from its start."""
        try:
            with self._file.open("rb") as file:
                return _read_on(file, mark)
        except OSError:
            return mark, []

    async def _take(self, nc: NatsClient | None, line: bytes) -> None:
        if _STARTED in line:
            self._devices.clear()  # numbers of connections begin anew
        violation = read_line(line[:LINE_BYTES].decode("utf-8", "replace"))
        if violation is None:
            return
        device = await self._device(nc, violation)
        self._refusals.put(
            TOPIC, device or violation.client_id, violation.code, violation.reason, line
        )

    async def _device(self, nc: NatsClient | None, violation: Violation) -> str:
        """The device that a connection came in as; empty when nobody knows."""
        cid = violation.cid
        if cid not in self._devices and nc is not None and violation.client_id:
            with contextlib.suppress(nats.errors.Error, msgspec.MsgspecError):
                found = await connection(nc, cid)
                self._devices[cid] = (device_of(found) if found else None) or ""
                if len(self._devices) > REMEMBERED:
                    self._devices.popitem(last=False)
        return self._devices.get(cid, "")

    def _remember(self, mark: _Mark) -> None:
        with contextlib.suppress(OSError):
            fresh = self._memory.with_name(self._memory.name + ".new")
            fresh.write_bytes(msgspec.json.encode(mark))
            fresh.replace(self._memory)


class _Mark(msgspec.Struct, frozen=True):
    """How far a file has been read."""

    inode: int
    offset: int


def _read_on(file: BinaryIO, mark: _Mark) -> tuple[_Mark, list[bytes]]:
    now = os.fstat(file.fileno())
    offset = mark.offset if now.st_ino == mark.inode and mark.offset <= now.st_size else 0
    file.seek(offset)
    data = file.read(READ_BYTES)
    whole = data.rfind(b"\n") + 1
    if not whole and len(data) == READ_BYTES:
        whole = len(data)  # no line of a log is so long; do not stand still
    return _Mark(now.st_ino, offset + whole), data[:whole].splitlines()


def _unquoted(text: str | None) -> str:
    """What Go's quoting stands for, as far as it need be read by people."""
    return text[1:-1] if text else ""
