"""The worker when things go wrong: damaged state, gaps, batches that break it, lost announcements."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as NatsClient
from nats.js import JetStreamContext

from alerts.decisions import decode_entry
from alerts.desk import Desk
from alerts.profile import load_profiles
from cordon.checkpoint import CHECKPOINT, Checkpoint, read_recorded
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep, KeptCaseload
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from cordon.worker import Worker
from devices.course import CourseStep
from devices.instants import from_iso
from devices.reports import Batch, Event, Message, no_fixes
from devices.watches import Bearer
from geofence.engine import Rules
from ingest.journal import JournalUnavailableError, JournalWriter
from ingest.streams import ALERTS, DECISIONS, JOURNAL, alert_subject, ensure_streams
from tests.cordon.running import one_pair, until

NOW_US = from_iso("2026-11-24T08:00:00Z")
SECOND_US = 1_000_000


class _Silent:
    """Nobody looks, and nothing is sent."""

    def applied(self, batch: Batch) -> None: ...

    def replanned(self) -> None: ...

    def begin(self, topic: str, payload: bytes) -> None: ...

    async def publish(self, topic: str, payload: bytes) -> None: ...


class Site:
    """A worker over a broker, and a gateway's hand in the journal."""

    def __init__(self, js: JetStreamContext, keep: Keep, nc: Any) -> None:
        self.js, self.keep, self._nc = js, keep, nc
        self.now_us = NOW_US
        self.journal = JournalWriter(nc)
        self._number = 0

    async def panic(self, device: str) -> None:
        """A device's panic, journaled."""
        await self.journal.append(self.report(device))

    def report(self, device: str) -> Batch:
        """A batch with a device's panic."""
        self._number += 1
        self.now_us += SECOND_US
        event = Event(0, device, self._number, self.now_us, "panic", None, {})
        message = Message(self.now_us, f"cordon/v1/{device}/event", b"{}")
        return Batch(
            gateway="gw",
            number=self._number,
            received_us=self.now_us,
            messages=(message,),
            fixes=no_fixes(),
            events=(event,),
        )

    async def worker(
        self, others: NatsClient | None = None, *, alerts_end: int | None = None
    ) -> Worker:
        """A worker as a start of the service makes it."""
        profiles, silent, rules = load_profiles(), _Silent(), Rules()

        def bearer_of(device: str) -> Bearer | None:
            return partition.compiled.bearers.get(device)

        told = silent, profiles, bearer_of, lambda _: None
        outgoing = Outgoing(self.js, *told, self.clock)
        partition = Partition(
            lambda: Desk(profiles, rules=rules.version, build="test"),
            outgoing,
            silent,
            self.now_us,
            tick_s=0.2,
            build="test",
            rules=rules,
        )
        end = (await self.js.stream_info(JOURNAL)).state.last_seq
        return Worker(
            self._nc,
            self.keep,
            partition,
            outgoing,
            self.clock,
            tick_s=0.05,
            checkpoint_s=0.05,
            journal_end=end,
            alerts_end=alerts_end,
            others=others,
        )

    def clock(self) -> int:
        return self.now_us

    @contextlib.asynccontextmanager
    async def working(self, others: NatsClient | None = None) -> AsyncIterator[Worker]:
        """A new worker at work."""
        async with self.at_work(await self.worker(others)) as worker:
            yield worker

    @contextlib.asynccontextmanager
    async def at_work(self, worker: Worker) -> AsyncIterator[Worker]:
        """A worker at work."""
        tasks = [
            asyncio.create_task(worker._outgoing.run()),
            asyncio.create_task(worker.run()),
        ]
        try:
            yield worker
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def site(broker: EmbeddedBroker) -> AsyncIterator[Site]:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js)
    yield Site(js, await Keep.open(js), nc)
    await nc.close()


@pytest.fixture
async def gateway_nc(broker: EmbeddedBroker) -> AsyncIterator[NatsClient]:
    """A connection that does not hear what it publishes itself, as the gateway's."""
    nc = await connect_nats(broker.nats_url, "gateway", echo=False)
    yield nc
    await nc.close()


async def test_what_its_own_gateway_journals_needs_no_reading(
    site: Site, gateway_nc: NatsClient
) -> None:
    async with site.working(gateway_nc) as worker:
        await until(worker.caught_up.is_set, "caught up")
        journal = JournalWriter(gateway_nc, worker)
        await asyncio.gather(*(journal.append(site.report(f"d{n}")) for n in range(50)))
        assert worker.partition.position == 50, "each was confirmed, in whatever order"
        assert len(on_the_desk(worker)) == 50
        assert (worker.counts.batches_live, worker.counts.batches_durable) == (50, 0)
        await journal.close()


async def test_what_its_own_gateway_hears_is_told_before_the_journal_has_it(
    site: Site, gateway_nc: NatsClient
) -> None:
    async with site.working(gateway_nc) as worker:
        await until(worker.caught_up.is_set, "caught up")
        config = (await site.js.stream_info(JOURNAL)).config
        await site.js.delete_stream(JOURNAL)
        journal = JournalWriter(gateway_nc, worker)
        append = asyncio.create_task(journal.append(site.report("a")))
        await until(lambda: on_the_desk(worker) == {"a"}, "the desk has it")
        assert not append.done(), "and the journal has not"
        await site.js.add_stream(config)
        assert await append == 1
        await until(lambda: worker.partition.position == 1, "its place is known")
        assert worker.counts.batches_durable == 0
        await journal.close()


async def test_what_met_a_refusing_journal_while_catching_up_is_told_before_it_is_kept(
    site: Site, gateway_nc: NatsClient
) -> None:
    await site.panic("old")
    config = (await site.js.stream_info(JOURNAL)).config
    await site.js.update_stream(config.evolve(max_msgs=1))
    worker = await site.worker(gateway_nc)
    journal = JournalWriter(gateway_nc, worker)
    append = asyncio.create_task(journal.append(site.report("a")))
    await until(lambda: journal.counts.retries > 0, "the journal has refused it")
    assert not on_the_desk(worker), "nobody has caught up"
    async with site.at_work(worker):
        await until(worker.caught_up.is_set, "caught up")
        await until(lambda: on_the_desk(worker) == {"old", "a"}, "the desk has it")
        assert not append.done(), "and the journal has not"
        await site.js.update_stream(config)
        assert await append == 2
        await until(lambda: worker.partition.position == 2, "its place is known")
        assert worker.counts.batches_live == 1
    await journal.close()


async def test_all_parts_of_a_batch_are_told_before_the_journal_has_the_first(
    site: Site, gateway_nc: NatsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.MAX_PART_BYTES", 20_000)
    one = site.report("a")
    long = msgspec.structs.replace(one.messages[0], payload=b"{}".ljust(2_500))
    event = msgspec.structs.replace(one.events[0], message=1, device="b")
    whole = msgspec.structs.replace(one, messages=(long, long), events=(*one.events, event))
    async with site.working(gateway_nc) as worker:
        await until(worker.caught_up.is_set, "caught up")
        config = (await site.js.stream_info(JOURNAL)).config
        await site.js.delete_stream(JOURNAL)
        journal = JournalWriter(gateway_nc, worker)
        append = asyncio.create_task(journal.append(whole))
        await until(lambda: on_the_desk(worker) == {"a", "b"}, "the desk has both parts")
        assert not append.done()
        await site.js.add_stream(config)
        assert await append == 2
        await journal.close()


async def test_what_was_decided_on_and_the_journal_never_took_is_noted(
    site: Site, gateway_nc: NatsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.APPEND_LIMIT_S", 0.4)
    async with site.working(gateway_nc) as worker:
        await until(worker.caught_up.is_set, "caught up")
        await site.js.delete_stream(JOURNAL)
        journal, batch = JournalWriter(gateway_nc, worker), site.report("a")
        with pytest.raises(JournalUnavailableError):
            await journal.append(batch)
        assert on_the_desk(worker) == {"a"}
        assert worker.counts.unkept == 1
        await worker._outgoing.drained()
        count = (await site.js.stream_info(DECISIONS)).state.last_seq
        found = [await site.js.get_msg(DECISIONS, number + 1) for number in range(count)]
        steps = [step for one in found for step in decode_entry(one.data or b"")]
        [noted] = [one for one in steps if isinstance(one, CourseStep) and one.kind == "unkept"]
        assert (noted.batch, noted.at_us) == (batch.name, batch.received_us)
        await journal.close()


async def test_what_another_journals_is_heard_or_read(site: Site, gateway_nc: NatsClient) -> None:
    async with site.working(gateway_nc) as worker:
        await until(worker.caught_up.is_set, "caught up")
        own, deaf = JournalWriter(gateway_nc, worker), JournalWriter(gateway_nc)
        await own.append(site.report("own"))
        await site.journal.append(site.report("other"))  # over a connection of its own
        await until(lambda: worker.partition.position == 2, "it was heard and read")
        assert worker.counts.batches_live == 2
        await deaf.append(site.report("unheard"))  # nobody says a word of it
        await own.append(site.report("behind it"))
        await until(lambda: worker.partition.position == 4, "the hole was seen and read")
        assert worker.counts.batches_durable == 1
        assert on_the_desk(worker) == {"own", "other", "unheard", "behind it"}
        await deaf.append(site.report("last"))
        await until(lambda: worker.partition.position == 5, "read although nothing is behind it")
        await own.close()
        await deaf.close()


def on_the_desk(worker: Worker) -> set[str]:
    return {alert.device for alert in worker.partition.desk.open_alerts()}


async def checkpoint_of_two_panics(site: Site) -> Checkpoint:
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "caught up")
        await site.panic("a")
        await site.panic("b")
        await until(lambda: worker.partition.position == 2, "both are applied")
        await until(lambda: len(on_the_desk(worker)) == 2, "both are on the desk")
        seen = worker.counts.checkpoints

        def covered() -> bool:
            site.now_us += SECOND_US  # a checkpoint is written only when something has changed
            return worker.counts.checkpoints > seen + 1

        await until(covered, "a checkpoint covers them")
    data = await site.keep.get(CHECKPOINT)
    assert data
    return msgspec.msgpack.decode(data, type=Checkpoint)


@pytest.mark.parametrize(
    "broken",
    ["all", "engine", "desk", "outgoing", "health", "sequences", "commands", "door", "choices"],
)
async def test_a_checkpoint_of_another_version_is_not_the_end(site: Site, broken: str) -> None:
    good = await checkpoint_of_two_panics(site)
    other = b"\xc1\x00" if broken == "all" else b""
    if broken != "all":
        changed = msgspec.structs.replace(good, **{broken: b"XX9 of another version"})
        other = msgspec.msgpack.encode(changed)
    await site.keep.put(CHECKPOINT, other)
    recorded = (await site.js.stream_info(ALERTS)).state.messages
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "it works all the same")
        assert worker.partition.counts.unreadable_parts == 1
        assert worker.partition.position == 2
        assert on_the_desk(worker) == {"a", "b"}
        await site.panic("c")
        await until(lambda: "c" in on_the_desk(worker), "what comes then is dealt with")
        await until(lambda: worker.counts.checkpoints, "a new checkpoint replaces the other")
    kinds = [msgspec.json.decode(await alert_entry(site.js, n + 1))["id"] for n in range(recorded)]
    assert len(kinds) == len(set(kinds)), "nothing was told twice"


async def alert_entry(js: JetStreamContext, position: int) -> bytes:
    return (await js.get_msg(ALERTS, position)).data or b""


async def test_a_hole_in_the_journal_skips_only_the_hole(site: Site) -> None:
    for device in ("a", "b", "c", "d"):
        await site.panic(device)
    await site.js.delete_msg(JOURNAL, 2)
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "caught up")
        assert on_the_desk(worker) == {"a", "c", "d"}
        assert (worker.counts.gaps, worker.partition.position) == (1, 4)


async def test_a_batch_that_breaks_the_worker_is_passed_over_at_last(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Partition.apply

    def fragile(partition: Partition, batch: Batch) -> None:
        if any(event.device == "bad" for event in batch.events):
            raise RuntimeError("broken")
        apply(partition, batch)

    monkeypatch.setattr(Partition, "apply", fragile)
    worker = await site.worker()
    outgoing = asyncio.create_task(worker._outgoing.run())
    task = asyncio.create_task(worker.run())
    await until(worker.caught_up.is_set, "caught up")
    await site.panic("bad")
    await site.panic("a")
    with pytest.raises(ExceptionGroup, match="unhandled"):
        await asyncio.wait_for(task, 20)
    assert not worker.caught_up.is_set()
    for _ in range(3):
        task = asyncio.create_task(worker.run())
        await asyncio.wait(
            {task, asyncio.ensure_future(worker.caught_up.wait())},
            return_when=asyncio.FIRST_COMPLETED,
            timeout=20,
        )
        if worker.caught_up.is_set():
            break
    assert on_the_desk(worker) == {"a"}
    assert worker.counts.given_up == 1
    for running in (task, outgoing):
        running.cancel()
    await asyncio.gather(task, outgoing, return_exceptions=True)


async def test_a_caseload_whose_announcement_was_lost_is_put_in_force(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordon.caseload_in_force.POLL_S", 0.1)
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "caught up")
        await site.keep.put_caseload(KeptCaseload("5", one_pair()))
        await until(lambda: worker.partition.kept.version == "5", "it is in force")
        assert worker.partition.compiled.watches


async def test_alert_changes_are_read_past_gaps_and_after_a_lost_end(site: Site) -> None:
    await checkpoint_of_two_panics(site)
    subject, nc = alert_subject(0), site._nc
    everything = await read_recorded(nc, subject, after=0)
    assert len(everything.entries) >= 2
    ahead = await read_recorded(nc, subject, after=everything.position + 100)
    assert ahead == everything
    await site.js.delete_msg(ALERTS, 1)
    assert (await read_recorded(nc, subject, after=0)).entries == everything.entries[1:]
