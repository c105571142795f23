"""Prometheus metrics: the parts' own counters, read when they are asked for.

No label holds a person, a device or a place: metrics are kept long and seen by many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cordon.backroom import BackroomProcess
from cordon.clock import wall_clock_us
from cordon.parts import Parts
from cordon.probe import Probe
from cordon.record_metrics import of_record
from cordon.worker import Worker
from evidence.sealer import SealerFigures

if TYPE_CHECKING:  # a type stub; there is no such module at run time
    from _typeshed import DataclassInstance


class Metrics:
    """All metrics of one service."""

    def __init__(self, parts: Parts) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_PartsCollector(parts))

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return bytes(generate_latest(self._registry))


class _PartsCollector(Collector):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        parts = self._parts
        yield from _counters("gateway", "Gateway, since its start", parts.gateway.counts)
        yield _labelled(
            "cordon_refused_messages",
            "Messages refused and kept, or not used, by reason",
            "reason",
            parts.gateway.counts.refusals
            + Counter(parts.slow_lane.counts.refusals)
            + parts.identity.refusals.counts.seen,
        )
        yield from _counters("slow_lane", "Messages taken in later", parts.slow_lane.counts)
        yield from _counters(
            "broker_refusals", "What the broker refused", parts.identity.refusals.counts
        )
        yield from _of_the_door(parts)
        if parts.forwarder is not None:
            yield from _counters("forwarding", "Posted positions", parts.forwarder.counts)
        yield from _counters("journal", "Journal writer, since its start", parts.journal.counts)
        yield from _of_worker(parts.worker)
        partition = parts.worker.partition
        yield from _counters("engine", "Engine, since the start", partition.counts)
        yield from _counters(
            "reports",
            "Order of what devices send, since the start",
            partition.care.sequences.counts,
        )
        yield from _counters(
            "commands", "Command desk, since the start", partition.care.commands.counts
        )
        yield from _counters("command_lane", "Commands sent", parts.outgoing.commands.counts)
        yield from _counters("desk", "Alert desk, since its start", partition.desk.counts)
        yield from _counters("outbox", "Deliveries, since the start", parts.outgoing.outbox.counts)
        yield from _counters("profiles", "Jurisdiction profiles", parts.policy.profiles.counts)
        yield from _load(parts)
        if parts.probe is not None:
            yield from _probe(parts.probe)
        yield from _counters("choices", "What protected people chose", parts.outgoing.wishes.counts)
        yield from _counters("status", "Protection statuses sent", parts.outgoing.assured)
        yield from _counters("policy", "Files of policy", parts.policy.counts)
        yield _gauge(
            "policy_refusing",
            "1: the files as they are cannot be used",
            parts.policy.counts.refusing,
        )
        for channel, lane in parts.outgoing.dispatcher.counts.items():
            yield from _counters(f"channel_{channel}", f"Deliveries to {channel}", lane)
        yield from _counters("evidence", "Rows stored", parts.writer.counts.written)
        if isinstance(parts.writer, BackroomProcess):
            yield from _of_the_backroom(parts.writer)
        yield from _counters("console", "Live streams of the console", parts.hub.counts)
        yield CounterMetricFamily(
            "cordon_unassigned_reports",
            "Reports of devices that nobody carries, since the start",
            parts.strangers.reports,
        )
        yield _labelled(
            "cordon_part_restarts",
            "Times a part had to be started again",
            "part",
            parts.supervisor.restarts,
        )
        yield from self._gauges()
        yield from of_record(parts.record)
        if parts.sealer is not None:
            yield from _of_sealer(parts.sealer)

    def _gauges(self) -> Iterator[Metric]:
        parts, worker = self._parts, self._parts.worker
        lanes = parts.writer.counts.lanes.values()
        yield _gauge("broker_answers", "The broker answers", not parts.heartbeat.silent)
        yield _gauge("gateway_ready", "Subscribed at the broker", parts.gateway.ready.is_set())
        yield _gauge("gateway_unacknowledged", "Messages not journaled yet", parts.gateway.unacked)
        yield _gauge("gateway_flooding", "Devices that send too much", parts.gateway.flooding)
        yield _gauge("slow_lane_waiting", "Messages kept for later", parts.slow_lane.waiting)
        yield _gauge("worker_caught_up", "Reading live", worker.caught_up.is_set())
        yield _gauge(
            "worker_lag_seconds", "Age of the batch decided last", (worker.lag_ms or 0) / 1e3
        )
        yield _gauge(
            "worker_journal_position", "Journal position applied", worker.partition.position
        )
        yield _gauge(
            "unassigned_devices", "Devices heard that nobody carries", parts.strangers.devices
        )
        yield _gauge("watches", "Watches in force", len(worker.partition.compiled.watches))
        yield _gauge(
            "alerts_open", "Alerts that are not resolved", len(worker.partition.desk.ranking)
        )
        yield _gauge(
            "append_waiting", "Alert records not on disk yet", parts.outgoing.alerts.waiting
        )
        yield _gauge("database_up", "The database answers", bool(parts.writer.counts.database_up))
        yield _gauge(
            "evidence_lag", "Journal entries not stored yet", max(lane.lag for lane in lanes)
        )
        yield _gauge("console_streams", "Open consoles", len(parts.hub))


def _of_the_backroom(room: BackroomProcess) -> Iterator[Metric]:
    yield from _counters("conduct", "Courses of conduct", room.conduct)
    yield _labelled(
        "cordon_backroom_restarts",
        "Times a part of the back room had to be started again, since its start",
        "part",
        room.restarts,
    )


def _of_worker(worker: Worker) -> Iterator[Metric]:
    yield from _counters("worker", "Worker, since its start", worker.counts)
    yield CounterMetricFamily(
        "cordon_worker_caseloads_refused",
        "Versions that cannot be watched; the one before stayed in force",
        worker.caseload.refused,
    )
    yield from _counters("express", "Urgent events", worker.express.counts)


def _of_the_door(parts: Parts) -> Iterator[Metric]:
    """How many were let in and put out."""
    yield _gauge(
        "devices_open", "Any device may be spoken for by anybody", parts.identity.devices_open
    )
    door = parts.identity.doorkeeper
    if door is None:
        return
    answers: Counter[str] = Counter()
    for authorizer in door.authorizers:
        answers.update(asdict(authorizer.counts))
    yield _labelled("cordon_logins", "Questions of the broker, by answer", "answer", answers)
    if door.sessions is not None:
        yield from _counters("sessions", "Watch on open sessions", door.sessions.counts)
    registry = door.copy.registry
    yield _gauge("devices_registered", "Devices with a credential", len(registry or ()))


def _of_sealer(sealer: SealerFigures) -> Iterator[Metric]:
    yield from _counters("sealer", "Sealer, since its start", sealer.counts)
    yield _gauge("sealer_log_size", "Batches in the log", sealer.progress.size)
    yield _gauge(
        "sealer_witnessed_size", "Of the head enough signed", sealer.progress.cosigned_size
    )
    yield _gauge(
        "sealer_lag_seconds",
        "Age of the newest head that counts; younger rows can be altered",
        sealer.lag_s(),
    )
    yield _gauge(
        "sealer_refuses", "Nothing is signed until a person looks", bool(sealer.progress.refused)
    )


def _load(parts: Parts) -> Iterator[Metric]:
    """After EEMUA 191 and ISA-18.2; see `alerts.load`."""
    ranking = parts.worker.partition.desk.ranking
    figures = parts.outgoing.burden.figures(wall_clock_us(), ranking, len(parts.hub))
    yield _gauge("load_raised_10_min", "Alerts in ten minutes", figures.raised_10_min)
    per_operator = figures.per_operator_10_min
    yield _gauge("load_per_operator_10_min", "The same for each open console", per_operator)
    yield _gauge("load_flood", "1: more than can be handled", figures.flood_since is not None)
    yield _gauge("load_flood_share", "Share of the time in flood", figures.flood_share)
    yield _gauge("load_chattering", "Sources that chatter", len(figures.chattering))
    yield _gauge("load_stale", "Alerts open for more than a day", figures.stale)
    for name in ("to_acknowledge", "to_dispatch", "to_deliver"):
        spread = getattr(figures, name)
        for part in ("median_s", "p95_s", "longest_s"):
            value = getattr(spread, part)
            yield _gauge(f"load_{name}_{part}", "Seconds", float("nan") if value is None else value)


def _probe(probe: Probe) -> Iterator[Metric]:
    yield from _counters("self_test", "Walks of the synthetic pair", probe.judge.counts)
    failing = bool(probe.judge.problem(wall_clock_us()))
    yield _gauge("self_test_failing", "1: its alert did not come in time", failing)
    latency_s = probe.judge.latency_s
    if latency_s is not None:
        yield _gauge("self_test_latency_s", "From the fix to the alert at its receiver", latency_s)


def _counters(part: str, text: str, counts: DataclassInstance) -> Iterator[Metric]:
    """A counter for each whole number in a dataclass of counts."""
    for field in fields(counts):
        value = getattr(counts, field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            yield CounterMetricFamily(f"cordon_{part}_{field.name}", f"{text}: {field.name}", value)


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"cordon_{name}", text, float(value))
