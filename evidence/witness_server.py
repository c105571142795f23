"""The witness: a small program that another organisation runs.

It remembers one head of each log it knows (name, size, root: nothing about anybody) and signs the
next one only if that continues it. C2SP tlog-witness: https://c2sp.org/tlog-witness
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import structlog

from devices.instants import MICROSECONDS, Clock
from evidence.log.notes import Checkpoint, Note, NoteFormatError
from evidence.log.signing import KeyPair, SignatureError, VerifierKey, open_checkpoint
from evidence.log.witnessing import (
    NOTHING_SEEN,
    REQUEST_LIMIT_BYTES,
    InconsistentError,
    Request,
    Seen,
    StaleError,
    next_seen,
    parse_request,
)

SOCKET_LIMIT_S = 10.0
"""A client that sends nothing for so long is hung up on."""

CONNECTIONS_LIMIT = 64
"""At once. More are hung up on, and logged."""

log = structlog.get_logger("witness")

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""

_TEXT = "text/plain; charset=utf-8"

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS head (
        origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL
    ) STRICT
"""


class WitnessMemory:
    """What the witness has signed, in one SQLite file; every change is on disk when made."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.execute("PRAGMA synchronous = EXTRA")
        self._connection.execute(_SCHEMA)

    def seen(self, origin: str) -> Seen:
        """The head of a log that was signed last."""
        query = "SELECT size, root FROM head WHERE origin = ?"
        row = self._connection.execute(query, (origin,)).fetchone()
        return Seen(row[0], row[1]) if row else NOTHING_SEEN

    def note(self, digest: str) -> str | None:
        """The newest note of the log whose origin has this SHA-256."""
        for origin, note in self._connection.execute("SELECT origin, note FROM head"):
            if hashlib.sha256(origin.encode()).hexdigest() == digest:
                return str(note)
        return None

    def keep(self, origin: str, seen: Seen, note: str) -> None:
        """Remember a head."""
        self._connection.execute(
            "INSERT INTO head VALUES (?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE "
            "SET size = excluded.size, root = excluded.root, note = excluded.note",
            (origin, seen.size, seen.root, note),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class WitnessDesk:
    """Answers requests, one at a time.

    Args:
        pair: The witness's keys.
        logs: Public keys of each log it knows, by origin.
        memory: What it has signed.
        clock: The time, for its signatures.
    """

    def __init__(
        self,
        pair: KeyPair,
        logs: Mapping[str, Sequence[VerifierKey]],
        memory: WitnessMemory,
        clock: Clock,
    ) -> None:
        self._pair = pair
        self._logs = {origin: tuple(keys) for origin, keys in logs.items()}
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to add-checkpoint."""
        try:
            request, checkpoint = parse_request(body)
            keys = self._logs.get(checkpoint.origin)
            if keys is None:
                return 404, _TEXT, b"this witness does not know that log\n"
            open_checkpoint(request.note, keys)
        except NoteFormatError as error:
            return 400, _TEXT, f"{error}\n".encode()
        except SignatureError as error:
            return 403, _TEXT, f"{error}\n".encode()
        return self._sign(request, checkpoint)

    def _sign(self, request: Request, checkpoint: Checkpoint) -> Answer:
        new = Seen(checkpoint.size, checkpoint.root)
        with self._lock:
            seen = self._memory.seen(checkpoint.origin)
            try:
                next_seen(seen, request.old_size, request.proof, new)
            except StaleError as error:
                return 409, "text/x.tlog.size", f"{error.size}\n".encode()
            except InconsistentError as error:
                # The signed note proves that the log holds two histories: it must not be lost.
                log.error(  # noqa: TRY400 - what it saw is the point, not where it stood
                    "log_contradicts_itself",
                    origin=checkpoint.origin,
                    signed_size=seen.size,
                    shown_note=request.note.encode(),
                )
                return 422, _TEXT, f"{error}\n".encode()
            time_s = self._clock() // MICROSECONDS
            lines = self._pair.sign(checkpoint.text, time_s)
            whole = Note(checkpoint.text, (*request.note.signatures[:16], *lines))
            # On disk before the answer, which is all that makes the signature count.
            self._memory.keep(checkpoint.origin, new, whole.encode())
        return 200, _TEXT, "".join(line.text for line in lines).encode()

    def newest(self, digest: str) -> Answer:
        """The newest head it has signed of the log whose origin has this SHA-256."""
        with self._lock:
            note = self._memory.note(digest)
        if note is None:
            return 404, _TEXT, b"nothing signed for that log\n"
        return 200, _TEXT, note.encode()


class WitnessServer(ThreadingHTTPServer):
    """The witness's HTTP server."""

    daemon_threads = True
    request_queue_size = CONNECTIONS_LIMIT

    def __init__(self, address: tuple[str, int], desk: WitnessDesk) -> None:
        self.desk = desk
        self._free = threading.BoundedSemaphore(CONNECTIONS_LIMIT)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, or hang up when there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            log.warning("witness_hung_up", reason="too many connections")
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    timeout = SOCKET_LIMIT_S
    protocol_version = "HTTP/1.1"
    server: WitnessServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > REQUEST_LIMIT_BYTES:
            self.close_connection = True
            self._answer((400, _TEXT, b"say how long the request is; it may be 128 KiB\n"))
            return
        body = self.rfile.read(int(length))
        if self.path.endswith("/add-checkpoint"):
            self._answer(self.server.desk.add_checkpoint(body))
        else:
            self._answer((404, _TEXT, b"only add-checkpoint is served\n"))

    def do_GET(self) -> None:
        parts = self.path.rsplit("/", 2)
        if len(parts) == 3 and parts[2] == "checkpoint":
            self._answer(self.server.desk.newest(parts[1]))
        else:
            self._answer((404, _TEXT, b"only <origin hash>/checkpoint is served\n"))

    def _answer(self, answer: Answer) -> None:
        status, kind, body = answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *values: object) -> None:
        log.debug("witness_request", what=form % values)
