"""The authorization service: nats-server asks it about everybody who wants in.

Each connection to the MQTT listener but the service's own waits until one of the authorizers has
answered (they share a queue group, so one that is gone is not missed). With none left nobody new
comes in after the broker's limit of 5 s; who is in stays in.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.broker_refusals import BrokerRefusals
from cordon.connections import CONNECT_TIMEOUT_S, connect_nats, while_open
from cordon.identity.registry_feed import RegistryCopy
from cordon.identity.tokens import Issuer, Question, TokenError, read_question
from devices.credentials import (
    HEALTH_CHECK,
    Admitted,
    Login,
    Refused,
    Rights,
    rights_of,
)
from devices.instants import MICROSECONDS, Clock
from ingest.formats import owntracks

log = structlog.get_logger("authorizer")

QUESTIONS = "$SYS.REQ.USER.AUTH"
QUEUE = "cordon-authorizers"
TOPIC = "$broker/login"
DEVICES_ACCOUNT = "CORDON"
"""The NATS account that devices come into; the service's own."""

OWNTRACKS_KINDS = ("event", "waypoint", "waypoints", "dump", "status", "step", "card")
"""What the app publishes below its own topic."""

_PLAIN_TOPIC = re.compile(r"owntracks/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")
"""Anything else means something else to nats-server: a dot, a star."""

MQTT = ("mqtt", "mqtt_websocket")
SESSION_S = 12 * 3600
"""After so long at most the broker closes a session, whatever else fails to: a second net under
revocation. Shorter would make devices reconnect, and say that they were away, for nothing."""

SPREAD = 0.25
"""Sessions end up to this part earlier, each at its own moment: those that began together, after
the broker's restart, must not end together."""


@dataclass(slots=True)
class AuthorizerCounts:
    """What an authorizer has answered since its start.

    Attributes:
        unreadable: Questions that no server of ours can have asked; not answered.
        late: Questions that nobody waited for any more; not answered.
        not_ready: Turned away because no registry is at hand yet.
    """

    admitted: int = 0
    refused: int = 0
    unreadable: int = 0
    late: int = 0
    not_ready: int = 0


class Authorizer:
    """Answers the broker's questions over a connection of its own.

    Args:
        url: NATS address with the rights of the authorization account.
        issuer: Signs the answers; its public key stands in the server's configuration.
        copy: The registry in force.
        refusals: Where those who are turned away are kept.
        clock: The time.
        nameless: Device that a connection without a name may speak for, in a demonstration.

    Attributes:
        counts: See `AuthorizerCounts`.
        ready: Set while it answers.
    """

    def __init__(
        self,
        url: str,
        issuer: Issuer,
        copy: RegistryCopy,
        refusals: BrokerRefusals,
        clock: Clock,
        *,
        nameless: str = "",
    ) -> None:
        self._url = url
        self._issuer = issuer
        self._copy = copy
        self._refusals = refusals
        self._clock = clock
        self._nameless = nameless
        self.counts = AuthorizerCounts()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Answer until cancelled."""
        nc = await connect_nats(self._url, "authorizer")
        try:
            await nc.subscribe(QUESTIONS, queue=QUEUE, cb=self._answer)
            await _echo(nc)
            self.ready.set()
            await while_open(nc)
        finally:
            self.ready.clear()
            await nc.close()

    async def _answer(self, message: Msg) -> None:
        try:
            question = read_question(message.data)
        except TokenError as error:
            self.counts.unreadable += 1
            log.error("authorization_request_unreadable", reason=str(error))  # noqa: TRY400
            return
        now_us = self._clock()
        if question.expires_s and question.expires_s * MICROSECONDS < now_us:
            self.counts.late += 1
            return
        await message.respond(self._decide(question, now_us))

    def _decide(self, question: Question, now_us: int) -> bytes:
        now_s = now_us // MICROSECONDS
        registry = self._copy.registry
        if registry is None:
            self.counts.not_ready += 1
            return self._issuer.refuse(question, reason="no registry at hand yet", now_s=now_s)
        if question.user == HEALTH_CHECK:
            return self._issuer.refuse(question, reason="a health check", now_s=now_s)
        login = _login(question)
        if question.client.type not in MQTT:
            return self._turn_away(
                question,
                login,
                "not_mqtt",
                "Devices speak MQTT; this is another kind of connection.",
                now_s,
            )
        if self._nameless and not login.user and not login.fingerprint:
            found = registry.under_name(Admitted(self._nameless, None), login.client_id)
        else:
            found = registry.admit(login, now_us)
        if isinstance(found, Refused):
            return self._turn_away(question, login, found.code, found.reason, now_s, found.device)
        self.counts.admitted += 1
        return self._issuer.admit(
            question,
            account=DEVICES_ACCOUNT,
            name=found.device,
            rights=all_rights(found.device),
            exp_s=_end_s(question.user_key, now_s, found.until_us),
            now_s=now_s,
        )

    def _turn_away(
        self,
        question: Question,
        login: Login,
        code: str,
        reason: str,
        now_s: int,
        device: str = "",
    ) -> bytes:
        self.counts.refused += 1
        seen = {"user": login.user, "client_id": login.client_id, "server": question.server}
        self._refusals.put(
            TOPIC,
            device or login.user or login.client_id,
            code,
            f"Not let in: {reason}",
            msgspec.json.encode(seen),
        )
        return self._issuer.refuse(question, reason=code, now_s=now_s)


def all_rights(device: str) -> Rights:
    """What a device may do, in Cordon's own format and in that of OwnTracks if its id is such."""
    rights = rights_of(device)
    topic = owntracks.topic_of(device)
    if topic is None or _PLAIN_TOPIC.fullmatch(topic) is None:
        return rights
    own = topic.replace("/", ".")
    return Rights(
        publish=(*rights.publish, own, *(f"{own}.{kind}" for kind in OWNTRACKS_KINDS)),
        subscribe=(*rights.subscribe, f"{own}.cmd"),
    )


async def _echo(nc: NatsClient) -> None:
    """Returns when the server has taken in all that was said before. Not by `flush`: see heartbeat.

    Raises:
        nats.errors.Error: It does not answer.
    """
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish(inbox, b"")
    await subscription.next_msg(timeout=CONNECT_TIMEOUT_S)
    await subscription.unsubscribe()


def _login(question: Question) -> Login:
    return Login(
        user=question.user,
        password=question.password,
        client_id=question.client.mqtt_id,
        fingerprint=fingerprint_of(question.certificate_pem) if question.certificate_pem else b"",
    )


def fingerprint_of(pem: str) -> bytes:
    """SHA-256 of a certificate's DER form."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _end_s(user_key: str, now_s: int, until_us: int | None) -> int:
    """When the broker is to close the session, seconds since 1970."""
    share = hashlib.sha256(user_key.encode()).digest()[0] / 255
    end_s = now_s + int(SESSION_S * (1 - SPREAD * share))
    return end_s if until_us is None else min(end_s, until_us // MICROSECONDS)
