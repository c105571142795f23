"""Asks a witness to cosign, over HTTP as C2SP tlog-witness has it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from evidence.http_exchange import exchange
from evidence.log.notes import Note, NoteFormatError, parse_note, parse_signature_line, parse_size
from evidence.log.signing import SignatureError, VerifierKey, verified
from evidence.log.witnessing import InconsistentError, Request, StaleError


class WitnessError(RuntimeError):
    """A witness that does not answer as it should now. Another try may succeed."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness that the log asks.

    Attributes:
        url: Prefix of its addresses.
        keys: Its public keys, all under one name.
    """

    url: str
    keys: tuple[VerifierKey, ...]

    @property
    def name(self) -> str:
        """What it is called in signatures."""
        return self.keys[0].name

    def cosign(self, request: Request) -> str:
        """Its signature lines over a head. Blocks for some seconds at most.

        Raises:
            StaleError: It has signed another size; the error holds which.
            InconsistentError: It says the head does not continue what it has signed.
            WitnessError: Anything else but a true signature.
        """
        body = self._send("POST", "add-checkpoint", request.encode())
        try:
            lines = [parse_signature_line(line) for line in body.decode().splitlines()]
            true = verified(Note(request.note.text, tuple(lines)), self.keys)
        except (UnicodeDecodeError, NoteFormatError, SignatureError) as error:
            raise WitnessError(f"{self.name} answers with what is no signature: {error}") from error
        if not true:
            raise WitnessError(f"{self.name} signed with none of the keys it is known by")
        own = {(key.name, key.key_id) for key in self.keys}
        return "".join(line.text for line in lines if (line.name, line.key_id) in own)

    def newest(self, origin: str) -> Note | None:
        """The newest head of a log that it has signed, with the signatures; None: it has none.

        Raises:
            WitnessError: It does not answer, or not with a head it has signed.
        """
        digest = hashlib.sha256(origin.encode()).hexdigest()
        body = self._send("GET", f"{digest}/checkpoint", None)
        if not body:
            return None
        try:
            note = parse_note(body)
            if not verified(note, self.keys):
                raise WitnessError(f"{self.name} shows a head that it has not signed")
        except (NoteFormatError, SignatureError) as error:
            raise WitnessError(f"{self.name} shows what is no signed head: {error}") from error
        return note

    def _send(self, method: Literal["GET", "POST"], path: str, body: bytes | None) -> bytes:
        """The answer to a request; empty where there is nothing to get."""
        try:
            status, answer = exchange(method, f"{self.url.rstrip('/')}/{path}", body)
        except OSError as error:
            raise WitnessError(f"{self.name} cannot be reached: {error}") from error
        if status == 200:
            return answer
        if status == 404 and method == "GET":
            return b""
        if status == 409:
            try:
                size = parse_size(answer.decode("ascii").strip())
            except ValueError as error:
                raise WitnessError(f"{self.name} does not say what it has signed") from error
            raise StaleError(size)
        if status == 422:
            raise InconsistentError(f"{self.name} refuses: the head does not continue its last one")
        raise WitnessError(f"{self.name} answers with HTTP status {status}")
