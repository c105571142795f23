"""Whatever happens to a worker, its way can be gone again: a reference run against its replay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alerts.desk import Desk
from alerts.profile import load_profiles
from cordon.checkpoint import Checkpoint
from cordon.erased_places import let_go
from cordon.keep import KeptCaseload
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from cordon.replaying.collected import TABLES, Collected, NoObserver
from cordon.replaying.comparing import Comparison, judge
from cordon.replaying.runs import runs_of
from cordon.replaying.way import Way, unchanged
from cordon.ticks import ticks_due
from devices.course import Mark, order_of
from devices.reports import FIX_DTYPE, MISSING, Batch, Event, Status, no_fixes
from evidence.batches import StoredBatch
from geofence.engine import Rules
from tests.cordon.partitions import START_US, Recorder
from tests.cordon.running import HOME, METRE_DEG, one_pair

SECOND_US = 1_000_000
PROFILES = load_profiles()
CASELOADS = {"": one_pair(), "1": one_pair(), "2": one_pair(alert_m=600.0)}
OTHER = {
    name: msgspec.convert(
        {**{f: getattr(one, f) for f in one.__slots__}, "clear_dwell_s": 3.0}, type(one)
    )
    for name, one in PROFILES.sensitivities.items()
}
EAST = METRE_DEG / math.cos(math.radians(HOME[0]))


@dataclass
class Reference:
    """A worker as it might live: batches late and twice, sweeps, plans, crashes."""

    out: Recorder = field(default_factory=Recorder)
    journal: list[Batch] = field(default_factory=list)
    now_us: int = START_US
    version: str = "1"
    told: Any = field(default_factory=lambda: PROFILES.sensitivities)
    checkpoint: Checkpoint | None = None
    held: Batch | None = None
    applied: int = 0
    seq: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.partition = Partition(
            lambda: Desk(PROFILES, rules="r", build="test"),
            cast("Outgoing", self.out),
            NoObserver(),
            self.now_us,
            tick_s=0.5,
            build="test",
            rules=Rules(),
            sensitivities=self.told,
        )
        kept = KeptCaseload(self.version, CASELOADS[self.version])
        self.partition.load(kept, self.checkpoint, self.now_us)
        done = self.partition.position
        for position, batch in enumerate(self.journal[done:], done + 1):
            self.partition.apply(batch)
            self.partition.position = position
        self.held = None
        self.partition.go_live(self.now_us)

    def batch(self, tag: int, her: int, older_s: int, *, again: bool, gateway: str) -> Batch:
        self.seq += 1
        fixes = np.zeros(3 if again else 2, FIX_DTYPE)
        fixes["battery_pct"] = fixes["charging"] = MISSING
        fixes["seq"] = self.seq
        fixes["time_us"] = self.now_us - older_s * SECOND_US
        fixes["device"][1] = 1
        fixes["lat_e7"] = round(HOME[0] * 1e7)
        fixes["lon_e7"] = round(HOME[1] * 1e7)
        fixes["lat_e7"][:2] += [round(tag * METRE_DEG * 1e7), round(her * METRE_DEG * 1e7)]
        fixes["accuracy_cm"] = 600
        if again:
            fixes[2] = fixes[0]
        kind = "beacon_seen" if tag % 2 else "battery_low"
        peer = "phone-1" if tag % 2 else None
        return Batch(
            gateway=gateway,
            number=self.seq,
            received_us=self.now_us,
            messages=(),
            devices=("tag-1", "phone-1"),
            fixes=fixes,
            events=(Event(0, "tag-1", self.seq, self.now_us, kind, peer, {}),) if again else (),
            statuses=(Status(0, "tag-1", not again, self.now_us),) if older_s else (),
        )

    def take(self, batch: Batch, *, hold: bool) -> None:
        """The journal has it; the live path brings it, or brings the next one first."""
        self.journal.append(batch)
        if hold and self.held is None:
            self.held = batch
            return
        self.partition.apply(batch)
        if self.held is not None:
            self.partition.apply(self.held)
            self.held = None
        self.partition.position = len(self.journal)

    def lose(self, batch: Batch) -> None:
        """It is decided on, and the journal never has it."""
        empty = msgspec.structs.replace(batch, fixes=no_fixes(), events=(), statuses=())
        self.partition.apply(empty)
        if self.held is not None:
            self.partition.apply(self.held)
            self.held = None
        self.partition.course.note("unkept", empty.received_us, batch=empty.name)

    def caseload(self, version: str) -> None:
        self.version = version
        self.partition.put_in_force(KeptCaseload(version, CASELOADS[version]), self.now_us)

    def profiles(self, other: bool) -> None:  # noqa: FBT001
        self.told = OTHER if other else PROFILES.sensitivities
        self.partition.go_by(self.told, self.now_us)

    def erased(self, device: str, ago_s: int, for_s: int) -> None:
        """Where a device was for a while is known no more."""
        start_us = self.now_us - ago_s * SECOND_US
        let_go(self.partition, {device: ((start_us, start_us + for_s * SECOND_US),)}, self.now_us)

    def note_checkpoint(self, behind: int) -> None:
        position = self.partition.position
        self.partition.position = max(position - behind, 0)
        self.checkpoint = self.partition.checkpoint()
        self.partition.position = position

    def settle(self) -> None:
        if self.held is not None:
            self.partition.apply(self.held)
            self.held = None
            self.partition.position = len(self.journal)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("batch"),
            st.sampled_from([50, 400, 1_000, 20_000]),
            st.sampled_from([0, 150, 201, 450, 900, 3_000]),
            st.sampled_from([0, 10]),
            st.sampled_from([0, 0, 0, 25]),
            st.booleans(),
            st.sampled_from(["gw", "gw", "gw.slow"]),
            st.sampled_from([False, False, True]),
        ),
        st.tuples(
            st.just("lost"), st.sampled_from([400, 1_000]), st.sampled_from(["gw", "gw.slow"])
        ),
        st.tuples(st.just("sweep"), st.sampled_from([300, 1_000, 30_000])),
        st.tuples(st.just("idle"), st.sampled_from([70_000, 400_000])),
        st.tuples(st.just("caseload"), st.sampled_from(["1", "2"])),
        st.tuples(st.just("profiles"), st.booleans()),
        st.tuples(
            st.just("erased"),
            st.sampled_from(["tag-1", "phone-1"]),
            st.integers(0, 60),
            st.sampled_from([1, 20, 300]),
        ),
        st.tuples(st.just("note_checkpoint"), st.integers(0, 2)),
        st.tuples(st.just("crash")),
    ),
    min_size=8,
    max_size=60,
)


def live(steps: Sequence[Any]) -> Reference:
    one = Reference()
    for kind, *values in steps:
        if kind == "batch":
            after_ms, tag, her, older_s, again, gateway, hold = values
            one.now_us += after_ms * 1_000
            one.take(one.batch(tag, her, older_s, again=again, gateway=gateway), hold=hold)
        elif kind == "lost":
            one.now_us += values[0] * 1_000
            one.lose(one.batch(0, 0, 0, again=False, gateway=values[1]))
        elif kind == "sweep":
            for _ in range(values[0] // 250):
                one.now_us += 250_000
                one.partition.tick_until(one.now_us - 200_000)
        elif kind == "idle":
            one.now_us += values[0] * 1_000
            one.partition.tick_until(one.now_us)
        elif kind in {"caseload", "profiles", "erased", "note_checkpoint"}:
            getattr(one, kind)(*values)
        else:
            one.now_us += 1_500_000
            one.start()
    one.settle()
    one.partition.tick_until(one.now_us)
    return one


def again(one: Reference) -> Collected:
    out = Collected(0, 2**62)
    ordered = sorted(
        (StoredBatch(position, batch) for position, batch in enumerate(one.journal, 1)),
        key=lambda s: order_of(s.batch.gateway, s.batch.number, s.batch.received_us),
    )
    states: dict[Mark, Checkpoint] = {}
    for run in runs_of(one.out.steps):
        assert run.missing() is None
        way = Way(run, CASELOADS, out, unchanged)
        mark = run.start.mark if run.start else None
        way.begin(states[mark] if mark else None)
        end_us = run.next_us or one.now_us + 1
        for stored in ordered:
            if stored.batch.received_us < end_us:
                way.take(stored)
        way.end(one.now_us + 1)
        states |= way.marked
    return out


def compared(one: Reference, made: Collected) -> Comparison:
    found = Comparison(0, 0, 0, [])
    everything = (one.out.decisions, one.out.anomalies, one.out.health, one.out.gaps)
    for table, rows in zip(TABLES.values(), everything, strict=True):
        names = [name for name, _ in table.table.columns]
        stored: dict[Any, dict[str, Any]] = {}
        for row in table.rows([(0, rows)] if rows else []):  # type: ignore[list-item]
            values = dict(zip(names, row, strict=True))
            stored.setdefault(table.key_of(values), values)
        judge(table, stored, made, found)
    return found


def _near(tag: int, *, hold: bool = False) -> Any:
    return ("batch", 1_000, tag, 0, 0, False, "gw", hold)


HELD_BY_ONE_THAT_IS_LOST = [
    *(_near(tag) for tag in (3_000, 900, 450)),
    _near(150, hold=True),
    ("lost", 400, "gw"),
    *[("sweep", 30_000), _near(150), ("sweep", 1_000)] * 2,
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
@example(HELD_BY_ONE_THAT_IS_LOST)
@example([*[_near(900)] * 3, ("erased", "tag-1", 60, 300), *[_near(900)] * 5])
def test_every_life_of_a_worker_can_be_gone_through_again(steps: list[Any]) -> None:
    one = live(steps)
    found = compared(one, again(one))
    assert [str(difference) for difference in found.differences] == []
    assert found.stored == found.equal


SENDINGS = st.tuples(
    st.sampled_from([50, 1_000, 20_000, 50_000]),
    st.sampled_from([0, 150, 201, 450, 3_000]),
    st.sampled_from([0, 0, 25]),
    st.booleans(),
    st.sampled_from([0, 1, 2, 2]),
)


def sweep_singly(one: Reference) -> None:
    """Sweep by sweep; what is found was awaited."""
    out = one.out
    for at_us in ticks_due(one.partition.ticked_us, one.now_us, SECOND_US // 2):
        due_us, before = one.partition.care.due_us, [len(out.health), len(out.gaps)]
        before += [len(out.commands), len(out.sendings)]
        one.partition.tick_until(at_us)
        after = [len(out.health), len(out.gaps), len(out.commands), len(out.sendings)]
        assert due_us <= at_us or after == before


MISSED = (50_000, 3_000, 0, False, 0)
HIS = (50_000, 3_000, 0, False, 1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SENDINGS, min_size=4, max_size=30))
@example([HIS, MISSED, *[HIS] * 12])  # a gap, and she falls silent
def test_who_catches_up_in_long_stretches_finds_what_single_sweeps_find(sent: list[Any]) -> None:
    singly, together = Reference(), Reference()
    for one in (singly, together):
        one.out.__init__()  # type: ignore[misc]
        one.partition.load(KeptCaseload("1", CASELOADS["1"]), None, one.now_us)
    for after_ms, tag, older_s, again, speakers in sent:
        for one in (singly, together):
            one.now_us += after_ms * 1_000
            batch = one.batch(tag, 0, older_s, again=again, gateway="gw")
            if not again:
                batch = msgspec.structs.replace(batch, fixes=batch.fixes[:speakers])
            if one is singly and one.partition.ticked_us:
                sweep_singly(one)
            one.partition.apply(batch)
    assert repr(together.out) == repr(singly.out)  # a float that is not a number is not itself
    states = [one.partition.checkpoint() for one in (singly, together)]
    assert states[0] == states[1]


def test_what_was_decided_otherwise_is_named() -> None:
    near = [("batch", 1_000, 150, 0, 0, False, "gw", False)] * 4
    one = live([("batch", 1_000, 3_000, 0, 0, False, "gw", False), *near])
    first = one.out.decisions[0]
    closer = msgspec.structs.replace(first.transition, sigma_m=first.transition.sigma_m + 1e-12)
    one.out.decisions[0] = msgspec.structs.replace(first, transition=closer)
    [difference] = compared(one, again(one)).differences
    assert (difference.kind, difference.column) == ("changed", "sigma_m")
    assert difference.after.startswith("gw/")
    del one.out.decisions[0]
    [difference] = compared(one, again(one)).differences
    assert difference.kind == "missing"
