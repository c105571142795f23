"""The self-test: the synthetic pair walks through the whole way, over MQTT like any device.

Its fixes go to the broker, and from there the way of all fixes; its alert comes back on an agency's
topic and on a handset's. When it does not come in time, supervisors are asked over every channel that
needs no broker, by itself: the way that has failed is not used to say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiomqtt
import msgspec
import structlog

from alerts.channels import Channel
from alerts.channels.agency import agency_topic
from alerts.contacts import Contacts
from alerts.deliveries import ChannelName
from alerts.self_test import Judge, Way
from cordon.direct_asking import DirectAsking
from devices.commands import HandsetAddress, command_topic
from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock, from_iso, to_iso
from devices.synthetic import AGENCY, FIX_INTERVAL_S, HANDSET, TAG, WALK_S, place_deg
from ingest.mqtt import ClosingClient, MqttBroker

log = structlog.get_logger("self-test")

RETRY_S = 2.0
CHECK_S = 1.0
ACCURACY_M = 5.0
REMIND_S = 900.0
"""While it lasts, supervisors are asked again this often."""

IDENTIFIER = "cordon-self-test"
_NEAR = {"alert", "contact"}


class _Data(msgspec.Struct):
    level: str = ""
    fix_times: dict[str, str] = {}


class _Change(msgspec.Struct):
    """As much as is needed of an alert change; a notice has level and times at its top."""

    data: _Data = msgspec.field(default_factory=_Data)
    level: str = ""
    fix_times: dict[str, str] = {}


class Probe:
    """Walks, listens, and asks for help.

    Args:
        broker: Where the pair connects, with the service's own rights.
        contacts: Who is asked.
        channels: That need no broker.
        clock: The time.
    """

    def __init__(
        self,
        broker: MqttBroker,
        contacts: Contacts,
        channels: Mapping[ChannelName, Channel],
        clock: Clock,
    ) -> None:
        self.judge = Judge(clock())
        self._broker = broker
        self._asking = DirectAsking(contacts, channels)
        self._clock = clock
        self._seq = clock() // MICROSECONDS
        self._topics: dict[str, Way] = {
            agency_topic(AGENCY): "agency",
            command_topic(HandsetAddress(HANDSET)): "handset",
        }

    @property
    def asked(self) -> int:
        """How often somebody was asked."""
        return self._asking.asked

    async def run(self) -> None:
        """Walk and watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_walking(), name="walks")
            group.create_task(self._watch(), name="watch")

    # -- walking ------------------------------------------------------------------------------

    async def _keep_walking(self) -> None:
        while True:
            try:
                async with self._client() as client, asyncio.TaskGroup() as group:
                    for topic in self._topics:
                        await client.subscribe(topic, qos=1)
                    group.create_task(self._listen(client))
                    group.create_task(self._walk(client))
            except* (aiomqtt.MqttError, OSError) as failed:
                log.warning("self_test_not_connected", reason=type(failed.exceptions[0]).__name__)
            end_if_told()
            await asyncio.sleep(RETRY_S)

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return ClosingClient(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            tls_context=broker.tls,
            identifier=IDENTIFIER,
        )

    async def _walk(self, client: aiomqtt.Client) -> None:
        while True:
            began_us = self._clock()
            self.judge.begin(began_us)
            walked_s = 0.0
            while walked_s < WALK_S:
                for device in (HANDSET, TAG):
                    await self._report(client, device, walked_s)
                await asyncio.sleep(FIX_INTERVAL_S)
                walked_s = (self._clock() - began_us) / MICROSECONDS

    async def _report(self, client: aiomqtt.Client, device: str, walked_s: float) -> None:
        lat, lon = place_deg(device, walked_s)
        self._seq += 1
        fix = {
            "seq": self._seq,
            "time": to_iso(self._clock()),
            "lat": lat,
            "lon": lon,
            "accuracy_m": ACCURACY_M,
        }
        await client.publish(f"cordon/v1/{device}/fix", msgspec.json.encode(fix), qos=1)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self.hear(str(message.topic), bytes(message.payload or b""))

    def hear(self, topic: str, payload: bytes) -> None:
        """Something came for the pair."""
        way = self._topics.get(topic)
        try:
            change = msgspec.json.decode(payload, type=_Change)
        except msgspec.MsgspecError:
            return
        times = change.data.fix_times or change.fix_times
        if way is not None and (change.data.level or change.level) in _NEAR and times:
            newest_us = max(from_iso(instant) for instant in times.values())
            self.judge.heard(way, newest_us, self._clock())

    # -- watching -----------------------------------------------------------------------------

    async def _watch(self) -> None:
        ask_at_us = 0
        said = ""
        while True:
            await asyncio.sleep(CHECK_S)
            now_us = self._clock()
            problem = self.judge.problem(now_us)
            if bool(problem) != bool(said):
                log.error("self_test_late", problem=problem) if problem else log.info(
                    "self_test_well"
                )
                ask_at_us = 0
            said = problem
            if problem and now_us >= ask_at_us:
                ask_at_us = now_us + int(REMIND_S * MICROSECONDS)
                await self._ask(problem, now_us)

    async def _ask(self, problem: str, now_us: int) -> None:
        """Ask every supervisor by every channel: nobody knows which of them works."""
        text = f"{problem[0].upper()}{problem[1:]}. Look at the service now."
        title = "Cordon: alerts may not come"
        await self._asking.ask(("supervisor",), "self_test", title, text, now_us)
