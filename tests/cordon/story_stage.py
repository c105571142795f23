"""The stage on which a story is played with real servers, devices, receivers and people."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import msgspec

from alerts.deliveries import ask_id
from alerts.model import AlertChange
from alerts.rehearsal import PHONE, TAG
from alerts.stories import (
    ADA,
    HANDSET,
    KIM,
    SUPERVISOR,
    Answers,
    Deed,
    Signals,
    Story,
    Takes,
)
from alerts.told import CENTRE, HERSELF, NO_RECEIPT, Told, words_of_change, words_of_notice
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.service import Service
from devices.commands import Notify
from devices.instants import MICROSECONDS, from_iso, to_iso
from tests.alerts.receivers import HttpReceiver
from tests.cordon.running import (
    HOME,
    METRE_DEG,
    World,
    listening,
    load,
    running,
    until,
)
from tests.cordon.story_scene import caseload, journey, settings_for

BEHIND_US = 250_000
"""The hand of the clock stands a little behind each whole second, so that the tick of it is due."""

AGO_US = 2 * 3600 * MICROSECONDS


class Clock:
    """Stands still until it is set on."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


class Play:
    """A story under way. Made by `playing`."""

    def __init__(
        self, story: Story, service: Service, seen: World, clock: Clock, receiver: HttpReceiver
    ) -> None:
        self.story = story
        self.start_us = clock.now_us - BEHIND_US
        self.shown: list[tuple[str, int, str]] = []
        self.seen = seen
        self.service = service
        self._clock = clock
        self._receiver = receiver
        self._places = journey(story)
        self._seq = 0
        self._answering = {HANDSET}
        self._unheard: set[str] = set()
        self._commands_taken = 0
        self._posts_taken = 0
        self._notices_before = 0
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._run = contextlib.AsyncExitStack()

    def now_us(self) -> int:
        """The present instant, by the story's clock."""
        return self._clock()

    async def begin(self) -> None:
        """Have the service run, and everybody signed in."""
        await self._run.enter_async_context(running(self.service))
        self._notices_before = len(self._notices())
        address = self.service.console_address
        for name in (KIM, ADA):
            client = httpx.AsyncClient(base_url=address, headers={"Origin": address})
            self._clients[name] = await self._run.enter_async_context(client)
            await client.get("/enter", params={"token": name})
        await self._run.enter_async_context(self._watching(self._clients[KIM]))

    async def end(self) -> None:
        """Stop the service where it is."""
        await self._run.aclose()

    async def restart(self, service: Service) -> None:
        """Another service takes the place of this one."""
        await self.end()
        self.service, self._run = service, contextlib.AsyncExitStack()
        await self.begin()

    async def go_to(self, second: int) -> None:
        """Let time pass up to a second: devices report, and what is due is done."""
        self._clock.now_us = self.start_us + second * MICROSECONDS + BEHIND_US
        if second in self._places:
            await self._report(PHONE, 0.0)
            await self._report(TAG, self._places[second])
            await until(self._reports_are_in, "the reports are taken in")
        due_us = self.start_us + second * MICROSECONDS
        partition = self.service.parts.worker.partition
        await until(lambda: partition.ticked_us >= due_us, "the second is reached")
        await self.settle()

    def _reports_are_in(self) -> bool:
        """Whether the worker has what both devices have just reported."""
        heard = self.service.parts.worker.partition.care.health.devices
        return all(heard[device].heard_us >= self._clock() for device in (PHONE, TAG))

    async def do(self, deed: Deed) -> None:
        """Something happens."""
        if isinstance(deed, Answers):
            change = self._answering.add if deed.does else self._answering.discard
            change(deed.who)
        elif isinstance(deed, Signals):
            self._seq += 1
            event = {"seq": self._seq, "time": to_iso(self._clock()), "type": deed.event}
            device = PHONE if deed.device == HANDSET else TAG
            await self.seen.publish(device, "event", json.dumps(event).encode())
            await until(lambda: self._has_level(deed.event), f"{deed.event} is told")
        elif isinstance(deed, Takes):
            await self._takes(deed)
        await self.settle()

    def _has_level(self, level: str) -> bool:
        return any(change["data"]["level"] == level for change in self.seen.changes)

    async def _takes(self, deed: Takes) -> None:
        client = self._clients[deed.operator]
        alerts = (await client.get("/api/v1/alerts")).json()
        alert = next(one for one in alerts if one["condition"] == deed.condition)
        body = msgspec.to_builtins(deed.step) | {"version": alert["version"]}
        verb = type(deed.step).__name__.lower()
        answer = await client.post(f"/api/v1/alerts/{alert['alert_id']}/{verb}", json=body)
        assert answer.status_code == 200, answer.text

    async def _report(self, device: str, metres: float) -> None:
        self._seq += 1
        fix = {
            "seq": self._seq,
            "time": to_iso(self._clock() - BEHIND_US),
            "lat": HOME[0] + metres * METRE_DEG,
            "lon": HOME[1],
            "accuracy_m": 5.0,
        }
        await self.seen.publish(device, "fix", json.dumps(fix).encode())

    # What those concerned do with what they are told

    async def settle(self) -> None:
        """Wait until everything has been taken in, sent, and answered."""
        parts = self.service.parts
        await until(lambda: not parts.outgoing.outbox.pending(), "everything is sent")
        sent = parts.outgoing.dispatcher.counts["handset"].sent
        await until(
            lambda: len(self._notices()) >= self._notices_before + sent, "her handset has it"
        )
        await self._answer_notices()
        await self._answer_pushes()
        await until(lambda: not parts.outgoing.alerts.waiting, "it is kept")

    def _notices(self) -> list[dict[str, Any]]:
        return [one for one in self.seen.commands if one["type"] == "notify"]

    async def _answer_notices(self) -> None:
        outbox = self.service.parts.outgoing.outbox
        new = self._notices()[self._commands_taken :]
        self._commands_taken += len(new)
        for notice in new:
            if HANDSET in self._answering:
                receipt = {"id": notice["id"], "state": "received", "time": to_iso(self._clock())}
                await self.seen.publish(PHONE, "receipt", json.dumps(receipt).encode())
                await until(partial(outbox.arrived, notice["id"]), "the receipt is in")
            else:
                self._unheard.add(notice["id"])

    async def _answer_pushes(self) -> None:
        new = self._receiver.requests[self._posts_taken :]
        self._posts_taken += len(new)
        for request in (one for one in new if one.path == "/push"):
            found = json.loads(request.body)["id"]
            if SUPERVISOR in self._answering:
                answer = await self._clients[ADA].post(f"/api/v1/deliveries/{found}/receipt")
                assert answer.status_code == 204, answer.text
            else:
                self._unheard.add(found)

    @contextlib.asynccontextmanager
    async def _watching(self, client: httpx.AsyncClient) -> AsyncIterator[None]:
        """A console stays open: what it is shown."""
        opened = asyncio.Event()

        async def watch() -> None:
            async with client.stream("GET", "/api/v1/stream", timeout=None) as answer:
                async for line in answer.aiter_lines():
                    opened.set()
                    if line.startswith("data: ") and '"alert":' in line:
                        news = json.loads(line.removeprefix("data: "))
                        alert = news["alert"]
                        self.shown.append((alert["alert_id"], alert["version"], news["kind"]))

        task = asyncio.create_task(watch(), name="console")
        try:
            await asyncio.wait_for(opened.wait(), 10)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # What they were told

    def told(self) -> list[Told]:
        """Everything, each once by its id. That his leaps are odd is not of the story."""
        found: dict[str, Told] = {}
        asked: dict[str, Told] = {}
        for document in self.seen.changes:
            change = msgspec.convert(document, AlertChange)
            if change.data.anomaly:
                assert change.data.anomaly == "speed", change
                continue
            at_us = from_iso(change.time)
            found[change.id] = Told(at_us, CENTRE, "stream", words_of_change(change))
            for ask in change.asked:
                key = ask_id(change.data.alert_id, ask)
                asked[key] = Told(at_us, ask.recipient, ask.channel, "")
        for document in self._notices():
            assert document["topic"] == f"cordon/v1/{PHONE}/command"
            notice = msgspec.convert(document, Notify)
            said = words_of_notice(notice) + self._unless_heard(notice.id)
            found[notice.id] = Told(from_iso(notice.time), HERSELF, "handset", said)
        for request in self._receiver.requests:
            key, said = _posted(request.path, json.loads(request.body))
            said += self._unless_heard(key)
            found[key] = msgspec.structs.replace(asked[key], what=said)
        return sorted(found.values(), key=lambda one: one.at_us)

    def changes(self) -> list[tuple[str, int, str]]:
        """What the agency's own system was told of: alert, version and kind of change."""
        kinds = {
            (one["subject"], one["data"]["version"], one["type"].rpartition(".")[2]): None
            for one in self.seen.changes
        }
        return list(kinds)

    async def is_in_the_history(self) -> None:
        """Wait until the database has each change that anybody was told of."""
        wanted = {f"{alert}/{version}" for alert, version, _kind in self.changes()}
        query = "select id from evidence.alert_change"
        await until(
            lambda: wanted == {row[0] for row in self.seen.query(query)}, "the history has it"
        )

    async def deliveries_are_in_the_history(self) -> None:
        """Wait until the database knows of each thing that somebody was sent."""
        wanted = {notice["id"] for notice in self._notices()}
        wanted |= {_posted(one.path, json.loads(one.body))[0] for one in self._receiver.requests}
        query = "select delivery_id from evidence.delivery where state in ('sent', 'received')"
        await until(
            lambda: wanted <= {row[0] for row in self.seen.query(query)}, "the history has it"
        )

    def _unless_heard(self, found: str) -> str:
        return NO_RECEIPT if found in self._unheard else ""


def _posted(path: str, body: dict[str, Any]) -> tuple[str, str]:
    """Id of the delivery, and what the receiver learns."""
    if path == "/push":
        assert set(body) == {"id"}
        return body["id"], "an id, no word"
    if path == "/police":
        return body["id"], body["data"]["title"]
    return body["reference"], body["text"].partition(". ")[0]


@contextlib.asynccontextmanager
async def playing(
    story: Story, broker: EmbeddedBroker, dsn: str, folder: Path, receiver: HttpReceiver
) -> AsyncIterator[tuple[Play, Callable[[], Service]]]:
    """A story at its beginning, and a way to make another service like its first."""
    start_us = (wall_clock_us() - AGO_US) // MICROSECONDS * MICROSECONDS
    clock = Clock(start_us + BEHIND_US)
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None), dsn=dsn)
    settings = settings_for(folder, receiver)

    def another() -> Service:
        return Service(endpoints, settings, clock)

    service = another()
    version = await load(dsn, caseload(story))
    async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
        seen = World(service, endpoints, device)
        async with listening(broker, seen):
            play = Play(story, service, seen, clock, receiver)
            await play.begin()
            try:
                await service.wait_for_caseload(version)
                yield play, another
            finally:
                await play.end()
