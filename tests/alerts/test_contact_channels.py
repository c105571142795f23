"""Channels to contacts, each talking to a real counterpart, in lanes of their own."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from alerts.channels import Channel
from alerts.channels.email import EmailChannel, MailServer
from alerts.channels.push import PushChannel
from alerts.channels.sms import SmsChannel
from alerts.channels.webhook import WebhookChannel, decode_secret
from alerts.contacts import Contact, Contacts, PushAddress
from alerts.deliveries import ChannelName, Delivery, DeliveryRecord, for_contact
from alerts.dispatcher import Dispatcher, DispatchLimits
from alerts.model import AlertChange, Ask
from alerts.outbox import Outbox
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    PROFILES,
    SECOND_US,
    START_US,
    WATCH,
    desk,
    transition,
)
from tests.alerts.receivers import http_receiver, mail_receiver

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
QUICK = DispatchLimits(attempt_s=1.0, retry_first_s=0.01, retry_longest_s=0.05)
NAMES: tuple[ChannelName, ...] = ("push", "sms", "email", "webhook")


class Bench:
    """A dispatcher with the channels of a test, and the contact "Ada" who has every address."""

    def __init__(self, origin: str = "http://127.0.0.1:9", **push: str) -> None:
        self.now_us = START_US
        ada = Contact(
            name="Ada",
            role="supervisor",
            push=PushAddress(endpoint=f"{origin}/push", **push),
            sms="+34600000001",
            email="ada@centre.example",
            webhook=f"{origin}/hook",
        )
        self.contacts = Contacts([ada], ("push", "sms", "email", "webhook"))
        self.outbox = Outbox(PROFILES, BEARERS.get, self.contacts)
        self.records: list[DeliveryRecord] = []
        self.channels: dict[ChannelName, Channel] = {}
        [self.change] = desk().on_transition(transition(1, Level.CONTACT), WATCH, now_us=START_US)

    def ask(self, *channels: ChannelName) -> list[Delivery]:
        """Have Ada asked by these channels."""
        asks = tuple(
            Ask(f"unacknowledged/supervisor-{n}", self.change.time, "supervisor", "Ada", channel)
            for n, channel in enumerate(channels, 1)
        )
        change = AlertChange(
            **{f: getattr(self.change, f) for f in self.change.__struct_fields__}
            | {"asked": asks, "type": "cordon.alert.escalated"}
        )
        deliveries = [for_contact(change, ask, PROFILES, "en") for ask in asks]
        self.dispatcher.submit([change])
        return [delivery for delivery in deliveries if delivery is not None]

    def states(self, channel: str) -> list[str]:
        return [record.state for record in self.records if record.channel == channel]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.channels.setdefault("agency", _Nowhere())
        self.dispatcher = Dispatcher(
            self.outbox, self.channels, self.records.append, lambda: self.now_us, QUICK
        )
        task = asyncio.create_task(self.dispatcher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _Nowhere:
    async def send(self, delivery: Delivery) -> None:
        del delivery


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is another part's state
            await asyncio.sleep(0.005)


def secrets_of(change: AlertChange) -> list[str]:
    return [str(change.data.wearer), str(change.data.protected), "contact", "321"]


async def test_a_webhook_is_a_signed_cloud_event_whose_id_stays() -> None:
    async with http_receiver(lambda number: 503 if number < 3 else 204) as receiver:
        bench = Bench(receiver.origin)
        bench.channels["webhook"] = WebhookChannel(
            bench.contacts, SECRET, lambda: bench.now_us + len(receiver.requests) * SECOND_US
        )
        async with bench.running():
            [delivery] = bench.ask("webhook")
            await until(lambda: bench.states("webhook"))
    assert bench.states("webhook") == ["sent"]
    assert bench.outbox.arrived(delivery.id)
    assert len(receiver.requests) == 3
    assert {r.headers["webhook-id"] for r in receiver.requests} == {delivery.id}
    assert len({r.headers["webhook-timestamp"] for r in receiver.requests}) == 3
    for request in receiver.requests:
        stamp = request.headers["webhook-timestamp"]
        signed = f"{delivery.id}.{stamp}.".encode() + request.body
        digest = hmac.new(b"k" * 32, signed, hashlib.sha256).digest()
        assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        event = json.loads(request.body)
        assert (event["specversion"], event["type"]) == ("1.0", "cordon.alert.asked")
        assert (event["id"], event["subject"]) == (delivery.id, bench.change.subject)
        assert request.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_what_is_refused_for_good_is_a_dead_letter_that_is_seen(status: int) -> None:
    async with http_receiver(lambda _number: status) as receiver:
        bench = Bench(receiver.origin)
        bench.channels["webhook"] = WebhookChannel(bench.contacts, SECRET, lambda: bench.now_us)
        async with bench.running():
            [delivery] = bench.ask("webhook")
            await until(lambda: bench.states("webhook"))
    [letter] = bench.outbox.dead_letters
    assert (letter.state, letter.delivery_id) == ("refused", delivery.id)
    assert f"HTTP {status}" in letter.reason
    assert not bench.outbox.arrived(delivery.id)
    assert len(receiver.requests) == 1


async def test_what_is_never_taken_expires_into_the_dead_letters() -> None:
    async with http_receiver(lambda _number: 500) as receiver:
        bench = Bench(receiver.origin)
        bench.channels["webhook"] = WebhookChannel(bench.contacts, SECRET, lambda: bench.now_us)
        async with bench.running():
            bench.ask("webhook")
            await until(lambda: len(receiver.requests) > 3)
            bench.now_us += 3_601 * SECOND_US
            await until(lambda: bench.states("webhook"))
    assert [letter.state for letter in bench.outbox.dead_letters] == ["expired"]


async def test_a_text_message_is_what_the_gateway_asks_for() -> None:
    body = '{"messages": [{"recipient": "$to", "content": "$text", "ref": "$id"}]}'
    async with http_receiver() as receiver:
        bench = Bench()
        bench.channels["sms"] = SmsChannel(
            bench.contacts, f"{receiver.origin}/send", "Bearer secret", body
        )
        async with bench.running():
            [delivery] = bench.ask("sms")
            await until(lambda: bench.states("sms"))
    [request] = receiver.requests
    [message] = json.loads(request.body)["messages"]
    assert (message["recipient"], message["ref"]) == ("+34600000001", delivery.id)
    assert message["content"].startswith("Cordon: an alert waits. ")
    assert not any(secret in message["content"] for secret in secrets_of(bench.change))
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["idempotency-key"] == delivery.id


@pytest.mark.parametrize("body", ['{"to": "$whom"}', '{"to": $to}', "to=$to"])
def test_a_body_that_cannot_be_filled_is_refused_at_the_start(body: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|\$whom|whom|Expecting|delimiter"):
        SmsChannel(Contacts(), "http://127.0.0.1:9", "", body)


async def test_push_carries_an_id_and_nothing_else() -> None:
    async with http_receiver() as receiver:
        bench = Bench(receiver.origin)
        bench.channels["push"] = PushChannel(bench.contacts)
        async with bench.running():
            [delivery] = bench.ask("push")
            await until(lambda: bench.states("push"))
    [request] = receiver.requests
    assert json.loads(request.body) == {"id": delivery.id}
    assert (request.headers["urgency"], request.headers["ttl"]) == ("high", "3600")
    assert not bench.outbox.arrived(delivery.id)  # taken by the push service, not by the officer
    record = bench.outbox.confirmed(delivery.id, "ada", now_us=START_US)
    assert record is not None
    assert (record.state, record.answer) == ("received", "ada")
    assert bench.outbox.arrived(delivery.id)
    assert bench.outbox.confirmed(delivery.id, "ada", now_us=START_US) is None


async def test_a_browser_cannot_be_reached_without_a_key() -> None:
    bench = Bench(p256dh="BAAA", auth="AAAA")
    bench.channels["push"] = PushChannel(bench.contacts)
    async with bench.running():
        bench.ask("push")
        await until(lambda: bench.states("push"))
    [letter] = bench.outbox.dead_letters
    assert "push_private_key" in letter.reason


async def test_mail_is_handed_in_under_an_id_that_stays() -> None:
    async with mail_receiver() as receiver:
        bench = Bench()
        server = MailServer("127.0.0.1", receiver.port, "cordon@centre.example", starttls=False)
        bench.channels["email"] = EmailChannel(bench.contacts, server)
        async with bench.running():
            [delivery] = bench.ask("email")
            await until(lambda: bench.states("email"))
    [(to, data)] = receiver.messages
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert (to, message["Message-ID"]) == ("ada@centre.example", f"<{delivery.id}@cordon>")
    assert message["Subject"] == "Cordon: an alert waits"
    assert bench.change.subject in message.get_content()
    assert not any(secret in data.decode() for secret in secrets_of(bench.change)[:2])


@pytest.mark.parametrize(("code", "state"), [(550, "refused"), (450, "expired")])
async def test_a_mail_server_that_refuses_the_address(code: int, state: str) -> None:
    async with mail_receiver() as receiver:
        receiver.refuse["ada@centre.example"] = code
        bench = Bench()
        server = MailServer("127.0.0.1", receiver.port, "cordon@centre.example", starttls=False)
        bench.channels["email"] = EmailChannel(bench.contacts, server)
        async with bench.running():
            bench.ask("email")
            lane = bench.dispatcher.counts["email"]
            await until(lambda: lane.failed_attempts or lane.refused)
            bench.now_us += 3_601 * SECOND_US
            await until(lambda: bench.states("email"))
    assert bench.states("email") == [state]


async def test_dead_channels_delay_no_other() -> None:
    """One that never answers and one that is not there: the others are sent all the same."""
    async with http_receiver(lambda _number: 0) as silent, http_receiver() as alive:
        bench = Bench(silent.origin)
        bench.channels["webhook"] = WebhookChannel(bench.contacts, SECRET, lambda: bench.now_us)
        bench.channels["push"] = PushChannel(bench.contacts)
        server = MailServer("127.0.0.1", 9, "cordon@centre.example", starttls=False)
        bench.channels["email"] = EmailChannel(bench.contacts, server)
        bench.channels["sms"] = SmsChannel(bench.contacts, alive.origin, "", '{"to": "$to"}')
        async with bench.running():
            bench.ask("webhook", "push", "email", "sms")
            await until(lambda: bench.states("sms") and bench.states("agency"))
            assert bench.states("webhook") == bench.states("push") == bench.states("email") == []
    assert [d.channel for d in bench.outbox.pending("webhook")] == ["webhook"]


async def test_a_contact_that_was_taken_off_is_not_sent_to() -> None:
    bench = Bench()
    channels: list[tuple[ChannelName, Any]] = [
        ("webhook", WebhookChannel(bench.contacts, SECRET, lambda: bench.now_us)),
        ("push", PushChannel(bench.contacts)),
        ("sms", SmsChannel(bench.contacts, "http://127.0.0.1:9", "", "{}")),
        ("email", EmailChannel(bench.contacts, MailServer("127.0.0.1", 9, "a@b.example"))),
    ]
    bench.channels.update(channels)
    async with bench.running():
        bench.ask(*NAMES)
        bench.contacts.replace(Contacts())
        await until(lambda: all(bench.states(name) for name in NAMES))
    assert [bench.states(name) for name in NAMES] == [["refused"]] * 4


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_" + "A" * 8])
def test_a_weak_or_broken_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        decode_secret(secret)
