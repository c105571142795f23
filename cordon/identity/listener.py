"""How the MQTT listener is to be reached: certificates found or made, addresses read."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog

from cordon.embedded.broker import BrokerAccess, ListenerTls, reached_at
from cordon.embedded.broker_memory import FILE, HOST, SERVICE_USER, BrokerMemory
from cordon.errors import CordonError
from cordon.identity.certificates import (
    RENEW_DAYS,
    Authority,
    CertificateError,
    days_left,
    is_of,
    names_of,
    read_certificate,
)
from cordon.sections import Broker
from cordon.settings import Settings
from ingest.tls import TlsFilesError, client_context

log = structlog.get_logger("listener")

AUTHORITY_NAME = "Cordon"
LOCAL_NAMES = ("localhost", HOST)


@dataclass(frozen=True, slots=True)
class Listener:
    """How the embedded broker listens, and with what the service comes to it."""

    access: BrokerAccess
    service_tls: ssl.SSLContext | None


def authority_folder(settings: Settings) -> Path:
    """Where Cordon's own certificate authority lies."""
    return Path(settings.state_directory).resolve() / "ca"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; brackets around an IPv6 address are taken off.

    Raises:
        CordonError: It is no such address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise CordonError(f"{address!r} is not host:port; correct it in the settings.")
    return host.strip("[]"), int(port)


def prepare_listener(settings: Settings, now_us: int) -> Listener:
    """Have certificates at hand for the embedded broker, made where none are named.

    Raises:
        CordonError: A certificate is missing, expired or cannot be made; or what the settings ask
            for would let anybody on the network speak for any device.
    """
    broker = settings.broker
    host, port = split_address(broker.mqtt_listen)
    if not _is_local(host) and (broker.devices == "open" or not broker.mqtt_tls):
        raise CordonError(
            f"broker.mqtt_listen is {broker.mqtt_listen}, which others can reach, but "
            "broker.devices is open or broker.mqtt_tls is off: whoever is on that network could "
            "speak for any device, or read along. Change one or the other."
        )
    if not broker.mqtt_tls:
        return Listener(BrokerAccess(broker.devices, None, host, port), None)
    tls = _listener_tls(settings, host, now_us)
    return Listener(
        BrokerAccess(broker.devices, tls, host, port), _service_tls(settings, tls, now_us)
    )


def service_tls(broker: Broker) -> ssl.SSLContext | None:
    """With what the service comes to a broker that is not its own; None: in clear.

    Raises:
        CordonError: A file that the settings name cannot be used.
    """
    if not broker.mqtt_tls:
        return None
    try:
        return client_context(
            broker.mqtt_ca, broker.mqtt_service_certificate, broker.mqtt_service_key
        )
    except TlsFilesError as error:
        raise CordonError(str(error)) from error


def known_service_tls(settings: Settings) -> ssl.SSLContext | None:
    """With what a process beside the service comes to its embedded broker; None: in clear.

    Raises:
        CordonError: A file cannot be used.
    """
    ca_file, shown = ca_file_of(settings), authority_folder(settings) / "service.crt"
    if not settings.broker.mqtt_tls or ca_file is None:
        return None
    named = settings.broker.mqtt_service_certificate
    certificate = named or (str(shown) if shown.exists() else "")
    key = settings.broker.mqtt_service_key or (
        str(shown.with_suffix(".key")) if certificate and not named else ""
    )
    try:
        return client_context(str(ca_file), certificate, key)
    except TlsFilesError as error:
        raise CordonError(str(error)) from error


def _listener_tls(settings: Settings, host: str, now_us: int) -> ListenerTls:
    broker = settings.broker
    if broker.mqtt_certificate:
        certificate = Path(broker.mqtt_certificate).resolve()
        key = Path(broker.mqtt_key or broker.mqtt_certificate).resolve()
        _require_valid(certificate, now_us)
        ca = Path(broker.mqtt_ca).resolve() if broker.mqtt_ca else own_authority(settings, now_us)
        if isinstance(ca, Authority):
            ca = ca.certificate_file
        return ListenerTls(certificate, key, ca, broker.mqtt_client_certificates)
    authority = own_authority(settings, now_us)
    folder = authority_folder(settings)
    certificate, key = folder / "broker.crt", folder / "broker.key"
    names = _names(broker, host)
    if not _good_for(certificate, key, names, authority, now_us):
        authority.server(names, now_us).write(certificate, key)
        log.info("broker_certificate_issued", names=names)
    return ListenerTls(
        certificate, key, authority.certificate_file, broker.mqtt_client_certificates
    )


def own_authority(settings: Settings, now_us: int) -> Authority:
    """Cordon's own certificate authority, made at the first need.

    Raises:
        CertificateError: It cannot be read or made.
    """
    folder = authority_folder(settings)
    if not (folder / "ca.crt").exists():
        return Authority.create(folder, AUTHORITY_NAME, now_us)
    return Authority(folder)


def ca_file_of(settings: Settings) -> Path | None:
    """The CA that clients of the MQTT listener trust; None: not known here, or in clear."""
    if not settings.broker.mqtt_tls:
        return None
    if settings.broker.mqtt_ca:
        return Path(settings.broker.mqtt_ca)
    own = authority_folder(settings) / "ca.crt"
    return own if own.exists() and not settings.broker.nats_url else None


def device_address(settings: Settings) -> str:
    """Where devices reach the MQTT listener, ``host:port``, as far as is known here."""
    if settings.broker.public_address:
        return settings.broker.public_address
    host, port = local_address(settings)
    return f"{host}:{port}"


def local_address(settings: Settings) -> tuple[str, int]:
    """Where programs of this machine reach the MQTT listener."""
    broker = settings.broker
    if broker.nats_url:
        return broker.mqtt_host, broker.mqtt_port
    host, port = split_address(broker.mqtt_listen)
    memory = BrokerMemory.load(Path(settings.state_directory).resolve() / "broker" / FILE)
    return reached_at(host), port or memory.mqtt_port


def _service_tls(settings: Settings, tls: ListenerTls, now_us: int) -> ssl.SSLContext:
    broker, folder = settings.broker, authority_folder(settings)
    shown, key = broker.mqtt_service_certificate, broker.mqtt_service_key
    if tls.client_certificates and not shown:
        if broker.mqtt_ca:
            raise CordonError(
                "broker.mqtt_client_certificates demands one of the service too: name it with "
                "broker.mqtt_service_certificate and broker.mqtt_service_key."
            )
        shown, key = str(folder / "service.crt"), str(folder / "service.key")
        own_authority(settings, now_us).device(SERVICE_USER, now_us).write(Path(shown), Path(key))
    try:
        return client_context(str(tls.ca), shown, key)
    except TlsFilesError as error:
        raise CordonError(str(error)) from error


def _require_valid(certificate: Path, now_us: int) -> None:
    left = days_left(read_certificate(certificate), now_us)
    if left <= 0:
        raise CertificateError(
            f"The certificate {certificate} expired {-left:.0f} days ago: no device would accept "
            "the broker. Renew it, or leave broker.mqtt_certificate empty."
        )


def _good_for(
    certificate: Path, key: Path, names: list[str], authority: Authority, now_us: int
) -> bool:
    """Whether what was issued before still serves."""
    if not certificate.exists() or not key.exists():
        return False
    found = read_certificate(certificate)
    if not is_of(found, key):
        return False
    try:
        found.verify_directly_issued_by(authority.certificate)
    except Exception:  # noqa: BLE001 - whatever is wrong with it: another is made
        return False
    return names_of(found) >= set(names) and days_left(found, now_us) > RENEW_DAYS


def _names(broker: Broker, host: str) -> list[str]:
    """What the certificate is made out to: the public name first."""
    public = [split_address(broker.public_address)[0]] if broker.public_address else []
    listened = [] if host in {"0.0.0.0", "::"} else [host]  # noqa: S104 - every address is no name
    return list(dict.fromkeys([*public, *listened, *LOCAL_NAMES]))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
