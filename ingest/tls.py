"""TLS of MQTT clients: whom they trust, what they show, and what went wrong in plain words."""

from __future__ import annotations

import ssl


class TlsFilesError(ValueError):
    """Files of certificates that cannot be used."""


def client_context(ca_file: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """What a client of the broker works with: TLS 1.2 at least, the broker's name checked.

    Args:
        ca_file: PEM of the only authorities it trusts; empty: those of the system.
        certificate: PEM file of what it shows; empty for none.
        key: PEM file of the key to it; empty: it stands in the same file.

    Raises:
        TlsFilesError: One of the files cannot be read or does not fit the others.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(file for file in (ca_file, certificate, key) if file)
        raise TlsFilesError(
            f"The certificate files {files} cannot be used: {error}. Each must be there, in PEM, "
            "readable by this user, and the key must belong to the certificate."
        ) from error
    return context


def explained(error: BaseException) -> str:
    """The error's text, with what it means where TLS is the cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the broker's certificate is not accepted: {cause.verify_message}. It must be "
                "valid now, made out to the name that is connected to, and of a CA that is trusted "
                "here (`cordon ca show`)"
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"TLS failed: {cause.reason or cause}. Does the broker speak TLS on this port? "
                "Does it demand a certificate that was not shown, or not accept the one that was?"
            )
        cause = cause.__cause__ or cause.__context__
    return str(error)
