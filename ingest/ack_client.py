"""The MQTT client that acknowledges when told to.

aiomqtt gives no way to acknowledge by hand, and reads one packet per turn of the event loop, so
`AckClient` reaches into it and into the paho client inside: it reads the socket itself, in large
pieces, keeps the messages and leaves all else to paho. That is why the version is pinned to 2.5:
look at this module again before raising it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiomqtt

from devices.instants import Clock
from ingest.mqtt import ANSWER_LIMIT_S, KEEPALIVE_S, NO_DELAY, ClosingClient, MqttBroker
from ingest.packets import PUBACK, PacketReader, Publish, puback

READ_BYTES = 256 * 1024
ACK_PAUSE_S = 0.005
"""Acknowledgements of so long go in one piece: each piece is a system call that the broker wakes up by.
What it holds for us meanwhile is some messages more of the thousands that it may (`max_ack_pending`)."""

READS_PER_TURN = 4
"""The most that one turn of the event loop reads is the product: some thousand small messages.

Left to themselves paho and aiomqtt read one packet per turn, by four system calls. When other work
makes turns long (the history catching up), that is fewer messages than a busy broker has; the socket
fills, the broker waits its time and closes the connection.
"""


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


class AckClient(ClosingClient):
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
        is_bulk: Callable[[str, int], bool] = lambda _topic, _size_bytes: False,
        on_repeated: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares a client; nothing is sent yet.

        Args:
            broker: Where to connect.
            identifier: Of the session.
            clock: Gives the time of arrival.
            is_urgent: By topic, whether a message goes before all others.
            is_bulk: By topic and bytes of the payload, whether it is left to `take_bulk`; asked of
                what is not urgent.
            on_repeated: Called for what arrives again before it was acknowledged.
        """
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
            socket_options=NO_DELAY,
        )
        self._client.manual_ack_set(True)
        self._clock = clock
        self._is_urgent = is_urgent
        self._is_bulk = is_bulk
        self._on_repeated = on_repeated
        self._urgent: deque[Incoming] = deque()
        self._arrived: deque[Incoming] = deque()
        self._bulk: deque[Incoming] = deque()
        self._held: dict[int, Incoming] = {}
        self._wake = asyncio.Event()
        self._wake_bulk = asyncio.Event()
        self._packets = PacketReader()
        self._for_paho = b""
        self._ended = False
        self._unsent: list[int] = []
        self._sending: asyncio.TimerHandle | None = None
        self._receive = self._client._sock_recv  # noqa: SLF001
        self._client._sock_recv = self._feed_paho  # type: ignore[method-assign,assignment]  # noqa: SLF001

    async def __aenter__(self) -> Self:
        """Connects.

        Raises:
            aiomqtt.MqttError: No connection, or the broker refuses it.
        """
        await super().__aenter__()
        self._disconnected.add_done_callback(lambda _: self._wake.set())
        self._disconnected.add_done_callback(lambda _: self._wake_bulk.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sends the acknowledgements that wait, and disconnects."""
        self._send_acks()
        await super().__aexit__(kind, error, traceback)

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

    @property
    def waiting(self) -> int:
        """Messages that have arrived and have not been taken; without those for `take_bulk`."""
        return len(self._urgent) + len(self._arrived)

    @property
    def unacked(self) -> int:
        """Messages that have arrived and have not been acknowledged."""
        return len(self._held)

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
        return _first(self._urgent or self._arrived, max_messages, max_bytes)

    async def take_bulk(self, max_bytes: int) -> list[Incoming]:
        """The same of what `take` leaves here. Several tasks may wait at once."""
        self._require_connection()
        while not self._bulk:
            self._wake_bulk.clear()
            await self._wake_bulk.wait()
            self._require_connection()
        return _first(self._bulk, len(self._bulk), max_bytes)

    def ack(self, messages: Sequence[Incoming]) -> int:
        """Sends PUBACK for messages of this very connection, with others within `ACK_PAUSE_S`.

        Returns:
            How many are settled; 0 if the connection is gone, and the broker will send them again,
            as it does when it is lost before they are sent.
        """
        mids = [message.mid for message in messages if message.qos]
        for mid in mids:
            self._held.pop(mid, None)
        if mids:
            if self._disconnected.done():
                return 0
            self._unsent += mids
            if self._sending is None:
                self._sending = self._loop.call_later(ACK_PAUSE_S, self._send_acks)
        return len(messages)

    def _send_acks(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        mids, self._unsent = self._unsent, []
        if mids and not self._disconnected.done():
            self._send(puback(mids))

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
                self._take_up(Incoming(now_us, _readable(packet.topic), *packet[1:]))
            else:
                self._for_paho += packet
                self._client.loop_read()
        if not data:
            self._ended = True
            self._client.loop_read()
        if self._arrived or self._urgent:
            self._wake.set()
        if self._bulk:
            self._wake_bulk.set()

    def _take_up(self, message: Incoming) -> None:
        """Puts a message where it waits, unless it is held already.

        A broker repeats what stays unacknowledged for long, under the same packet id. Taking it again
        would pile up copies for as long as the journal stalls.
        """
        if message.qos:
            held = self._held.get(message.mid)
            if held is not None and held[1:3] == message[1:3]:
                self._on_repeated()
                return
            self._held[message.mid] = message
        if self._is_urgent(message.topic):
            self._urgent.append(message)
        elif self._is_bulk(message.topic, len(message.payload)):
            self._bulk.append(message)
        else:
            self._arrived.append(message)

    def _feed_paho(self, size: int) -> bytes:
        """Stands in for the socket where paho reads: it sees what is not ours."""
        if not self._for_paho and not self._ended:
            raise BlockingIOError
        data, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return data


def _first(waiting: deque[Incoming], max_messages: int, max_bytes: int) -> list[Incoming]:
    taken: list[Incoming] = []
    size_bytes = 0
    while waiting and len(taken) < max_messages and size_bytes < max_bytes:
        taken.append(waiting.popleft())
        size_bytes += len(taken[-1].payload)
    return taken


def _readable(topic: bytes) -> str:
    return topic.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
