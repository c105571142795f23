"""Where the broker is, and the MQTT client that publishes and waits for PUBACK."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Self, TypeVar, cast

import aiomqtt
import structlog

from devices.ending import end_if_told
from ingest.tls import explained

KEEPALIVE_S = 30
ANSWER_LIMIT_S = 10.0
"""How long the broker may take over CONNACK and SUBACK."""

PENDING_PUBLISHES = 1_000
"""Publishes that may wait for their PUBACK at once."""

PUBLISHES_ON_THE_WIRE = 100
PUBLISH_LIMIT_S = 10.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 5.0

# Nagle's algorithm holds a small packet back until the one before is confirmed: 40 ms on every
# acknowledgement that follows a publish.
NO_DELAY = ((IPPROTO_TCP, TCP_NODELAY, 1),)
_QUIET = 1_000_000  # aiomqtt warns above ten pending calls; here the limits above count them

_Answer = TypeVar("_Answer")

log = structlog.get_logger("ingest")


@dataclass(frozen=True)
class MqttBroker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class PublishError(RuntimeError):
    """The message is not known to have reached the broker; it may be sent again."""


class _Confirmation:
    """Awaits the PUBACK of one message; aiomqtt sets it, and would wait on for a lost one."""

    def __init__(self) -> None:
        self.known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        """The broker has the message."""
        self.end(confirmed=True)

    def end(self, *, confirmed: bool) -> None:
        """Nothing more will be heard of it."""
        if not self.known.done():
            self.known.set_result(confirmed)


class ClosingClient(aiomqtt.Client):
    """An MQTT client that can be ended at any moment.

    It closes the socket of an attempt to connect that fails or is given up, which aiomqtt leaves open,
    and hears a cancellation that comes together with the broker's answer.
    """

    async def __aenter__(self) -> Self:
        """Connects.

        Raises:
            aiomqtt.MqttError: No connection, or the broker refuses it.
        """
        try:
            return await super().__aenter__()
        except BaseException:
            self._client._reset_sockets()  # noqa: SLF001 - `disconnect` waits for a loop that is left
            raise

    async def _wait_for(self, fut: Awaitable[_Answer], timeout: float | None) -> _Answer:  # noqa: ASYNC109 - aiomqtt's
        """In place of aiomqtt's, which waits by `asyncio.wait_for`; see `devices.ending`."""
        limit_s = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if limit_s == math.inf else limit_s):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None


class _PromptClient(ClosingClient):
    """Writes at once.

    aiomqtt wakes the loop by its pipe and has it watch the socket first, and its `publish` needs a
    task of its own to be left when the connection is lost: three turns of the loop and four system
    calls more on the way of every alert.
    """

    def begin(self, topic: str, payload: bytes, *, retain: bool) -> asyncio.Future[bool] | None:
        """Writes a message with QoS 1; see `Publisher.begin`."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc:
            return None
        confirmation = _Confirmation()
        waiting = self._pending_publishes
        waiting[info.mid] = cast("asyncio.Event", confirmation)
        confirmation.known.add_done_callback(lambda _: waiting.pop(info.mid, None))
        return confirmation.known

    def give_up(self) -> None:
        """The connection is gone: whoever waits learns that nothing will be confirmed."""
        for waiting in list(self._pending_publishes.values()):
            cast("_Confirmation", waiting).end(confirmed=False)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        watch = super()._on_socket_register_write
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # while connecting, paho calls this from another thread
            watch(client, userdata, sock)
            return
        try:
            client.loop_write()
        except Exception as error:  # noqa: BLE001 - as in aiomqtt: the connection broke
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
            return
        if client.want_write():  # the socket is full
            watch(client, userdata, sock)


class Publisher:
    """Publishes with QoS 1 over one connection that `run` keeps alive.

    Attributes:
        ready: Set while there is a connection.
    """

    def __init__(self, broker: MqttBroker, *, identifier: str) -> None:
        self._broker = broker
        self._identifier = identifier
        self._link: _PromptClient | None = None
        self.ready = asyncio.Event()
        self._pending = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    @property
    def pending(self) -> int:
        """Publishes that wait for a connection or for their PUBACK."""
        return self._pending

    async def run(self) -> None:
        """Connects, and connects again whenever the connection is lost; ends when cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                async with self._new_client() as client:
                    backoff_s = BACKOFF_FIRST_S
                    await self._hold(client)
            except aiomqtt.MqttError as error:
                log.warning("publisher_disconnected", error=explained(error), retry_s=backoff_s)
            end_if_told()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, BACKOFF_MOST_S)

    def begin(
        self, topic: str, payload: bytes, *, retain: bool = False
    ) -> asyncio.Future[bool] | None:
        """Writes one message at once, in this very turn of the loop.

        Returns:
            What becomes true when the broker has confirmed it, and false when the connection is
            lost before: then `publish` it. None: it cannot be written now.

        Raises:
            ValueError: Nothing can be published on this topic.
        """
        return None if self._link is None else self._link.begin(topic, payload, retain=retain)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publishes one message and returns when the broker has confirmed it.

        A connection lost in between is waited for and the message sent again, so a receiver may
        see it twice.

        Raises:
            PublishError: No confirmation within `PUBLISH_LIMIT_S`, or too many are waiting.
            ValueError: Nothing can be published on this topic.
        """
        if self._pending >= PENDING_PUBLISHES:
            raise PublishError(
                f"{self._pending} messages already wait for the broker's confirmation; this one "
                "was not sent. The broker is unreachable or far too slow."
            )
        self._pending += 1
        try:
            async with asyncio.timeout(PUBLISH_LIMIT_S):
                while True:
                    if await self._attempt(topic, payload, retain=retain):
                        return
                    await asyncio.sleep(BACKOFF_FIRST_S)
        except TimeoutError:
            raise PublishError(
                f"The broker did not confirm a message within {PUBLISH_LIMIT_S:g} s "
                f"({'connected' if self.connected else 'not connected'}). It may or may not have "
                "arrived; sending it again is safe."
            ) from None
        finally:
            self._pending -= 1

    async def _attempt(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Sends on the present connection. False: it was lost before the confirmation."""
        await self.ready.wait()
        confirmed = self.begin(topic, payload, retain=retain)
        return confirmed is not None and await confirmed

    async def _hold(self, client: _PromptClient) -> None:
        """Offers the connection to `publish` until it breaks."""
        self._link = client
        self.ready.set()
        try:
            async for _ in client.messages:  # none is expected; this ends with the connection
                pass
        finally:
            self.ready.clear()
            self._link = None
            client.give_up()

    def _new_client(self) -> _PromptClient:
        client = _PromptClient(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            tls_context=self._broker.tls,
            identifier=self._identifier,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_LIMIT_S,
            max_inflight_messages=PUBLISHES_ON_THE_WIRE,
            socket_options=NO_DELAY,
        )
        client.pending_calls_threshold = _QUIET
        return client
