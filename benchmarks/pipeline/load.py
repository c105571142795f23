"""The generator of load: a process of its own, so that what it costs is not the service's.

It says `ready` on standard output when every device is connected, begins when a line comes in on
standard input, and says `sent` and `done`. What it saw lies then in the file its orders name.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.pipeline import reports, scene
from benchmarks.pipeline.crowd import Agency, Crowd, Member, Parcel, as_rows, until
from benchmarks.pipeline.spec import LoadResult, LoadSpec
from cordon.clock import wall_clock_us

WARMING_S = 5.0
"""Before the first leap: a track needs some fixes to be one."""

LEAP_END_S = 3.0
"""Before the end of the load, and before the flood, no leap begins, so that its last fix is sent within it."""

LATENESS_S = 60.0
"""How long the generator listens on for alerts after the last PUBACK. One that comes later counts as
missing; of the others the report says how late they were."""

SILENCE_S = 1.5
TOLD_LEVELS = ("pre_alert", "alert", "contact", "panic")
FLOODING_SHARE = 100
"""One device in so many reports ten times as often."""

FLOODING_TIMES = 10
MALFORMED_EVERY, REPEATED_EVERY = 10, 10
"""In a flood, one message in so many is malformed, and one in so many is sent twice."""


class Load:
    """A run of the generator."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._crowd = Crowd(spec.host, spec.port, self._on_command)
        self._pairs = [
            (self._crowd.add(scene.tag(n)), self._crowd.add(scene.phone(n)))
            for n in range(spec.pairs)
        ]
        self._order = [member for pair in self._pairs for member in pair]
        self._parcels: list[Parcel] = []
        self._leaping: dict[int, int] = {}  # by pair: fixes sent since its leap began
        self._leap_from: dict[int, float] = {}
        self._due: dict[str, tuple[str, float]] = {}  # by alert: what is measured, when published
        self._echoes: dict[tuple[int, int], float] = {}
        self._raised: dict[str, list[str]] = defaultdict(list)
        self._told: dict[str, list[str]] = defaultdict(list)
        self._latency_s: dict[str, list[float]] = defaultdict(list)
        self._malformed = 0
        self._repeated = 0
        self._sent = 0
        self._flooding = False
        self._heard_s = 0.0

    async def run(self) -> None:
        """Connect, wait for the word, send, wait for what is outstanding, report."""
        loop, spec = asyncio.get_running_loop(), self._spec
        await self._crowd.connect(self._order, listening=lambda name: name.startswith(scene.PHONE))
        background = [asyncio.create_task(self._crowd.keep_alive())]
        if spec.user:
            background.append(asyncio.create_task(self._agency().run(hears := asyncio.Event())))
            await hears.wait()
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        began_us = wall_clock_us()
        await self._publish_all()
        ended_us, behind = wall_clock_us(), self._crowd.unacknowledged
        print("sent", flush=True)
        await self._settle()
        for task in background:
            task.cancel()
        result = self._result(began_us, ended_us, behind)
        await self._crowd.close()
        await asyncio.to_thread(Path(spec.result).write_bytes, msgspec.msgpack.encode(result))
        print("done", flush=True)

    # -- what is sent -----------------------------------------------------------------------

    async def _publish_all(self) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        steady_s, all_s = self._spec.steady_s, self._spec.steady_s + self._spec.flood_s
        per_s = self._spec.leaps_per_s
        instants = itertools.chain(
            _instants(per_s, WARMING_S, steady_s - LEAP_END_S),
            _instants(per_s, steady_s, all_s - LEAP_END_S),
        )
        # Of a tag that sends ten fixes at once nobody could say which of them makes the alert due.
        leaping = [
            pair
            for pair in _scattered(self._spec.pairs)
            if pair % FLOODING_SHARE or all_s == steady_s
        ]
        self._leap_from = dict(zip(leaping, instants, strict=False))
        for at_s, do in _merged(self._messages(), self._panics()):
            if at_s >= all_s:
                break
            if (ahead_s := start_s + at_s - loop.time()) > 0:
                await asyncio.sleep(ahead_s)
            self._flooding = at_s >= steady_s
            do(at_s)

    def _messages(self) -> Iterator[tuple[float, Any]]:
        """Every device in its turn, for ever; in a flood some far more often."""
        step_s = 1.0 / self._spec.messages_per_s
        number = 0
        while True:
            member = self._order[number % len(self._order)]
            yield number * step_s, lambda at_s, member=member: self._report(member, at_s)
            number += 1

    def _panics(self) -> Iterator[tuple[float, Any]]:
        end_s = self._spec.steady_s + self._spec.flood_s
        instants = _instants(self._spec.panics_per_s, WARMING_S, end_s)
        for pair, at_s in zip(range(self._spec.pairs), instants, strict=False):
            yield at_s, lambda _at_s, pair=pair: self._panic(pair)

    def _report(self, member: Member, at_s: float) -> None:
        self._fix(member, at_s)
        if not self._flooding:
            return
        if member.index % (2 * FLOODING_SHARE) == 0:
            for _ in range(FLOODING_TIMES - 1):
                self._fix(member, at_s)
        self._sent += 1
        if self._sent % MALFORMED_EVERY == 0:
            self._malformed += 1
            payload = reports.MALFORMED[self._malformed % len(reports.MALFORMED)]
            member.send(Parcel(member.topic("fix"), payload, member.index))
        if self._sent % REPEATED_EVERY == 1:
            self._repeated += 1
            again = self._parcels[-1]
            self._crowd.members[again.device].send(Parcel(again.topic, again.payload, again.device))

    def _fix(self, member: Member, at_s: float) -> None:
        pair, is_phone = divmod(member.index, 2)
        leapt = not is_phone and at_s >= self._leap_from.get(pair, float("inf"))
        home = scene.home(pair)
        place = home if is_phone else reports.tag_place(home, leapt=leapt)
        batch = self._spec.batch
        step_us = int(self._interval_s() * reports.SECOND_US / batch)
        last_us = wall_clock_us()
        times_us = range(last_us - (batch - 1) * step_us, last_us + 1, max(1, step_us))
        parcel = Parcel(
            member.topic("fix"),
            reports.fixes(member.seq, times_us, place),
            member.index,
            member.seq,
            batch,
        )
        if leapt:
            self._note_leap(pair)
        if self._spec.relayed:
            self._echoes[member.index, member.seq] = time.monotonic()
        member.seq += batch
        self._parcels.append(parcel)
        member.send(parcel)

    def _note_leap(self, pair: int) -> None:
        before = self._leaping.get(pair, 0)
        self._leaping[pair] = before + self._spec.batch
        if before < scene.BELIEVED_AT <= self._leaping[pair]:
            measured = "alert_flood" if self._flooding else "alert"
            self._due[f"near-{pair}"] = (measured, time.monotonic())

    def _interval_s(self) -> float:
        """Between two messages of a device."""
        return len(self._order) / self._spec.messages_per_s

    def _panic(self, pair: int) -> None:
        member = self._pairs[pair][1]
        payload = reports.panic(member.seq, wall_clock_us())
        parcel = Parcel(member.topic("event"), payload, member.index, member.seq, 1, is_event=True)
        member.seq += 1
        self._parcels.append(parcel)
        measured = "panic_flood" if self._flooding else "panic"
        self._due[f"panic-{pair}"] = (measured, time.monotonic())
        member.send(parcel)

    # -- what is heard ----------------------------------------------------------------------

    def _on_command(self, index: int, payload: bytes) -> None:
        heard_s = self._heard_s = time.monotonic()
        document = msgspec.json.decode(payload)
        if isinstance(document, list) or "lat" in document:
            self._on_echo(index, document, heard_s)
            return
        if "alert_id" not in document:  # how well she is protected, or how often to report
            return
        member = self._crowd.members[index]
        for state in ("received", "shown"):
            told = reports.receipt(document["id"], state, wall_clock_us())
            member.send(Parcel(member.topic("receipt"), told, index))
        if document["kind"] != "raised" or document["level"] not in TOLD_LEVELS:
            return
        pair = index // 2
        name = f"panic-{pair}" if document["level"] == "panic" else f"near-{pair}"
        if document["alert_id"] in self._raised[name]:
            return
        self._raised[name].append(document["alert_id"])
        if name in self._due and len(self._raised[name]) == 1:
            measured, published_s = self._due[name]
            self._latency_s[measured].append(heard_s - published_s)

    def _agency(self) -> Agency:
        spec = self._spec
        return Agency(spec.host, spec.port, spec.user, spec.password, self._on_change)

    def _on_change(self, payload: bytes) -> None:
        heard_s = self._heard_s = time.monotonic()
        change = msgspec.json.decode(payload)
        alert = change["data"]
        is_panic = alert["condition"] == "panic"
        name = f"panic-{alert['device'].rpartition('-')[2]}" if is_panic else alert["condition_id"]
        if not change["type"].endswith(".raised") or name not in self._due:
            return
        if alert["alert_id"] not in self._told[name]:
            self._told[name].append(alert["alert_id"])
            self._latency_s["told"].append(heard_s - self._due[name][1])

    def _on_echo(self, index: int, document: Any, heard_s: float) -> None:
        """A fix that came back from the relay: of this handset, or of the tag beside it."""
        first = document[0] if isinstance(document, list) else document
        is_own = first["lat"] - scene.home(index // 2)[0] < reports.NEAR_DEG
        published_s = self._echoes.pop((index if is_own else index - 1, first["seq"]), None)
        if published_s is not None:
            self._latency_s["echo"].append(heard_s - published_s)

    # -- the end ----------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait for the last PUBACK, then for the last alert that is due."""
        await until(lambda: not self._crowd.unacknowledged, self._spec.acknowledge_limit_s)
        heard = self._told if self._spec.user else self._raised
        await until(lambda: self._due.keys() <= heard.keys(), LATENESS_S)
        await until(lambda: time.monotonic() - self._heard_s > SILENCE_S, LATENESS_S)

    def _result(self, began_us: int, ended_us: int, behind: int) -> LoadResult:
        return LoadResult(
            devices=[member.name for member in self._crowd.members],
            sent=as_rows(self._parcels),
            began_us=began_us,
            ended_us=ended_us,
            behind=behind,
            latency_s=dict(self._latency_s),
            due=list(self._due),
            raised=dict(self._raised),
            told=dict(self._told),
            malformed=self._malformed,
            repeated=self._repeated,
            reconnects=self._crowd.reconnects,
        )


def _scattered(count: int) -> list[int]:
    """All pairs, those that report next to each other far apart; the same in every run.

    Of neighbours that leap within one second all alerts would be due within a few milliseconds, each
    waiting for the one before.
    """
    pairs = list(range(count))
    random.Random(count).shuffle(pairs)  # noqa: S311 - nothing is secret about it
    return pairs


def _instants(per_s: float, from_s: float, to_s: float) -> Iterator[float]:
    """Evenly spaced, `per_s` in a second."""
    if per_s > 0:
        number = 0
        while (at_s := from_s + number / per_s) < to_s:
            yield at_s
            number += 1


def _merged(*schedules: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    """Several schedules as one, in order of time."""
    heads = [(next(schedule, None), schedule) for schedule in schedules]
    while live := [(head, schedule) for head, schedule in heads if head is not None]:
        first, schedule = min(live, key=lambda one: one[0][0])
        yield first
        heads = [(next(s, None) if s is schedule else h, s) for h, s in live]


def main(orders: str) -> None:
    """Run the generator that a file of orders asks for."""
    spec = msgspec.json.decode(Path(orders).read_bytes(), type=LoadSpec)
    asyncio.run(Load(spec).run())


if __name__ == "__main__":
    main(sys.argv[1])
