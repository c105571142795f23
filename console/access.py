"""Who may use the console: operators with tokens, sessions, and the checks on each request.

A first version, small on purpose. An operator has one secret token, of which the settings hold
the SHA-256; tokens are long and random (`cordon` makes them), so a plain hash is enough. Opening
``/enter?token=...`` once gives the browser a session: a fresh random id in a cookie that scripts
cannot read and other sites cannot send. Sessions are known by their hash; they outlive a restart
where there is a store for them, and end with the token that began them.

This module knows nothing of HTTP frameworks.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from devices.instants import MICROSECONDS, Clock

SESSION_S = 12 * 3600
"""A session ends this long after it began: one long shift."""

SESSIONS = 1000
"""Sessions at once; the oldest ends when one more begins."""

FAILURES = 10
"""Wrong tokens from one address within `FAILURE_WINDOW_S` before it must wait."""

FAILURE_WINDOW_S = 60

FAILURE_ADDRESSES = 1024
"""Addresses whose failures are remembered."""

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who may sign in.

    Attributes:
        name: As it stands on what they do, for example on an acknowledgement.
        token_sha256: Lower-case hex SHA-256 of the token (UTF-8).
    """

    name: str
    token_sha256: str


class EntryRefusedError(Exception):
    """The token is not known."""


class TooManyFailuresError(Exception):
    """Too many wrong tokens from this address; try again after `wait_s`."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many wrong tokens; wait {wait_s} s")
        self.wait_s = wait_s


@dataclass(slots=True)
class AccessCounts:
    """What the door has seen."""

    entered: int = 0
    refused: int = 0
    limited: int = 0
    wrong_host: int = 0
    wrong_origin: int = 0


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Who is signed in, by which token, and until when."""

    operator: str
    token_sha256: str
    expires_us: int


class SessionStore(Protocol):
    """Keeps sessions over a restart: after a crash nobody should have to sign in again first."""

    def load(self) -> dict[str, Session]:
        """What was saved last, by the SHA-256 of the session's id; empty before the first."""

    def save(self, sessions: Mapping[str, Session]) -> None:
        """Keep these and no others. Must not raise: signing in works without, too."""


def sha256_hex(text: str) -> str:
    """SHA-256 of the text's UTF-8 as lower-case hex; what `Operator.token_sha256` holds."""
    return hashlib.sha256(text.encode()).hexdigest()


def host_name(host: str) -> str:
    """The name in a Host header, without the port, in lower case; brackets of IPv6 stay."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


class Access:
    """Operators, their sessions, and which requests are to be trusted.

    Args:
        operators: Who may sign in.
        clock: Gives the present instant.
        allowed_hosts: Names, besides the local ones, under which the console is reached. Any
            other Host header is refused, so that no other name can be pointed at this machine
            (DNS rebinding).
        secure: The console is reached over HTTPS only: the cookie says so.
        store: Where sessions outlive a restart; None: nowhere.
    """

    def __init__(
        self,
        operators: Iterable[Operator],
        clock: Clock,
        *,
        allowed_hosts: Iterable[str] = (),
        secure: bool = False,
        session_s: int = SESSION_S,
        store: SessionStore | None = None,
    ) -> None:
        self.operators = tuple(operators)
        self.session_s = session_s
        self.secure = secure
        self.counts = AccessCounts()
        self._hosts = LOCAL_HOSTS | {host_name(name) for name in allowed_hosts}
        self._clock = clock
        self._store = store
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        if store is not None:
            known = {(one.name, one.token_sha256) for one in self.operators}
            for key, session in store.load().items():
                if (session.operator, session.token_sha256) in known:
                    self._sessions[key] = session
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def enter(self, token: str, address: str) -> str:
        """A new session's id for the operator whose token this is.

        Args:
            token: As the person gave it.
            address: Where the request came from; wrong tokens are counted for it.

        Raises:
            EntryRefusedError: Nobody has this token.
            TooManyFailuresError: Too many wrong ones came from this address.
        """
        now_us = self._clock()
        if wait_s := self._must_wait_s(address, now_us):
            self.counts.limited += 1
            raise TooManyFailuresError(wait_s)
        operator = self._owner(token)
        if operator is None:
            self._note_failure(address, now_us)
            self.counts.refused += 1
            raise EntryRefusedError("no operator has this token")
        self.counts.entered += 1
        session_id = secrets.token_urlsafe(32)
        self._sessions[sha256_hex(session_id)] = Session(
            operator.name, operator.token_sha256, now_us + self.session_s * MICROSECONDS
        )
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        self._save()
        return session_id

    def who(self, session_id: str | None) -> str | None:
        """Name of the operator whose session this is; None for none, or one that has ended."""
        if not session_id:
            return None
        key = sha256_hex(session_id)
        session = self._sessions.get(key)
        if session is None:
            return None
        if session.expires_us <= self._clock():
            del self._sessions[key]
            return None
        return session.operator

    def leave(self, session_id: str | None) -> None:
        """End a session. Harmless when there is none."""
        if session_id:
            self._sessions.pop(sha256_hex(session_id), None)
            self._save()

    def _save(self) -> None:
        if self._store is not None:
            self._store.save(self._sessions)

    def host_allowed(self, host: str | None) -> bool:
        """Whether the Host header names this console."""
        allowed = host is not None and host_name(host) in self._hosts
        self.counts.wrong_host += not allowed
        return allowed

    def same_origin(
        self, method: str, host: str | None, origin: str | None, fetch_site: str | None
    ) -> bool:
        """Whether a request that changes something came from the console's own pages.

        Browsers name the origin of every POST; a request that names neither is refused. The
        scheme is not compared: a proxy in front may speak HTTPS where we see HTTP.
        """
        if method in SAFE_METHODS:
            return True
        own = fetch_site in {None, "same-origin"} and (origin, fetch_site) != (None, None)
        if own and origin is not None:
            scheme, _, authority = origin.strip().lower().partition("://")
            own = scheme in {"http", "https"} and authority == (host or "").strip().lower()
        self.counts.wrong_origin += not own
        return own

    def cookie_name(self, host: str) -> str:
        """Name of the session cookie. Browsers share cookies between ports, so it has the port."""
        if self.secure:
            return "__Host-cordon"
        port = host[len(host_name(host)) :].removeprefix(":")
        return f"cordon_{port}" if port.isascii() and port.isdigit() else "cordon"

    def _owner(self, token: str) -> Operator | None:
        """Compares with every operator, in constant time each, whichever is right."""
        digest = sha256_hex(token)
        owner = None
        for operator in self.operators:
            if hmac.compare_digest(digest.encode(), operator.token_sha256.lower().encode()):
                owner = operator
        return owner

    def _must_wait_s(self, address: str, now_us: int) -> int:
        times = self._failures.get(address, ())
        since_us = now_us - FAILURE_WINDOW_S * MICROSECONDS
        recent = [time_us for time_us in times if time_us > since_us]
        if len(recent) < FAILURES:
            return 0
        return max(1, -((since_us - recent[-FAILURES]) // MICROSECONDS))

    def _note_failure(self, address: str, now_us: int) -> None:
        self._failures.setdefault(address, deque(maxlen=FAILURES)).append(now_us)
        self._failures.move_to_end(address)
        while len(self._failures) > FAILURE_ADDRESSES:
            self._failures.popitem(last=False)
