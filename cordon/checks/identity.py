"""Can a device only speak for itself, and come in at all?"""

from __future__ import annotations

import asyncio
import ssl
import time

import aiomqtt
from cryptography import x509

from cordon.checks.findings import Check, Finding, Patient
from cordon.identity.certificates import days_left, read_certificate
from devices.credentials import HEALTH_CHECK
from ingest.tls import explained

PROMPT_S = 2.0
"""An authorizer answers in milliseconds; the broker gives up after 5 s."""

TRY_S = 10.0
SOON_DAYS = 30.0


async def devices_mode(patient: Patient) -> Finding:
    """Are devices told apart?"""
    if patient.endpoints.devices_open:
        return Finding(
            "devices",
            "fail",
            "Open: whoever reaches the MQTT port may speak for any device.",
            'Set broker.devices = "registered", and provision the devices.',
        )
    if not patient.endpoints.authorization_url:
        return Finding(
            "devices",
            "warn",
            "The broker lets devices in by rules of its own, which cannot be looked at from here.",
            "Let the service decide: docs/operations.md, A server of your own.",
        )
    return Finding("devices", "ok", "Registered: each comes in with a credential of its own.")


async def authorization(patient: Patient) -> Finding:
    """Does somebody answer the broker when a device knocks?"""
    ends = patient.endpoints
    if not ends.authorization_url or patient.broker is None:
        return Finding("authorization", "warn", "Not tried.", "")
    began_s = time.monotonic()
    try:
        async with aiomqtt.Client(
            ends.mqtt_host,
            ends.mqtt_port,
            username=HEALTH_CHECK,
            password="none",  # noqa: S106 - it is to be refused
            identifier=HEALTH_CHECK,
            tls_context=ends.mqtt_tls,
            timeout=TRY_S,
        ):
            return Finding(
                "authorization",
                "fail",
                "The broker let in a name that no device has.",
                "Is auth_callout in its configuration? docs/operations.md, A server of your own.",
            )
    except aiomqtt.MqttError as error:
        took_s = time.monotonic() - began_s
        if isinstance(error, aiomqtt.MqttCodeError) and took_s < PROMPT_S:
            return Finding("authorization", "ok", f"Answered within {took_s * 1e3:.0f} ms.")
        return Finding(
            "authorization",
            "fail",
            f"Nobody answers the broker ({explained(error)}): no device can connect anew.",
            "Is the service running, or `cordon authorize`? Does broker.issuer_seed fit the issuer "
            "in the server's configuration?",
        )


async def tls(patient: Patient) -> Finding:
    """Does the MQTT listener speak TLS, with a certificate that is good for a while?"""
    ends, broker = patient.endpoints, patient.settings.broker
    if not broker.mqtt_tls:
        return Finding(
            "tls",
            "warn",
            "The MQTT listener speaks in clear: who is on the way reads positions and passwords.",
            "Set broker.mqtt_tls = true; without more, Cordon makes the certificates.",
        )
    try:
        certificate = await asyncio.wait_for(
            _shown(ends.mqtt_host, ends.mqtt_port, ends.mqtt_tls), TRY_S
        )
    except (ConnectionError, TimeoutError) as error:
        return Finding(
            "tls",
            "fail",
            f"Nothing answers at {ends.mqtt_host}:{ends.mqtt_port}: {error}",
            "Is the broker running, and broker.mqtt_host and mqtt_port right?",
        )
    except OSError as error:
        return Finding(
            "tls",
            "fail",
            f"No TLS connection to {ends.mqtt_host}:{ends.mqtt_port}: {explained(error)}",
            "Renew the certificate (`cordon ca show`), or correct broker.mqtt_ca.",
        )
    left = days_left(certificate, patient.now_us)
    if left < SOON_DAYS:
        return Finding(
            "tls",
            "warn",
            f"The broker's certificate expires in {left:.0f} days; then no device connects.",
            "Embedded: restart the service, it is renewed. Else: `cordon ca issue`, reload nats-server.",
        )
    return Finding("tls", "ok", f"The broker's certificate is good for {left:.0f} days.")


async def authority(patient: Patient) -> Finding:
    """Is the CA that devices trust good for a while? Its end means a visit to every device."""
    file = patient.endpoints.mqtt_ca
    if file is None:
        return Finding("ca", "ok", "No CA of our own is in use.")
    left = days_left(read_certificate(file), patient.now_us)
    if left < 12 * SOON_DAYS:
        return Finding(
            "ca",
            "warn",
            f"The CA that devices trust expires in {left:.0f} days.",
            "Plan its successor: every device must be given the new one before.",
        )
    return Finding("ca", "ok", f"The CA that devices trust is good for {left:.0f} days.")


async def _shown(host: str, port: int, context: ssl.SSLContext | None) -> x509.Certificate:
    """The certificate that the listener shows, once it is accepted."""
    _, writer = await asyncio.open_connection(
        host, port, ssl=context or ssl.create_default_context()
    )
    try:
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    finally:
        writer.close()


CHECKS: tuple[Check, ...] = (devices_mode, authorization, tls, authority)
