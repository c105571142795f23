"""A partition with nothing around it: batches in, decisions and alert changes out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from alerts.decisions import (
    AnomalyDecision,
    CommandDecision,
    Decision,
    Finding,
    GapDecision,
    HealthDecision,
)
from alerts.desk import Desk
from alerts.model import AlertChange
from alerts.profile import Profiles, load_profiles
from cordon.keep import KeptCaseload
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from devices.caseload import Caseload
from devices.command_desk import Sending
from devices.course import CourseStep
from devices.instants import from_iso
from devices.reports import FIX_DTYPE, MISSING, Batch, Event, Message, Receipt
from geofence.engine import Rules
from tests.cordon.running import HOME, METRE_DEG

START_US = from_iso("2026-11-24T08:00:00Z")
SECOND_US = 1_000_000
PROFILES = load_profiles()


@dataclass
class Recorder:
    """Takes what a partition hands over, and remembers it."""

    decisions: list[Decision] = field(default_factory=list)
    anomalies: list[AnomalyDecision] = field(default_factory=list)
    health: list[HealthDecision] = field(default_factory=list)
    gaps: list[GapDecision] = field(default_factory=list)
    commands: list[CommandDecision] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    changes: list[AlertChange] = field(default_factory=list)
    steps: list[CourseStep] = field(default_factory=list)
    alerts_position: int = 0

    def decided(self, decisions: Sequence[Decision]) -> None:
        self.decisions += decisions

    def noted(self, found: Sequence[Finding]) -> None:
        self.anomalies += [one for one in found if isinstance(one, AnomalyDecision)]
        self.health += [one for one in found if isinstance(one, HealthDecision)]
        self.gaps += [one for one in found if isinstance(one, GapDecision)]
        self.commands += [one for one in found if isinstance(one, CommandDecision)]

    def coursed(self, step: CourseStep) -> None:
        self.steps.append(step)

    def commanded(self, sendings: Sequence[Sending]) -> None:
        self.sendings += sendings

    def changed(self, changes: Sequence[AlertChange]) -> None:
        self.changes += changes

    def answered(self, receipts: Sequence[Receipt], now_us: int) -> None: ...

    def recall(self, recorded: object) -> None: ...

    def pieces(self) -> Iterator[bytes]:
        return iter((b"",))

    def wished(self, event: Event, bearer: object, now_us: int) -> None: ...

    def advance(self, now_us: int) -> None: ...

    def choices(self) -> bytes:
        return b""

    def load_choices(self, data: bytes, *, choices_only: bool) -> None: ...

    def load(self, data: bytes) -> None: ...


class _Silent:
    def applied(self, batch: Batch) -> None: ...

    def replanned(self) -> None: ...


class Room:
    """A partition, what it gave, and a hand to bring it batches."""

    def __init__(
        self,
        caseload: Caseload,
        profiles: Profiles = PROFILES,
        *,
        secret: bytes = b"of the test",
        tick_s: float = 0.2,
        synthetic: bool = False,
    ) -> None:
        self.out = Recorder()
        rules = Rules()
        self.partition = Partition(
            lambda: Desk(profiles, rules=rules.version, build="test"),
            cast("Outgoing", self.out),
            _Silent(),
            START_US,
            tick_s=tick_s,
            build="test",
            rules=rules,
            secret=secret,
            sensitivities=profiles.sensitivities,
            synthetic=synthetic,
        )
        self.partition.put_in_force(KeptCaseload("1", caseload), START_US)
        self.gateway = "gw"
        self._number = 0
        self._seq = 0

    def bring(
        self,
        at_s: float,
        fixes: Mapping[str, tuple[float, float]] | Sequence[tuple[str, float, float, float]] = (),
        events: Sequence[Event] = (),
    ) -> None:
        """One batch: places in metres north and east of `HOME`, and events.

        Fixes are given by device, made at `at_s`, or as (device, made at, north, east).
        """
        if isinstance(fixes, Mapping):
            rows = [(device, at_s, *place) for device, place in fixes.items()]
        else:
            rows = list(fixes)
        east = METRE_DEG / math.cos(math.radians(HOME[0]))
        raw = [
            (
                device,
                made_s,
                round((HOME[0] + north_m * METRE_DEG) * 1e7),
                round((HOME[1] + east_m * east) * 1e7),
            )
            for device, made_s, north_m, east_m in rows
        ]
        self.bring_raw(at_s, raw, events)

    def bring_raw(
        self,
        at_s: float,
        fixes: Sequence[tuple[str, float, int, int]],
        events: Sequence[Event] = (),
    ) -> None:
        """One batch: fixes as (device, made at, latitude and longitude in 1e-7 degrees)."""
        now_us = self.now_us(at_s)
        devices = tuple(dict.fromkeys(device for device, *_ in fixes))
        table = np.zeros(len(fixes), FIX_DTYPE)
        table["battery_pct"] = table["charging"] = MISSING
        for index, (device, made_s, lat_e7, lon_e7) in enumerate(fixes):
            self._seq += 1
            table[index]["device"] = devices.index(device)
            table[index]["seq"] = self._seq
            table[index]["time_us"] = self.now_us(made_s)
            table[index]["lat_e7"] = lat_e7
            table[index]["lon_e7"] = lon_e7
            table[index]["accuracy_cm"] = 500
        self._apply(now_us, devices, table, tuple(events))

    def now_us(self, at_s: float) -> int:
        """The instant so many seconds after the start."""
        return START_US + round(at_s * SECOND_US)

    def _apply(
        self, now_us: int, devices: tuple[str, ...], table: Any, events: tuple[Event, ...]
    ) -> None:
        self._number += 1
        self.partition.apply(
            Batch(
                gateway=self.gateway,
                number=self._number,
                received_us=now_us,
                messages=(Message(now_us, "cordon/v1/x/fix", b"{}"),),
                devices=devices,
                fixes=table,
                events=events,
            )
        )

    def event(
        self, device: str, kind: str, at_s: float, peer: str | None = None, seq: int = 0
    ) -> Event:
        """An event of a device."""
        self._seq += 1
        return Event(0, device, seq or self._seq, self.now_us(at_s), kind, peer, {})

    def kinds(self) -> list[str]:
        """The changes of alerts so far."""
        return [change.kind for change in self.out.changes]
