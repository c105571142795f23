"""The MQTT clients: one that acknowledges when told to, one that publishes and waits for PUBACK.

aiomqtt gives no way to acknowledge by hand, and reads one packet per turn of the event loop, so
`AckClient` reaches into it and into the paho client inside: it reads the socket itself, in large
pieces, keeps the messages and leaves all else to paho. That is why the version is pinned to 2.5:
look at this module again before raising it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, NamedTuple, Self

import aiomqtt
import structlog

from devices.instants import Clock
from ingest.ending import end_if_told
from ingest.packets import PUBACK, PacketReader, Publish, puback

KEEPALIVE_S = 30
ANSWER_LIMIT_S = 10.0
"""How long the broker may take over CONNACK and SUBACK."""

READ_BYTES = 256 * 1024
READS_PER_TURN = 4
"""The most that one turn of the event loop reads is the product: some thousand small messages.

Left to themselves paho and aiomqtt read one packet per turn, by four system calls. When other work
makes turns long (the history catching up), that is fewer messages than a busy broker has; the socket
fills, the broker waits its time and closes the connection.
"""

PENDING_PUBLISHES = 1_000
"""Publishes that may wait for their PUBACK at once."""

PUBLISHES_ON_THE_WIRE = 100
PUBLISH_LIMIT_S = 10.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 5.0

# Nagle's algorithm holds a small packet back until the one before is confirmed: 40 ms on every
# acknowledgement that follows a publish.
_NO_DELAY = ((IPPROTO_TCP, TCP_NODELAY, 1),)
_QUIET = 1_000_000  # aiomqtt warns above ten pending calls; here the limits above count them

log = structlog.get_logger("ingest")


@dataclass(frozen=True)
class MqttBroker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class Incoming(NamedTuple):
    """A message as it arrived on one connection.

    Attributes:
        mid: Packet id, which names the message on this connection until it is acknowledged.
        retained: The broker's kept copy, sent because we subscribed.
    """

    received_us: int
    topic: str
    payload: bytes
    qos: int
    mid: int
    retained: bool


class AckClient(aiomqtt.Client):
    """One connection of a persistent session, acknowledging only what `ack` is told.

    Make a new one for every connection. Its queue has no limit of its own, because what overflows
    a queue of aiomqtt is gone: what bounds it is how many messages the broker sends without an
    acknowledgement (`max_ack_pending` of nats-server, `max_inflight_messages` of mosquitto).
    """

    def __init__(
        self,
        broker: MqttBroker,
        *,
        identifier: str,
        clock: Clock,
        is_urgent: Callable[[str], bool] = lambda _topic: False,
    ) -> None:
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            tls_context=broker.tls,
            identifier=identifier,
            clean_session=False,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_LIMIT_S,
            socket_options=_NO_DELAY,
        )
        self._client.manual_ack_set(True)
        self._clock = clock
        self._is_urgent = is_urgent
        self._urgent: deque[Incoming] = deque()
        self._arrived: deque[Incoming] = deque()
        self._wake = asyncio.Event()
        self._packets = PacketReader()
        self._for_paho = b""
        self._ended = False
        self._receive = self._client._sock_recv  # noqa: SLF001
        self._client._sock_recv = self._feed_paho  # type: ignore[method-assign,assignment]  # noqa: SLF001

    async def __aenter__(self) -> Self:
        """Connects.

        Raises:
            aiomqtt.MqttError: No connection, or the broker refuses it.
        """
        try:
            await super().__aenter__()
        except BaseException:
            self._client.disconnect()  # aiomqtt would leave the socket of a failed attempt open
            raise
        self._disconnected.add_done_callback(lambda _: self._wake.set())
        return self

    async def listen(self, filters: tuple[str, ...]) -> None:
        """Subscribes with QoS 1.

        Raises:
            aiomqtt.MqttError: The broker does not answer or does not grant all of them.
        """
        granted = await self.subscribe([(text, 1) for text in filters])
        codes = [code if isinstance(code, int) else code.value for code in granted]
        if codes != [1] * len(filters):
            raise aiomqtt.MqttError(
                f"the broker granted {codes} for the subscriptions {list(filters)}, not QoS 1 for "
                "each; reports on the others would be missed. Look at the service's rights and at "
                "the broker's limits on subscriptions."
            )

    async def leave(self, filters: tuple[str, ...]) -> None:
        """Gives up subscriptions that this session may have from earlier.

        Raises:
            aiomqtt.MqttError: The broker does not answer.
        """
        await self.unsubscribe(list(filters))

    async def take(self, max_messages: int, max_bytes: int) -> list[Incoming]:
        """What has arrived, at least one message, in order; what is urgent first and by itself.

        Args:
            max_messages: The most to take at once.
            max_bytes: Stop when the payloads taken exceed this.

        Raises:
            aiomqtt.MqttError: The connection is gone. What arrived and was not taken is dropped
                here; the broker still has it.
        """
        self._require_connection()
        while not (self._arrived or self._urgent):
            self._wake.clear()
            await self._wake.wait()
            self._require_connection()
        waiting = self._urgent or self._arrived
        taken: list[Incoming] = []
        size_bytes = 0
        while waiting and len(taken) < max_messages and size_bytes < max_bytes:
            taken.append(waiting.popleft())
            size_bytes += len(taken[-1].payload)
        return taken

    def ack(self, messages: Sequence[Incoming]) -> int:
        """Sends PUBACK for messages of this very connection, in one piece.

        Returns:
            How many are settled; 0 if the connection is gone, and the broker will send them again.
        """
        mids = [message.mid for message in messages if message.qos]
        if mids:
            if self._disconnected.done():
                return 0
            self._send(puback(mids))
        return len(messages)

    def _send(self, data: bytes) -> None:
        """At once, past paho's queue, which takes four system calls and a turn of the loop."""
        client, sent = self._client, 0
        if not client._out_packet:  # noqa: SLF001 -- what waits there must go first
            with contextlib.suppress(BlockingIOError, OSError):  # a lost socket shows in `_read`
                sent = client._sock_send(data)  # noqa: SLF001
        if sent < len(data):
            client._packet_queue(PUBACK, data[sent:], 0, 0)  # noqa: SLF001

    def _require_connection(self) -> None:
        if self._disconnected.done():
            raise aiomqtt.MqttError("disconnected from the broker") from (
                self._disconnected.exception()
            )

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        super()._on_socket_open(client, userdata, sock)
        # Takes the place of aiomqtt's own reader. paho calls this from another thread.
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), self._read)

    def _read(self) -> None:
        """Takes what the socket has, up to `READ_BYTES` times `READS_PER_TURN`."""
        if self._client.socket() is None:  # closed since this turn was asked for
            return
        try:
            for _ in range(READS_PER_TURN):
                data = self._receive(READ_BYTES)
                self._take_in(data)
                if not data:
                    return
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001 - as in aiomqtt: the connection broke
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
        else:
            self._loop.call_soon(self._read)  # what TLS has decrypted wakes nobody

    def _take_in(self, data: bytes) -> None:
        """Keeps messages; gives all else to paho, and the end of the stream as well."""
        now_us = self._clock()
        for packet in self._packets.feed(data):
            if isinstance(packet, Publish):
                topic = _readable(packet.topic)
                waiting = self._urgent if self._is_urgent(topic) else self._arrived
                waiting.append(Incoming(now_us, topic, *packet[1:]))
            else:
                self._for_paho += packet
                self._client.loop_read()
        if not data:
            self._ended = True
            self._client.loop_read()
        if self._arrived or self._urgent:
            self._wake.set()

    def _feed_paho(self, size: int) -> bytes:
        """Stands in for the socket where paho reads: it sees what is not ours."""
        if not self._for_paho and not self._ended:
            raise BlockingIOError
        data, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return data


def _readable(topic: bytes) -> str:
    return topic.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


class PublishError(RuntimeError):
    """The message is not known to have reached the broker; it may be sent again."""


class _PromptClient(aiomqtt.Client):
    """Writes in the next turn of the event loop.

    aiomqtt wakes the loop by its pipe and has it watch the socket first: two turns and four system
    calls more on the way of every alert.
    """

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        def write() -> None:
            client.loop_write()
            if client.want_write():  # the socket is full
                watch(client, userdata, sock)

        watch = super()._on_socket_register_write
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # while connecting, paho calls this from another thread
            watch(client, userdata, sock)
        else:
            self._loop.call_soon(write)


class _Link(NamedTuple):
    """A connection, and the future that is done when it is lost."""

    client: aiomqtt.Client
    lost: asyncio.Future[None]


class Publisher:
    """Publishes with QoS 1 over one connection that `run` keeps alive.

    Attributes:
        ready: Set while there is a connection.
    """

    def __init__(self, broker: MqttBroker, *, identifier: str) -> None:
        self._broker = broker
        self._identifier = identifier
        self._link: _Link | None = None
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
                log.warning("publisher_disconnected", error=str(error), retry_s=backoff_s)
            end_if_told()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, BACKOFF_MOST_S)

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
        link = self._link
        if link is None:
            return False
        sending = asyncio.create_task(
            link.client.publish(topic, payload, qos=1, retain=retain), name="mqtt-publish"
        )
        try:
            # aiomqtt does not end a publish when the connection ends.
            await asyncio.wait({sending, link.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                return False
            sending.result()
        except aiomqtt.MqttError:
            return False
        finally:
            sending.cancel()
        return True

    async def _hold(self, client: aiomqtt.Client) -> None:
        """Offers the connection to `publish` until it breaks."""
        self._link = _Link(client, asyncio.get_running_loop().create_future())
        self.ready.set()
        try:
            async for _ in client.messages:  # none is expected; this ends with the connection
                pass
        finally:
            self.ready.clear()
            self._link.lost.set_result(None)
            self._link = None

    def _new_client(self) -> aiomqtt.Client:
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
            socket_options=_NO_DELAY,
        )
        client.pending_calls_threshold = _QUIET
        return client
