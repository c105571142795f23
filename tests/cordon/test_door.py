"""A device can only ever speak for itself: on a real broker that asks who comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from nats.aio.msg import Msg

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.identity.provisioning import new_password
from devices.credential_store import CredentialStore
from tests.conftest import Database
from tests.cordon.doors import LIMIT_S, Door, asking, door, until


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker", access=asking())
    server.start()
    yield server
    server.stop()


async def assert_out(client: aiomqtt.Client) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with client:
            pass


async def heard(at: Door) -> list[tuple[str, bytes]]:
    """What the service hears from now on."""
    messages: list[tuple[str, bytes]] = []

    async def take(message: Msg) -> None:
        messages.append((message.subject, message.data))

    await at.nc.subscribe("cordon.v1.>", cb=take)
    await at.nc.flush()
    return messages


async def test_a_device_comes_in_with_its_own_password_and_nobody_else_does(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "tag-2")
        messages = await heard(at)
        async with at.client("tag-1", passwords["tag-1"]) as device:
            await device.publish("cordon/v1/tag-1/fix", b"mine", qos=1)
            await until(lambda: one(messages), "it is heard")
        assert messages == [("cordon.v1.tag-1.fix", b"mine")]
        await assert_out(at.client("tag-1", "guessed"))
        assert "password is wrong" in (await at.refused("tag-1", "wrong_password")).reason
        await assert_out(at.client("tag-1", passwords["tag-2"]))
        await assert_out(at.client("tag-1", None))
        await assert_out(at.client("stranger", passwords["tag-1"]))
        assert "adopt" in (await at.refused("stranger", "unknown_device")).reason
        await assert_out(at.client(None, None, identifier="nobody"))
        await at.refused("nobody", "no_name")


async def one(messages: list[tuple[str, bytes]]) -> bool:
    return len(messages) == 1


async def test_a_new_device_works_at_once_and_without_a_restart(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        await at.give("tag-1")
        pid = asker.pid
        passwords = await at.give("tag-new")
        async with at.client("tag-new", passwords["tag-new"]) as device:
            await device.publish("cordon/v1/tag-new/fix", b"here", qos=1)
        assert asker.pid == pid


async def test_what_a_device_publishes_for_another_is_seen_and_does_not_arrive(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "tag-2")
        messages = await heard(at)
        async with at.client("tag-1", passwords["tag-1"], identifier="anything") as device:
            await device.publish("cordon/v1/tag-2/fix", b"not mine", qos=1)  # acknowledged
            await device.publish("core/journal/0", b"not mine", qos=1)
            await device.publish("cordon/v1/tag-1/fix", b"mine", qos=1)
            kept = await at.refused("tag-1", "not_its_topic")
        assert "cordon.v1.tag-2.fix" in kept.reason
        assert messages == [("cordon.v1.tag-1.fix", b"mine")]


async def test_a_device_hears_its_own_commands_alone(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "phone-1")
        async with at.client("tag-1", passwords["tag-1"]) as tag:
            own = await tag.subscribe("cordon/v1/tag-1/command", qos=1)
            assert [code.value for code in own] == [1]  # type: ignore[union-attr]
            for other in ("cordon/v1/phone-1/command", "cordon/v1/+/command", "#", "$SYS/#"):
                refused = await tag.subscribe(other, qos=1)
                assert [code.value for code in refused] == [0x80], other  # type: ignore[union-attr]
            assert (await at.refused("tag-1", "not_its_commands")).reason


async def test_a_device_does_not_take_over_another_session(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "tag-2")
        for theirs in ("tag-2", "tag-2/x", "cordon-gateway-0"):
            await assert_out(at.client("tag-1", passwords["tag-1"], identifier=theirs))
        await at.refused("tag-1", "other_client_id")
        async with at.client("tag-1", passwords["tag-1"], identifier="tag-1/app"):
            pass


async def test_a_revoked_device_is_cut_off_and_stays_out(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "tag-2")
        async with at.client("tag-2", passwords["tag-2"]) as other:
            async with at.client("tag-1", passwords["tag-1"]) as device:
                await at.revoke("tag-1")
                with pytest.raises(aiomqtt.MqttError):
                    await asyncio.wait_for(anext(device.messages), LIMIT_S)
            await assert_out(at.client("tag-1", passwords["tag-1"]))
            kept = await at.refused("tag-1", "credential_revoked")
            assert "Kim: the tag was lost" in kept.reason
            await other.publish("cordon/v1/tag-2/fix", b"still here", qos=1)
        renewed = await at.give("tag-1")
        async with at.client("tag-1", renewed["tag-1"]):
            pass


async def test_one_authorizer_is_enough_and_without_any_who_is_in_stays_in(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        passwords = await at.give("tag-1", "tag-2")
        at.tasks["authorizer-0"].cancel()
        await asyncio.wait({at.tasks["authorizer-0"]})
        # The broker may still ask who has just gone; a device that is refused so comes again.
        await until(lambda: comes_in(at, "tag-1", passwords), "the other one answers")
        async with at.client("tag-1", passwords["tag-1"]) as device:
            at.tasks["authorizer-1"].cancel()
            await asyncio.wait({at.tasks["authorizer-1"]})
            await assert_out(at.client("tag-2", passwords["tag-2"]))
            await device.publish("cordon/v1/tag-1/fix", b"still here", qos=1)
            again = asyncio.create_task(at.keeper.authorizers[0].run())
            await until(lambda: comes_in(at, "tag-2", passwords), "an authorizer is back")
            again.cancel()


async def comes_in(at: Door, device: str, passwords: dict[str, str]) -> bool:
    try:
        async with at.client(device, passwords[device]):
            return True
    except aiomqtt.MqttError:
        return False


async def test_a_device_comes_in_while_the_database_is_down(
    asker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    async with door(asker, postgres.dsn) as at:
        passwords = await at.give("tag-1")
    postgres.kill()
    async with door(asker, postgres.dsn) as at:  # started with the database away
        await until(lambda: comes_in(at, "tag-1", passwords), "the kept registry is read")
        await assert_out(at.client("tag-1", "guessed"))
        postgres.start()
        renewed = await at.give("tag-1")  # and what has changed is taken over when it is back
        await assert_out(at.client("tag-1", passwords["tag-1"]))
        async with at.client("tag-1", renewed["tag-1"]):
            pass


async def test_a_session_ends_with_its_credential(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn) as at:
        made, password = new_password("tag-1", by="test", now_us=wall_clock_us(), days=4 / 86_400)
        async with CredentialStore(database.dsn).open() as opened:
            await opened.issue([made], replace=True)
            version = await opened.version()
        await at.keeper.copy.wait_for(version)
        at.tasks["sessions"].cancel()  # the broker does it by itself
        async with at.client("tag-1", password) as device:
            with pytest.raises(aiomqtt.MqttError):
                await asyncio.wait_for(anext(device.messages), LIMIT_S)
        await assert_out(at.client("tag-1", password))
        await at.refused("tag-1", "credential_expired")


async def test_in_a_demonstration_who_gives_no_name_is_the_guest_and_no_more(
    asker: EmbeddedBroker, database: Database
) -> None:
    async with door(asker, database.dsn, nameless="tag-guest") as at:
        await at.give("tag-1")
        messages = await heard(at)
        await assert_out(at.client(None, identifier="cordon-gateway-0"))
        async with at.client(None, identifier="mosq-abc") as guest:
            await guest.publish("cordon/v1/tag-1/fix", b"not mine", qos=1)
            await guest.publish("cordon/v1/tag-guest/fix", b"mine", qos=1)
            await until(lambda: one(messages), "it is heard")
        assert messages == [("cordon.v1.tag-guest.fix", b"mine")]
