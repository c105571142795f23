"""A certificate authority of one's own: for the MQTT listener, and for devices that show one.

Its files: ``ca.crt`` for everybody to trust, ``ca.key`` to guard. Keys are ECDSA P-256, which small
devices compute with. Signed with SHA-256.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cordon.errors import CordonError
from devices.durable import make_durable_folder, read_settled, write_durably
from devices.instants import to_datetime

AUTHORITY_DAYS = 3_650
SERVER_DAYS = 730
DEVICE_DAYS = 1_095
RENEW_DAYS = 90
"""The embedded broker's certificate is made anew at a start when it has less than this left."""

BACKDATED = timedelta(hours=1)
"""Certificates are valid from a little before they are made: clocks of devices differ."""

PUBLIC_MODE = 0o644


class CertificateError(CordonError):
    """A certificate or key that cannot be used or made."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM, and what names them.

    Attributes:
        fingerprint: SHA-256 of the certificate's DER form.
    """

    certificate_pem: bytes
    key_pem: bytes
    fingerprint: bytes

    def write(self, certificate: Path, key: Path) -> None:
        """Write both; the key readable by this user only.

        Raises:
            CertificateError: They cannot be written.
        """
        try:
            for path in (certificate, key):
                make_durable_folder(path.parent)
            write_durably(key, self.key_pem)
            write_durably(certificate, self.certificate_pem, PUBLIC_MODE)
        except OSError as error:
            raise CertificateError(
                f"{error.filename} cannot be written: {error.strerror}."
            ) from error


class Authority:
    """One that issues certificates.

    Args:
        folder: Holds ``ca.crt`` and ``ca.key``.

    Raises:
        CertificateError: There is none in the folder, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate_file = folder / "ca.crt"
        try:
            self._key = load_pem_private_key(read_settled(folder / "ca.key"), None)
            self.certificate = read_certificate(self.certificate_file)
        except (OSError, ValueError, TypeError) as error:
            raise CertificateError(
                f"There is no usable certificate authority in {folder}: {error}. Make one with "
                "`cordon ca init`, or restore ca.crt and ca.key."
            ) from error

    @classmethod
    def create(cls, folder: Path, name: str, now_us: int) -> Authority:
        """Make one.

        A key without a certificate is one that was begun when the power was cut: it is finished.

        Raises:
            CertificateError: There is one already, which devices may trust; or no writing there.
        """
        if (folder / "ca.crt").exists():
            raise CertificateError(
                f"There is a certificate authority in {folder} already. Devices that trust it would "
                "not trust another; move its files away if you mean it."
            )
        key = _begun(folder / "ca.key") or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = to_datetime(now_us)
        builder = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        _issued(builder.sign(key, hashes.SHA256()), key).write(folder / "ca.crt", folder / "ca.key")
        return cls(folder)

    def server(self, names: Sequence[str], now_us: int, days: int = SERVER_DAYS) -> Issued:
        """A certificate for a server that is reached under these host names or addresses."""
        sans = [_general_name(name) for name in names]
        return self._leaf(names[0], ExtendedKeyUsageOID.SERVER_AUTH, now_us, days, sans)

    def device(self, device: str, now_us: int, days: int = DEVICE_DAYS) -> Issued:
        """A certificate for a device, or for the service as a client."""
        return self._leaf(device, ExtendedKeyUsageOID.CLIENT_AUTH, now_us, days, [])

    def _leaf(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        now_us: int,
        days: int,
        sans: list[x509.GeneralName],
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        signer = self._key
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(subject, self.certificate.subject, key.public_key(), to_datetime(now_us), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False
            )
        )
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        return _issued(builder.sign(signer, hashes.SHA256()), key)


def read_certificate(file: Path) -> x509.Certificate:
    """The first certificate of a PEM file.

    Raises:
        CertificateError: It cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{file} holds no certificate that can be read: {error}.") from error


def days_left(certificate: x509.Certificate, now_us: int) -> float:
    """Until it expires; negative afterwards."""
    return (certificate.not_valid_after_utc - to_datetime(now_us)) / timedelta(days=1)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Host names and addresses it is made out to."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *value.get_values_for_type(x509.DNSName),
        *map(str, value.get_values_for_type(x509.IPAddress)),
    }


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of its DER form."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def printed(digest: bytes) -> str:
    """A fingerprint as people compare it: pairs of digits with colons."""
    return ":".join(f"{byte:02X}" for byte in digest)


def is_of(certificate: x509.Certificate, key_file: Path) -> bool:
    """Whether a certificate is of the key in a file; not, where a power cut came between the two."""
    try:
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    return certificate.public_key() == key.public_key()


def _begun(key_file: Path) -> ec.EllipticCurvePrivateKey | None:
    """The key of an authority that has no certificate yet."""
    if not key_file.exists():
        return None
    try:
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(f"{key_file} cannot be read: {error}. Restore it.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{key_file} holds another kind of key. Move it away.")
    return key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        fingerprint=fingerprint(certificate),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
