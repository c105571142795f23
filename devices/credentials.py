"""Who may speak for which device: credentials, how they are checked, and the rights they give.

A core without I/O: random bytes and the time are given. Passwords are made here and only here, from
`PASSWORD_BYTES` of randomness. So they are stored under a fast salted hash: a slow one guards what
people choose against guessing, and nobody guesses one of 2^192. It would cost dearly, though, when
a whole fleet reconnects after a broker's restart: scrypt with its usual parameters takes a core
50 ms for each, this takes 2 us.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from devices.caseload import Id
from devices.signing import NOTHING_HELD, Held, SigningKey, SigningKeyError, held_by_device

PASSWORD_BYTES = 24
SALT_BYTES = 16
HASH_BYTES = 32
MAX_CREDENTIALS = 200_000
"""Credentials in one registry, revoked ones included; some 100 MB in memory."""

HEALTH_CHECK = "healthcheck"
"""The name under which it is tried whether somebody answers at the door: always refused."""

RESERVED = frozenset({"service", "system", "authorizer", "device", HEALTH_CHECK})
"""Names that the broker's own users have, so no device may."""

OWNER_SEPARATOR = "__"
"""Phones with OwnTracks give their owner's name alone: `jane` for `jane__phone`. Which of his phones it
is, the password tells."""

SERVICE_CLIENT_PREFIX = "cordon-"
"""MQTT client ids of the service begin so. Whoever could use one would take its session over."""

_DEVICE_ID = re.compile(get_args(Id)[1].pattern.removesuffix("$") + r"\Z")
_PURPOSE = b"cordon-device"
_AFTER_THE_ID = re.compile(r"[./:]")

Kind = Literal["password", "certificate"]
Code = Literal[
    "no_name",
    "unknown_device",
    "wrong_password",
    "unknown_certificate",
    "credential_revoked",
    "credential_expired",
    "other_identity",
    "other_client_id",
]
"""Why somebody is not let in; kept as the code of a refusal."""


class CredentialError(ValueError):
    """No credential can be made for this device."""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One password or certificate of one device.

    Attributes:
        number: Of its row; 0 before it has one.
        salt, hash: Of a password, see `password_hash`.
        fingerprint: Of a certificate: SHA-256 of its DER form.
        valid_to_us: Exclusive; None: no end.
        revoked_us: When it was revoked, by whom and why; None: it was not.
    """

    device: str
    kind: Kind
    valid_from_us: int
    issued_us: int
    issued_by: str
    number: int = 0
    salt: bytes = b""
    hash: bytes = b""
    fingerprint: bytes = b""
    valid_to_us: int | None = None
    revoked_us: int | None = None
    revoked_by: str = ""
    revoked_reason: str = ""

    def valid(self, now_us: int) -> bool:
        """Whether it opens the door at this instant."""
        return (
            self.revoked_us is None
            and self.valid_from_us <= now_us
            and (self.valid_to_us is None or now_us < self.valid_to_us)
        )


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody shows at the door.

    Attributes:
        fingerprint: Of the certificate whose chain the broker has verified; empty without one.
    """

    user: str = ""
    password: str = msgspec.field(default="")
    client_id: str = ""
    fingerprint: bytes = b""

    def __repr__(self) -> str:
        """Without the password."""
        return f"Login(user={self.user!r}, client_id={self.client_id!r})"


class Admitted(msgspec.Struct, frozen=True):
    """Let in as a device, at most until the end of its credential; None: that has no end."""

    device: str
    until_us: int | None


class Refused(msgspec.Struct, frozen=True):
    """Not let in. `device` is what was claimed, which nobody has proved."""

    device: str
    code: Code
    reason: str


class Rights(msgspec.Struct, frozen=True):
    """NATS subjects a device may publish on and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def is_device_id(text: str) -> bool:
    """Whether this can be the id of a device."""
    return _DEVICE_ID.match(text) is not None


def rights_of(device: str) -> Rights:
    """What a device may do: report under its own id and hear its own commands.

    Raises:
        CredentialError: No device can have this id; a dot or a wildcard in it would reach further.
    """
    if not is_device_id(device):
        raise CredentialError(f"{device!r} cannot be the id of a device")
    own = f"cordon.v1.{device}"
    return Rights(
        publish=tuple(f"{own}.{kind}" for kind in ("fix", "event", "status", "receipt")),
        subscribe=(f"{own}.command",),
    )


def check_new(device: str) -> None:
    """Whether credentials may be made for this id.

    Raises:
        CredentialError: They may not; the text says why.
    """
    if not is_device_id(device):
        raise CredentialError(
            f"{device!r} cannot be the id of a device: 1 to 64 letters, digits, - and _, beginning "
            "with a letter or digit."
        )
    if device in RESERVED:
        raise CredentialError(
            f"{device!r} is the name of one of the broker's own users; choose another id."
        )


def password_from(randomness: bytes) -> str:
    """A password, from `PASSWORD_BYTES` random bytes: 32 characters that need no quoting."""
    assert len(randomness) == PASSWORD_BYTES
    return base64.urlsafe_b64encode(randomness).decode()


def password_hash(password: str, salt: bytes) -> bytes:
    """What is stored of a password: BLAKE2b of 32 bytes, with a salt of 16."""
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(secret, digest_size=HASH_BYTES, salt=salt, person=_PURPOSE).digest()


class Registry:
    """All credentials and signing keys at one version, ready to be asked.

    Args:
        credentials: Revoked ones too: they tell apart who was shut out from who was never known.
        keys: With what devices sign, revoked ones too.
        version: Of the database they came from.

    Raises:
        CredentialError: More than `MAX_CREDENTIALS`, or than `devices.signing.MAX_SIGNING_KEYS`.
    """

    def __init__(
        self, credentials: Iterable[Credential], keys: Iterable[SigningKey], version: int
    ) -> None:
        self.version = version
        try:
            self._held = held_by_device(keys)
        except SigningKeyError as error:
            raise CredentialError(str(error)) from error
        self._of_device: dict[str, list[Credential]] = {}
        self._of_owner: dict[str, list[Credential]] = {}
        self._by_fingerprint: dict[bytes, Credential] = {}
        count = 0
        for credential in credentials:
            self._of_device.setdefault(credential.device, []).append(credential)
            owner, separator, _ = credential.device.partition(OWNER_SEPARATOR)
            if separator:
                self._of_owner.setdefault(owner, []).append(credential)
            if credential.kind == "certificate":
                self._by_fingerprint[credential.fingerprint] = credential
            count += 1
        if count > MAX_CREDENTIALS:
            raise CredentialError(f"{count} credentials are more than {MAX_CREDENTIALS}")

    def __len__(self) -> int:
        """Devices with a credential of any kind, valid or not."""
        return len(self._of_device)

    def signs(self, device: str) -> Held:
        """With what a device signs, and whether it has to."""
        return self._held.get(device, NOTHING_HELD)

    def admit(self, login: Login, now_us: int) -> Admitted | Refused:
        """Whether somebody is who he says, and so may come in."""
        found = self._by_fingerprint.get(login.fingerprint)
        if found is not None:
            shown = self._by_certificate(login, found, now_us)
        elif login.fingerprint and not login.password:
            shown = Refused(
                login.user,
                "unknown_certificate",
                "Its certificate is of a CA we trust, but of no device: register it with "
                "`cordon device provision DEVICE --certificate`.",
            )
        else:
            shown = self._by_password(login, now_us)
        return self.under_name(shown, login.client_id) if isinstance(shown, Admitted) else shown

    def under_name(self, found: Admitted, client_id: str) -> Admitted | Refused:
        """Let in, unless the MQTT client id is somebody else's: his session would be taken over."""
        named = _AFTER_THE_ID.split(client_id, maxsplit=1)[0]
        is_ours = client_id.startswith(SERVICE_CLIENT_PREFIX)
        if not is_ours and (named == found.device or named not in self._of_device):
            return found
        return Refused(
            found.device,
            "other_client_id",
            f"Its MQTT client id {client_id[:80]!r} belongs to somebody else, whose session it "
            "would take over. Use the device's own id.",
        )

    def may_stay(self, user: str, since_us: int, now_us: int) -> bool:
        """Whether a session under this user name, open since an instant, may go on.

        A credential that is revoked ends every session that may have been opened with it.
        """
        own = self._under(user)
        revoked = any(c.revoked_us is not None and c.revoked_us >= since_us for c in own)
        return not revoked and any(c.valid(now_us) for c in own)

    def _by_certificate(self, login: Login, shown: Credential, now_us: int) -> Admitted | Refused:
        if login.user not in {"", shown.device}:
            return Refused(
                login.user,
                "other_identity",
                f"It gives the name of one device and shows the certificate of {shown.device}.",
            )
        if not shown.valid(now_us):
            return _out_of_force(shown)
        return Admitted(shown.device, shown.valid_to_us)

    def _by_password(self, login: Login, now_us: int) -> Admitted | Refused:
        if not login.user:
            return Refused(
                login.client_id, "no_name", "It gives no user name: a device's is its id."
            )
        own = self._under(login.user)
        if not own:
            return Refused(
                login.user,
                "unknown_device",
                "No device of this name has been provisioned: `cordon device adopt` lists such.",
            )
        given = [c for c in own if c.kind == "password"]
        right = [
            c for c in given if hmac.compare_digest(password_hash(login.password, c.salt), c.hash)
        ]
        if not right:
            return Refused(login.user, "wrong_password", "Its password is wrong.")
        valid = [c for c in right if c.valid(now_us)]
        if not valid:
            return _out_of_force(right[-1])
        return Admitted(valid[0].device, valid[0].valid_to_us)

    def _under(self, user: str) -> list[Credential]:
        """What may be shown with a user name: a device's id, or the owner's of several phones."""
        return self._of_device.get(user, []) + self._of_owner.get(user, [])


def _out_of_force(credential: Credential) -> Refused:
    if credential.revoked_us is not None:
        return Refused(
            credential.device,
            "credential_revoked",
            f"Its credential was revoked by {credential.revoked_by}: {credential.revoked_reason}",
        )
    return Refused(
        credential.device,
        "credential_expired",
        "Its credential is not valid at this time: provision it anew.",
    )
