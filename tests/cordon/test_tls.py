"""TLS of the MQTT listener: the right certificates come in, others are refused with a clear word."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import BrokerAccess, EmbeddedBroker, ListenerTls
from cordon.errors import CordonError
from cordon.identity.certificates import Authority, CertificateError, names_of, read_certificate
from cordon.identity.listener import authority_folder, prepare_listener
from cordon.identity.provisioning import DAY_US, new_certificate
from cordon.sections import Broker
from cordon.settings import Settings
from devices.credential_store import CredentialStore
from ingest.tls import TlsFilesError, client_context, explained
from simulators.device import SimulatedDevice
from simulators.wire import Broker as DeviceBroker
from tests.conftest import Database
from tests.cordon.doors import Door, door

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def authority(folder: Path, name: str = "Ours") -> Authority:
    return Authority.create(folder, name, wall_clock_us())


@contextlib.contextmanager
def serving(
    folder: Path, tls: ListenerTls | None, devices: str = "registered"
) -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(folder / "broker", access=BrokerAccess(devices, tls))  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def listener(
    folder: Path, ca: Authority, *, clients: bool = False, late_us: int = 0
) -> ListenerTls:
    """Files of a listener; `late_us`: made so much earlier, with a day to live."""
    issued = ca.server(["127.0.0.1"], wall_clock_us() - late_us, 1)
    issued.write(folder / "listener.crt", folder / "listener.key")
    return ListenerTls(
        folder / "listener.crt", folder / "listener.key", ca.certificate_file, clients
    )


def shown(
    folder: Path, ca: Authority, name: str, trusted: Authority, late_us: int = 0
) -> ssl.SSLContext:
    """What a client with a certificate of `ca` works with."""
    ca.device(name, wall_clock_us() - late_us, 1).write(folder / "c.crt", folder / "c.key")
    return client_context(
        str(trusted.certificate_file), str(folder / "c.crt"), str(folder / "c.key")
    )


async def why_not(client: aiomqtt.Client) -> str:
    with pytest.raises(aiomqtt.MqttError) as caught:
        async with client:
            pass
    return explained(caught.value)


async def test_devices_come_in_over_tls_when_they_trust_the_ca(
    tmp_path: Path, database: Database
) -> None:
    ours, other = authority(tmp_path / "ca"), authority(tmp_path / "other", "Other")
    with serving(tmp_path, listener(tmp_path, ours)) as broker:
        async with door(broker, database.dsn) as at:
            passwords = await at.give("tag-1")
            trusting = client_context(str(ours.certificate_file))
            async with at.client("tag-1", passwords["tag-1"], tls=trusting) as device:
                await device.publish("cordon/v1/tag-1/fix", b"safe", qos=1)
            foreign = client_context(str(other.certificate_file))
            said = await why_not(at.client("tag-1", passwords["tag-1"], tls=foreign))
            assert "certificate is not accepted" in said
            await why_not(at.client("tag-1", passwords["tag-1"]))  # in clear
            old = client_context(str(ours.certificate_file))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is deprecated: that is the point
                old.minimum_version = ssl.TLSVersion.TLSv1
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            await why_not(at.client("tag-1", passwords["tag-1"], tls=old))


async def test_an_expired_certificate_of_the_broker_is_refused_and_named(
    tmp_path: Path, database: Database
) -> None:
    ours = authority(tmp_path / "ca")
    with serving(tmp_path, listener(tmp_path, ours, late_us=2 * DAY_US)) as broker:
        async with door(broker, database.dsn) as at:
            passwords = await at.give("tag-1")
            trusting = client_context(str(ours.certificate_file))
            said = await why_not(at.client("tag-1", passwords["tag-1"], tls=trusting))
            assert "expired" in said
            assert "cordon ca show" in said


async def register(at: Door, device: str, fingerprint: bytes) -> None:
    made = new_certificate(device, fingerprint, by="test", now_us=wall_clock_us())
    async with CredentialStore(at.endpoints.dsn).open() as database:
        await database.issue([made], replace=True)
        version = await database.version()
    await at.keeper.copy.wait_for(version)


async def test_with_mutual_tls_a_certificate_is_the_credential(
    tmp_path: Path, database: Database
) -> None:
    ours, other = authority(tmp_path / "ca"), authority(tmp_path / "other", "Other")
    with serving(tmp_path, listener(tmp_path, ours, clients=True)) as broker:
        async with door(broker, database.dsn) as at:
            context = shown(tmp_path, ours, "tag-1", ours)
            await why_not(at.client(None, identifier="tag-1", tls=context))
            await at.refused("tag-1", "unknown_certificate")
            issued = ours.device("tag-1", wall_clock_us(), 1)
            issued.write(tmp_path / "t.crt", tmp_path / "t.key")
            await register(at, "tag-1", issued.fingerprint)
            good = client_context(
                str(ours.certificate_file), str(tmp_path / "t.crt"), str(tmp_path / "t.key")
            )
            async with at.client(None, identifier="tag-1", tls=good) as device:
                await device.publish("cordon/v1/tag-1/fix", b"mine", qos=1)
                await device.publish("cordon/v1/tag-2/fix", b"not mine", qos=1)
                await at.refused("tag-1", "not_its_topic")
            simulated = DeviceBroker(
                port=broker.mqtt_port,
                ca_file=str(ours.certificate_file),
                certificates=str(tmp_path / "devices"),
            )
            issued.write(tmp_path / "devices" / "tag-1.crt", tmp_path / "devices" / "tag-1.key")
            one = SimulatedDevice("tag-1", simulated, clock=wall_clock_us)
            one.fix(wall_clock_us(), 54.0, 4.0)
            one.close(10)
            await one.run()
            assert len(one.outbox) == 0
            await why_not(at.client("tag-2", identifier="tag-2", tls=good))
            await at.refused("tag-2", "other_identity")
            await why_not(at.client("tag-1", tls=shown(tmp_path, other, "tag-1", ours)))
            await why_not(at.client("tag-1", tls=client_context(str(ours.certificate_file))))
            late = shown(tmp_path, ours, "tag-1", ours, late_us=2 * DAY_US)
            await why_not(at.client("tag-1", tls=late))
            assert (await at.refused("", "tls_failed")).reason
            async with at.client(None, identifier="tag-1", tls=good) as device:
                await at.revoke("tag-1")
                with pytest.raises(aiomqtt.MqttError):
                    await anext(device.messages)


async def test_a_simulated_device_speaks_tls_with_its_password(
    tmp_path: Path, database: Database
) -> None:
    ours = authority(tmp_path / "ca")
    with serving(tmp_path, listener(tmp_path, ours)) as broker:
        async with door(broker, database.dsn) as at:
            where = DeviceBroker(
                port=broker.mqtt_port,
                passwords=await at.give("tag-1"),
                ca_file=str(ours.certificate_file),
            )
            device = SimulatedDevice("tag-1", where, clock=wall_clock_us)
            device.fix(wall_clock_us(), 54.0, 4.0)
            device.close(10)
            await device.run()
            assert device.counts.connects == 1
            assert len(device.outbox) == 0


def test_an_own_ca_and_the_brokers_certificate_are_made_once(tmp_path: Path) -> None:
    settings = Settings(
        state_directory=str(tmp_path), broker=Broker(public_address="broker.example:8883")
    )
    first = prepare_listener(settings, wall_clock_us())
    assert first.access.tls is not None
    made = first.access.tls.certificate.read_bytes()
    names = names_of(read_certificate(first.access.tls.certificate))
    assert {"broker.example", "localhost", "127.0.0.1"} <= names
    again = prepare_listener(settings, wall_clock_us())
    assert again.access.tls == first.access.tls
    assert first.access.tls.certificate.read_bytes() == made
    prepare_listener(settings, wall_clock_us() + 700 * DAY_US)  # near its end: renewed
    assert first.access.tls.certificate.read_bytes() != made
    assert (authority_folder(settings) / "ca.key").stat().st_mode & 0o077 == 0


def test_what_others_can_reach_is_neither_open_nor_in_clear(tmp_path: Path) -> None:
    for broker in (
        Broker(mqtt_listen="0.0.0.0:8883", devices="open"),
        Broker(mqtt_listen="0.0.0.0:8883", mqtt_tls=False),
    ):
        with pytest.raises(CordonError, match="others can reach"):
            prepare_listener(Settings(state_directory=str(tmp_path), broker=broker), 0)
    fine = Broker(mqtt_listen="0.0.0.0:8883")
    listening = prepare_listener(
        Settings(state_directory=str(tmp_path), broker=fine), wall_clock_us()
    )
    assert (listening.access.host, listening.access.port) == ("0.0.0.0", 8883)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(TlsFilesError, match=r"missing\.pem"):
        client_context(str(tmp_path / "missing.pem"))
    authority(tmp_path / "ca")
    with pytest.raises(CertificateError, match="already"):
        authority(tmp_path / "ca")
    with pytest.raises(CertificateError, match="cordon ca init"):
        Authority(tmp_path / "nowhere")
    expired = Authority(tmp_path / "ca").server(["localhost"], wall_clock_us() - 9 * DAY_US, 1)
    expired.write(tmp_path / "x.crt", tmp_path / "x.key")
    broker = Broker(mqtt_certificate=str(tmp_path / "x.crt"), mqtt_key=str(tmp_path / "x.key"))
    with pytest.raises(CertificateError, match="expired 8 days ago"):
        prepare_listener(Settings(state_directory=str(tmp_path), broker=broker), wall_clock_us())
