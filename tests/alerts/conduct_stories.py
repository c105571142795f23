"""Short ways to tell of acts: spells of a watch with their alerts, tracks, acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from alerts.conduct import DAY_US, MINUTE_US, Act, Subject, act_id
from alerts.conduct_rules import ConductRules
from alerts.decisions import Decision
from alerts.model import Alert, AlertChange
from devices.watches import Watch
from geofence.levels import Level
from tests.alerts.builders import START_US, WATCH, desk, transition

RULES = ConductRules()
SUBJECT = Subject(wearer="wearer1", protected="protected1", agency="centre", profile="default")


def act(kind: Any, day: float, minutes: float = 5, **fields: Any) -> Act:
    """An act of a kind, so many days after the start."""
    began_us = START_US + int(day * DAY_US)
    values = {
        "id": act_id(kind, began_us),
        "kind": kind,
        "began_us": began_us,
        "ended_us": began_us + int(minutes * MINUTE_US),
    }
    return Act(**(values | fields))


class Told:
    """Tells spells of watches to a real desk, and keeps what the streams would hold."""

    def __init__(self) -> None:
        self.desk = desk()
        self.decisions: list[Decision] = []
        self.changes: list[AlertChange] = []
        self.alerts: dict[str, Alert] = {}
        self._numbers: dict[str, int] = {}

    def spell(
        self, day: float, steps: Sequence[tuple[float, Level]], watch: Watch = WATCH, **fields: Any
    ) -> None:
        """Steps of (minute, level), beginning at clear, so many days after the start."""
        onset_us = START_US + int(day * DAY_US)
        previous = Level.CLEAR
        for minute, level in steps:
            self._numbers[watch.key] = self._numbers.get(watch.key, 0) + 1
            at_us = onset_us + int(minute * MINUTE_US)
            change = transition(
                self._numbers[watch.key],
                level,
                watch=watch.key,
                previous=previous,
                onset_us=onset_us,
                decided_at_us=at_us,
                **fields,
            )
            for told in self.desk.on_transition(change, watch, now_us=at_us):
                self.alerts[told.data.alert_id] = told.data
                self.changes.append(told)
            self.decisions.append(
                Decision(
                    transition=change,
                    condition_id=watch.condition_id,
                    order_id=watch.order_id,
                    agency=watch.agency,
                    wearer=watch.wearer,
                    protected=watch.protected,
                    tag=watch.tag,
                    handset=watch.handset,
                    rules="r",
                    build="b",
                    caseload_version="v",
                    after_position=1,
                )
            )
            previous = level

    def outcome(self, outcome: str) -> None:
        """All alerts were closed with this outcome."""
        self.alerts = {
            name: msgspec.structs.replace(one, outcome=outcome) for name, one in self.alerts.items()
        }
