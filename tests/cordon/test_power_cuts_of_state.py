"""Whatever a power cut leaves of the state directory, the service starts on it and is who it was."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from cordon.embedded.broker_memory import FILE, BrokerMemory
from cordon.identity.certificates import fingerprint, read_certificate
from cordon.identity.listener import own_authority, prepare_listener
from cordon.lease import instance_name
from cordon.sections import Broker
from cordon.settings import Settings
from devices.instants import from_iso
from tests.power.mounted import LossyDisk
from tests.power.sweep import Found, states

pytestmark = pytest.mark.timeout(300)

NOW_US = from_iso("2026-11-24T08:00:00Z")


def settings_in(folder: Path, *names: str) -> Settings:
    broker = Broker(mqtt_listen="0.0.0.0:8883", public_address=names[0] if names else "")
    return Settings(state_directory=str(folder / "state"), broker=broker)


def test_a_certificate_authority_is_the_same_or_was_never_used(
    lossy: LossyDisk, tmp_path: Path
) -> None:
    made = own_authority(settings_in(lossy.folder), NOW_US)
    used = lossy.changes()
    found, halves = Found(tmp_path / "found"), 0
    for moment, left in states(lossy.disk()):
        settings = settings_in(found.with_(left))
        folder = Path(settings.state_directory) / "ca"
        halves += (folder / "ca.key").exists() and not (folder / "ca.crt").exists()
        again = own_authority(settings, NOW_US)
        same = fingerprint(again.certificate) == fingerprint(made.certificate)
        assert same or moment < used
        again.certificate.verify_directly_issued_by(again.certificate)
        again.device("tag-1", NOW_US)
    assert halves, "some cut came between the key and the certificate"


def test_a_listener_never_has_the_certificate_of_another_key(
    lossy: LossyDisk, tmp_path: Path
) -> None:
    prepare_listener(settings_in(lossy.folder, "one.test:8883"), NOW_US)
    before = lossy.changes()
    prepare_listener(settings_in(lossy.folder, "two.test:8883"), NOW_US)
    found = Found(tmp_path / "found")
    for moment, left in states(lossy.disk()):
        if moment < before:
            continue
        tls = prepare_listener(settings_in(found.with_(left), "two.test:8883"), NOW_US).access.tls
        assert tls is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        read_certificate(tls.certificate).verify_directly_issued_by(read_certificate(tls.ca))


def test_the_broker_has_its_passwords_and_this_place_its_name(
    lossy: LossyDisk, tmp_path: Path
) -> None:
    memory = BrokerMemory.load(lossy.folder / FILE)
    memory.save(lossy.folder / FILE)
    saved = lossy.changes()
    memory.save(lossy.folder / FILE)
    name = instance_name(lossy.folder / "state")
    named = lossy.changes()
    found = Found(tmp_path / "found")
    for moment, left in states(lossy.disk()):
        folder = found.with_(left)
        assert BrokerMemory.load(folder / FILE) == memory or moment < saved
        again = instance_name(folder / "state")
        assert again
        assert again == name or moment < named
