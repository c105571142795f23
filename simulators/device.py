"""A tag or a handset that speaks MQTT, as the real ones must.

It publishes with QoS 1 and keeps every fix until PUBACK; reconnects with growing pauses, with a new
client each time; numbers its messages so that no number ever repeats; says that it is there, and leaves a
last will for when it is not. It listens for commands and answers them; only a handset shows any.

Commands are subscribed to with QoS 0: at QoS 1 the broker would keep a consumer of its own for
every device. What makes them reliable is the receipt, without which the sender repeats them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import Any

import aiomqtt
import msgspec
import structlog

from devices.commands import (
    CommandFormatError,
    FixInterval,
    HandsetCommand,
    Locate,
    Notify,
    ProtectionStatus,
    decode_command,
)
from devices.instants import Clock, from_iso, to_iso
from ingest.mqtt import NO_DELAY, ClosingClient
from ingest.tls import explained
from simulators import wire
from simulators.outbox import WINDOW, Item, Outbox, Parcel
from simulators.recording import SPEED_LIMIT_MPS
from simulators.status_screen import Shown, StatusScreen

log = structlog.get_logger("simulators")

CONNECT_LIMIT_S = 5.0
"""How long the broker may take to accept a connection or a subscription."""

PUBACK_LIMIT_S = 20.0
"""Without PUBACK for so long the connection counts as dead. A cluster electing a new leader was seen
to take 16 s."""

FAREWELL_LIMIT_S = 0.2
"""How long a device that leaves waits for its last word to be acknowledged."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Pauses between attempts to connect double from the first to the longest."""

COMMANDS_REMEMBERED = 1_000
"""Commands, and alerts, that a handset remembers: a repeated one is answered but not shown again."""


class Observer:
    """Is told what a device does; this one does not care. Moments are seconds of the loop's clock."""

    def on_published(self, device: str, item: Item, at_s: float) -> None:
        """A fix is handed to a connection for the first time."""

    def on_acknowledged(self, device: str, item: Item, at_s: float) -> None:
        """The broker has acknowledged a fix."""

    def on_command(self, device: str, command: HandsetCommand, at_s: float) -> None:
        """A command has arrived for the first time."""


@dataclass(slots=True)
class DeviceCounts:
    """What has happened to one device."""

    fixes: int = 0
    buffered: int = 0
    events: int = 0
    receipts: int = 0
    connects: int = 0
    failures: int = 0  # attempts to connect and connections that were lost
    commands: int = 0
    repeated_commands: int = 0
    expired_commands: int = 0
    unreadable_commands: int = 0
    statuses: int = 0


class _Finished(Exception):  # noqa: N818 - not an error: the way out of a session
    """Everything is sent, or time is up."""


class SimulatedDevice:
    """One device. `run` is its life; `fix` and `event` may be called at any time.

    Args:
        name: Device id.
        broker: Where it connects.
        clock: Gives the instant, for its status, receipts and first sequence number.
        handset: Shows notices and messages.
        interval_s: Reports a position so often, however often it is told one, until a command
            says otherwise; None: each one, whatever it is told, as a recording has to be played.
        observer: Is told of fixes and commands.
        key: Signs with it all it sends. None: with what the broker's settings say, if anything.

    Attributes:
        online: Set while there is a connection that the broker has accepted.
        counts, outbox, interval_s: For reading only.
    """

    def __init__(
        self,
        name: str,
        broker: wire.Broker,
        *,
        clock: Clock,
        handset: bool = False,
        interval_s: float | None = None,
        observer: Observer | None = None,
        key: wire.Key | None = None,
    ) -> None:
        self.name = name
        self.handset = handset
        self.interval_s = interval_s
        self.online = asyncio.Event()
        self.counts = DeviceCounts()
        self.outbox = Outbox()
        self._broker = broker
        self._tls = broker.tls_of(name)
        self._clock = clock
        self._key = key or broker.keys.get(name)
        self._observer = observer or Observer()
        # Numbers start at the instant in microseconds: a device that is started again later goes
        # on above all it used before, as long as it reports less than a million times a second.
        self._next_seq = clock()
        self._wake = asyncio.Event()
        self._reported_us: int | None = None
        self._interval_of = ""  # time of the command that set the interval
        self._closing = False
        self._time_is_up = asyncio.Event()
        self._commands: dict[str, int] = {}  # by id: 1 if it was shown
        self._versions: dict[str, int] = {}  # of each alert, the newest that was shown
        self._screen = StatusScreen()
        self._chance = random.Random(name)  # noqa: S311 - spreads reconnects, keeps no secret

    def fix(
        self,
        time_us: int,
        lat_deg: float,
        lon_deg: float,
        *,
        accuracy_m: float = float("nan"),
        speed_mps: float = float("nan"),
        course_deg: float = float("nan"),
    ) -> int:
        """Report a position; NaN is unknown. Returns its sequence number; -1 when it is not due."""
        if not self._is_due(time_us):
            return -1
        buffered = not self.online.is_set()
        message = wire.FixMessage(
            seq=self._next_seq,
            time=to_iso(time_us),
            lat=round(lat_deg, 7),
            lon=round(lon_deg, 7),
            accuracy_m=wire.known(accuracy_m, 2),
            speed_mps=wire.known(speed_mps, 2) if speed_mps <= SPEED_LIMIT_MPS else None,
            course_deg=wire.known(course_deg, 2),
            buffered=buffered,
        )
        self.counts.fixes += 1
        self.counts.buffered += buffered
        return self._post("fix", message, time_us)

    def _is_due(self, time_us: int) -> bool:
        known = self.interval_s is not None and self._reported_us is not None
        # A receiver's seconds are not exact: what is nearly due is due.
        if known and time_us - (self._reported_us or 0) < (self.interval_s or 0) * 950_000:
            return False
        self._reported_us = time_us
        return True

    def event(self, kind: str, time_us: int, *, peer: str | None = None, **detail: Any) -> int:
        """Report an event, for example ``panic``. Returns its sequence number."""
        message = wire.EventMessage(
            seq=self._next_seq, time=to_iso(time_us), type=kind, peer=peer, detail=detail
        )
        self.counts.events += 1
        return self._post("event", message, time_us)

    @property
    def protection(self) -> Shown:
        """What a handset shows now of how well its bearer is protected."""
        return self._screen.at(self._clock(), asyncio.get_running_loop().time())

    def close(self, limit_s: float) -> None:
        """Stop as soon as everything is acknowledged, and after `limit_s` in any case."""
        self._closing = True
        if len(self.outbox) == 0 and not self.online.is_set():
            self._time_is_up.set()
        asyncio.get_running_loop().call_later(limit_s, self._give_up)
        self._wake.set()

    async def run(self) -> None:
        """Connect, send, listen and reconnect until `close`."""
        pause_s = FIRST_PAUSE_S
        while not self._time_is_up.is_set():
            connects = self.counts.connects
            try:
                async with self._client() as client:
                    await self._session(client)
            except aiomqtt.MqttError as error:
                self.counts.failures += 1
                log.info("device_disconnected", device=self.name, reason=explained(error))
            if self._closing and len(self.outbox) == 0:
                return
            if self.counts.connects > connects:
                pause_s = FIRST_PAUSE_S
            await self._rest(pause_s * self._chance.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _post(self, name: str, message: msgspec.Struct, time_us: int) -> int:
        seq = self._next_seq
        self._next_seq += 1
        self.outbox.add(Item(name, wire.encode(message), seq, time_us))
        self._wake.set()
        return seq

    def _give_up(self) -> None:
        self._time_is_up.set()
        self._wake.set()

    async def _rest(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._time_is_up.wait()

    def _client(self) -> aiomqtt.Client:
        """A client for one connection: one that has been disconnected cannot be used again."""
        # Both statements of a connection carry its beginning. The will cannot know the moment of
        # the loss, and an earlier time than "online" would make it look out of date.
        self._connection_us = self._clock()
        user, password = self._broker.user_of(self.name)
        client = ClosingClient(
            self._broker.host,
            self._broker.port,
            username=user,
            password=password,
            tls_context=self._tls,
            identifier=self.name,
            clean_session=True,
            will=aiomqtt.Will(
                wire.topic(self.name, "status"),
                self._signed("status", wire.status(False, self._connection_us)),
                qos=1,
                retain=True,
            ),
            timeout=CONNECT_LIMIT_S,
            max_inflight_messages=WINDOW + 1,  # the status may be on its way as well
            socket_options=NO_DELAY,
        )
        client.pending_calls_threshold = WINDOW + 1
        return client

    async def _session(self, client: aiomqtt.Client) -> None:
        """One connection's life. Returns when the device is closed; raises when it is lost."""
        await client.subscribe(wire.topic(self.name, "command"), qos=0)
        await self._say(client, online=True, time_us=self._connection_us, timeout_s=PUBACK_LIMIT_S)
        self.counts.connects += 1
        self.online.set()
        self._wake.set()
        lost: BaseExceptionGroup[aiomqtt.MqttError] | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(client), name=f"{self.name} reads")
                tasks.create_task(self._pump(client, tasks), name=f"{self.name} sends")
        except* aiomqtt.MqttError as group:
            lost = group
        except* _Finished:
            pass
        finally:
            self.online.clear()
            self.outbox.take_back()
        if lost is not None:
            raise aiomqtt.MqttError(str(lost.exceptions[0])) from lost

    async def _say(
        self, client: aiomqtt.Client, *, online: bool, time_us: int, timeout_s: float
    ) -> None:
        topic = wire.topic(self.name, "status")
        payload = self._signed("status", wire.status(online, time_us))
        await client.publish(topic, payload, qos=1, retain=True, timeout=timeout_s)

    async def _pump(self, client: aiomqtt.Client, tasks: asyncio.TaskGroup) -> None:
        """Sends whatever waits, as far as the window allows, each parcel in a task of its own."""
        while not self._time_is_up.is_set():
            while (parcel := self.outbox.take()) is not None:
                tasks.create_task(self._send(client, parcel))
            if self._closing and len(self.outbox) == 0:
                break
            await self._wake.wait()
            self._wake.clear()
        with contextlib.suppress(aiomqtt.MqttError):
            await self._say(client, online=False, time_us=self._clock(), timeout_s=FAREWELL_LIMIT_S)
        raise _Finished

    async def _send(self, client: aiomqtt.Client, parcel: Parcel) -> None:
        loop = asyncio.get_running_loop()
        fixes = [item for item in parcel.items if item.name == "fix"]
        for item in fixes:
            if not item.tried:
                item.tried = True
                self._observer.on_published(self.name, item, loop.time())
        topic = wire.topic(self.name, parcel.name)
        payload = self._signed(parcel.name, parcel.payload, parcel.items[0].seq)
        await client.publish(topic, payload, qos=1, timeout=PUBACK_LIMIT_S)
        self.outbox.acknowledge(parcel)
        for item in fixes:
            self._observer.on_acknowledged(self.name, item, loop.time())
        self._wake.set()

    def _signed(self, name: str, payload: bytes, seq: int = -1) -> bytes:
        """The payload, in an envelope if it has a key; what has no number takes the instant."""
        if self._key is None:
            return payload
        number = seq if seq >= 0 else self._clock()
        return wire.seal(self._key, wire.topic(self.name, name), number, payload)

    async def _read(self, client: aiomqtt.Client) -> None:
        """Reads commands. This is also where a lost connection shows."""
        async for message in client.messages:
            try:
                self._obey(decode_command(message.payload))
            except (CommandFormatError, ValueError):
                self.counts.unreadable_commands += 1
                log.warning("command_unreadable", device=self.name)

    def _obey(self, command: HandsetCommand) -> None:
        """Answer a command: received, and shown if there is something to show that is not stale.

        A repeated command is answered again, since its first answer may have been lost.
        """
        now_us = self._clock()
        if isinstance(command, ProtectionStatus):
            self._take_status(command, now_us)
            return
        expired = from_iso(command.expires) < now_us
        if command.id in self._commands:
            self.counts.repeated_commands += 1
        else:
            shown = not expired and self._show(command)
            if not expired and isinstance(command, FixInterval):
                self._set_interval(command)
            _remember(self._commands, command.id, int(shown))
            self.counts.commands += 1
            self.counts.expired_commands += expired
            self._observer.on_command(self.name, command, asyncio.get_running_loop().time())
        self._receipt(command.id, "received", now_us)
        if self._commands[command.id]:
            self._receipt(command.id, "shown", now_us)

    def _take_status(self, command: ProtectionStatus, now_us: int) -> None:
        """Show it; answer only one that asks for it, as the others repeat what was answered."""
        self.counts.statuses += 1
        if not self.handset:
            return
        uptime_s = asyncio.get_running_loop().time()
        if self._screen.take(command, uptime_s) and command.confirm:
            self._receipt(command.id, "shown", now_us)

    def _set_interval(self, command: FixInterval) -> None:
        """Report so often from now on, unless a later command has come before this one."""
        if self.interval_s is not None and command.time > self._interval_of:
            self._interval_of, self.interval_s = command.time, command.interval_s

    def _show(self, command: HandsetCommand) -> bool:
        """Whether the command is for the eye, and not older than what is shown of its alert."""
        if not self.handset or isinstance(command, FixInterval | Locate):
            return False
        if not isinstance(command, Notify):
            return True
        newer = command.version > self._versions.get(command.alert_id, 0)
        if newer:
            _remember(self._versions, command.alert_id, command.version)
        return newer

    def _receipt(self, command_id: str, state: wire.ReceiptState, now_us: int) -> None:
        message = wire.ReceiptMessage(id=command_id, state=state, time=to_iso(now_us))
        self.counts.receipts += 1
        self.outbox.add(Item("receipt", wire.encode(message)))
        self._wake.set()


def _remember(memory: dict[str, int], key: str, value: int) -> None:
    """Keep the value, as the newest of `COMMANDS_REMEMBERED`."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > COMMANDS_REMEMBERED:
        del memory[next(iter(memory))]
