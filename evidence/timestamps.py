"""Time stamps of independent authorities (RFC 3161) over heads of the log.

A stamp shows that a head, and all under it, existed at a time that somebody else's clock and key
vouch for. It bounds the time from one side only, and does not show that there is no other history:
that is what witnesses are for. An authority of one's own proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rfc3161_client
import structlog
from cryptography import x509

from devices.instants import MICROSECONDS, from_datetime
from evidence import seal_store
from evidence.http_exchange import exchange
from evidence.seal_store import Connection, LogState

RETRY_S = 60.0
"""Rest after an authority did not stamp, so that one that hangs holds sealing up rarely."""

log = structlog.get_logger("timestamps")


class StampError(RuntimeError):
    """An authority that does not give a stamp that holds."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp that holds.

    Attributes:
        response: The authority's whole answer, DER.
        time_us: When, by its clock.
    """

    response: bytes
    time_us: int


@dataclass(frozen=True, slots=True)
class Authority:
    """A time stamping authority.

    Attributes:
        url: Where it answers.
        roots: Certificates that its own leads up to.
    """

    url: str
    roots: tuple[x509.Certificate, ...]

    def stamp(self, data: bytes) -> Stamp:
        """Have it stamp something. Blocks for some seconds at most.

        Raises:
            StampError: It does not answer, or with what does not hold.
        """
        request = (
            rfc3161_client.TimestampRequestBuilder()
            .data(data)
            .hash_algorithm(rfc3161_client.HashAlgorithm.SHA256)
            .build()
        )
        try:
            status, answer = exchange(
                "POST", self.url, request.as_bytes(), "application/timestamp-query"
            )
        except OSError as error:
            raise StampError(f"{self.url} cannot be reached: {error}") from error
        if status != 200:
            raise StampError(f"{self.url} answers with HTTP status {status}")
        return self.checked(answer, data, request.nonce)

    def checked(self, answer: bytes, data: bytes, nonce: int | None = None) -> Stamp:
        """The stamp that an answer is.

        Args:
            answer: DER.
            data: What it has to be over.
            nonce: Of the request; None: it is not at hand.

        Raises:
            StampError: It does not hold.
        """
        try:
            response = rfc3161_client.decode_timestamp_response(answer)
            verifier = rfc3161_client.VerifierBuilder(roots=list(self.roots), nonce=nonce).build()
            verifier.verify_message(response, data)
        except (rfc3161_client.VerificationError, ValueError) as error:
            raise StampError(f"{self.url} gives a stamp that does not hold: {error}") from error
        return Stamp(answer, from_datetime(response.tst_info.gen_time))


def read_roots(file: Path) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds none.
    """
    return tuple(x509.load_pem_x509_certificates(file.read_bytes()))


class Stamper:
    """Has heads stamped, each authority every so often.

    Args:
        authorities: Who is asked.
        interval_s: Time between two stamps of each.
    """

    def __init__(self, authorities: Sequence[Authority], interval_s: float) -> None:
        self.failures = 0
        self._authorities = tuple(authorities)
        self._interval_us = int(interval_s * MICROSECONDS)
        self._not_before_us: dict[str, int] = {}

    async def stamp_if_due(
        self, connection: Connection, state: LogState, text: str, now_us: int
    ) -> int:
        """Have a head stamped by those whose turn it is. Returns how many did.

        Raises:
            psycopg.Error: The database does not answer.
        """
        due = [a for a in self._authorities if self._not_before_us.get(a.url, 0) <= now_us]
        answers = await asyncio.gather(
            *(asyncio.to_thread(authority.stamp, text.encode()) for authority in due),
            return_exceptions=True,
        )
        stamped = 0
        for authority, answer in zip(due, answers, strict=True):
            if isinstance(answer, StampError):
                self.failures += 1
                self._not_before_us[authority.url] = now_us + int(RETRY_S * MICROSECONDS)
                log.warning("authority_did_not_stamp", reason=str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                await seal_store.add_stamp(
                    connection,
                    state.log,
                    state.size,
                    authority.url,
                    answer.response,
                    answer.time_us,
                )
                self._not_before_us[authority.url] = now_us + self._interval_us
                stamped += 1
        return stamped
