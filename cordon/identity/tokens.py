"""What nats-server and its authorization service say to each other: signed tokens, NKEYs.

nats-server asks with a token of its own and wants one back that is signed by the account key in its
configuration. A core without I/O. The formats are those of NATS' JWT version 2: base64url JSON
signed with Ed25519, keys in base32 with a byte of kind before and a CRC-16 (XMODEM) behind.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from devices.credentials import Rights

KEY_BYTES = 32
MAX_TOKEN_BYTES = 256 * 1024
"""A question carries the certificate chain of who knocks; nats-server allows chains of some KB."""

_ACCOUNT = 0 << 3  # the letter A
_SERVER = 13 << 3  # N
_SEED = 18 << 3  # S
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_QUESTION_FOR = "nats-authorization-request"


class TokenError(ValueError):
    """A key or token that is not what it should be."""


class _ServerId(msgspec.Struct, frozen=True):
    id: str = ""


class ClientInfo(msgspec.Struct, frozen=True):
    """The connection that asks to be let in.

    Attributes:
        id: Number of the connection at its server.
        type: ``mqtt``, ``mqtt_websocket``, ``nats`` or ``websocket``.
    """

    id: int = 0
    type: str = ""
    mqtt_id: str = ""


class _ConnectOptions(msgspec.Struct, frozen=True):
    user: str = ""
    password: str = msgspec.field(default="", name="pass")


class _Tls(msgspec.Struct, frozen=True):
    verified_chains: list[list[str]] | None = None


class _Asked(msgspec.Struct, frozen=True):
    user_nkey: str
    server_id: _ServerId = _ServerId()
    client_info: ClientInfo = ClientInfo()
    connect_opts: _ConnectOptions = _ConnectOptions()
    client_tls: _Tls | None = None


class _QuestionClaims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    nats: _Asked
    exp: int = 0


class Question(msgspec.Struct, frozen=True):
    """May this connection come in?

    Attributes:
        user_key: NKEY that the server has made up for the connection.
        server: NKEY of the server that asks.
        certificate_pem: Of the client, when the server has verified its chain; or empty.
        expires_s: When nobody waits for the answer any more, seconds since 1970.
    """

    user_key: str
    server: str
    client: ClientInfo
    user: str
    password: str
    certificate_pem: str
    expires_s: int


class Issuer:
    """An account key that signs answers.

    Attributes:
        seed: The secret, as NATS tools write it (``SA...``).
        public: What stands in the server's configuration (``A...``).
    """

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.seed = _encoded(bytes([_SEED | _ACCOUNT >> 5, (_ACCOUNT & 31) << 3]) + raw)
        self.public = _encoded(bytes([_ACCOUNT]) + self._key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, seed: str) -> Issuer:
        """The issuer of a seed.

        Raises:
            TokenError: It is no seed of an account key.
        """
        data = _decoded(seed)
        if len(data) != KEY_BYTES + 2 or data[0] != _SEED | _ACCOUNT >> 5 or data[1] != 0:
            raise TokenError("not the seed of an account key: it begins with SA and has 58 letters")
        return cls(data[2:])

    def admit(
        self, question: Question, *, account: str, name: str, rights: Rights, exp_s: int, now_s: int
    ) -> bytes:
        """The answer that lets a connection in.

        Args:
            question: What is answered.
            account: The NATS account it comes into.
            name: What it is called there.
            rights: What it may do.
            exp_s: When the server closes it, seconds since 1970.
            now_s: The present second.
        """
        user = {
            "iss": self.public,
            "iat": now_s,
            "exp": exp_s,
            "sub": question.user_key,
            "aud": account,
            "name": name,
            "nats": {
                "type": "user",
                "version": 2,
                "subs": -1,
                "data": -1,
                "payload": -1,
                "pub": {"allow": list(rights.publish)},
                "sub": {"allow": list(rights.subscribe)},
                "allowed_connection_types": ["MQTT", "MQTT_WS"],
            },
        }
        return self._answer(question, now_s, {"jwt": self._sign(user)})

    def refuse(self, question: Question, *, reason: str, now_s: int) -> bytes:
        """The answer that turns a connection away; the reason goes to the server's log."""
        return self._answer(question, now_s, {"error": reason})

    def _answer(self, question: Question, now_s: int, more: dict[str, Any]) -> bytes:
        claims = {
            "iss": self.public,
            "iat": now_s,
            "sub": question.user_key,
            "aud": question.server,
            "nats": {"type": "authorization_response", "version": 2, **more},
        }
        return self._sign(claims).encode()

    def _sign(self, claims: dict[str, Any]) -> str:
        signed = f"{_base64(msgspec.json.encode(_HEADER))}.{_base64(msgspec.json.encode(claims))}"
        return f"{signed}.{_base64(self._key.sign(signed.encode()))}"


def read_question(token: bytes) -> Question:
    """What a server asks, once its signature has been checked.

    Raises:
        TokenError: It is no such token, or is not signed by the server that it names.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError(f"a token of {len(token)} bytes; {MAX_TOKEN_BYTES} are the most")
    try:
        signed, _, signature = token.rpartition(b".")
        claims = msgspec.json.decode(_unbase64(signed.partition(b".")[2]), type=_QuestionClaims)
        server = _decoded(claims.iss)
        if server[0] != _SERVER or claims.aud != _QUESTION_FOR:
            raise TokenError("not the question of a server")
        Ed25519PublicKey.from_public_bytes(server[1:]).verify(_unbase64(signature), signed)
    except (msgspec.MsgspecError, ValueError, IndexError, InvalidSignature) as error:
        raise TokenError(f"not an authorization request: {error}") from error
    asked = claims.nats
    chains = asked.client_tls.verified_chains if asked.client_tls else None
    return Question(
        user_key=asked.user_nkey,
        server=claims.iss,
        client=asked.client_info,
        user=asked.connect_opts.user,
        password=asked.connect_opts.password,
        certificate_pem=chains[0][0] if chains and chains[0] else "",
        expires_s=claims.exp,
    )


def _encoded(data: bytes) -> str:
    checked = data + binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """The bytes of a key, its kind first.

    Raises:
        TokenError: It is not one.
    """
    try:
        checked = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError as error:
        raise TokenError("not a key: it is not base32") from error
    data, sum_ = checked[:-2], checked[-2:]
    if len(data) <= KEY_BYTES or binascii.crc_hqx(data, 0).to_bytes(2, "little") != sum_:
        raise TokenError("not a key: its checksum does not fit")
    return data


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
