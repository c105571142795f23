"""Keeps the anomalies of all devices of a plan, by the names of the devices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_pass import (
    ANOMALY_CHANGE_DTYPE,
    NO_COMPANION,
    AnomalyChangeArray,
    Company,
    lay_company,
    new_places,
    take_oddities,
)
from geofence.anomaly_state import KINDS, Anomaly, AnomalyArray, new_anomalies
from geofence.carry import carry
from geofence.companions import CompanionArray, new_companions
from geofence.memory import RowArray, as_row
from geofence.plan import FloatArray, IntArray, Plan
from geofence.rules import Rules
from geofence.track import MarkArray

CHANGE_BUFFER = 256
"""Changes the pass writes before they are fetched; more only costs another call."""


class Columns(NamedTuple):
    """A batch of n fixes, as `Engine.update` takes them: (n,) each."""

    track: IntArray
    time_us: IntArray
    lat_e7: IntArray
    lon_e7: IntArray
    accuracy_cm: IntArray


class Kept(NamedTuple):
    """What `take_oddities` changes and reads of devices, and the parameters it goes by."""

    anomalies: AnomalyArray
    companions: CompanionArray
    company: Company
    limits_row: RowArray


class AnomalyKeeper:
    """State of every device and of every pair of companions.

    Args:
        plan: Whom to follow.
        rules: Parameters.

    Raises:
        ValueError: The plan's companions contradict themselves (see `lay_company`).
    """

    def __init__(self, plan: Plan, rules: Rules) -> None:
        self._plan = plan
        self._rules = rules
        self._limits = as_row(rules.anomalies.limits())
        self._track_limits = as_row(rules.limits())
        self._company = lay_company(plan)
        self._state = new_anomalies(len(plan.tracks))
        self._companions = new_companions(len(plan.companion_keys))
        widest = int(np.diff(self._company.start).max(initial=0))
        self._changes = np.zeros(max(CHANGE_BUFFER, KINDS + widest), ANOMALY_CHANGE_DTYPE)

    def places(self, count: int) -> FloatArray:
        """Room for what `take_fixes` leaves for `take`."""
        return new_places(count, self._company)

    def take(
        self, fixes: Columns, fix_m: FloatArray, marks: MarkArray, places: FloatArray, now_us: int
    ) -> tuple[MarkArray, list[AnomalyChange]]:
        """Go over a batch that `take_fixes` has been over.

        Returns:
            (n,) values of `Oddity`, and the changes in the order of the fixes.
        """
        oddities = np.zeros(marks.size, np.uint8)
        found: list[AnomalyChange] = []
        start = 0
        while start < marks.size:
            start, count = take_oddities(
                self._state, self._companions, self._company, places,
                self._limits, self._track_limits, fixes.track, fixes.time_us, fixes.accuracy_cm,
                fix_m, marks, now_us, start,
                oddities, self._changes,
            )  # fmt: skip
            found += self.named(count, now_us)
        return oddities, found

    @property
    def kept(self) -> Kept:
        """The state, for a pass that is made elsewhere."""
        return Kept(self._state, self._companions, self._company, self._limits)

    @property
    def changes(self) -> AnomalyChangeArray:
        """Room for what such a pass finds."""
        return self._changes

    def named(self, count: int, now_us: int) -> list[AnomalyChange]:
        """The first of these changes."""
        return [self._named(row, now_us) for row in self._changes[:count]]

    def active(self, now_us: int) -> list[AnomalyChange]:
        """The anomalies that go on, as changes that began."""
        found = [
            self._one(int(track), kind, now_us)
            for track in np.flatnonzero(self._state["active"])
            for kind in range(KINDS)
            if self._state[track]["active"] >> kind & 1
        ]
        pairs = np.flatnonzero(self._companions["active"])
        return found + [self._pair(int(pair), now_us) for pair in pairs]

    def arrays(self) -> tuple[AnomalyArray, CompanionArray]:
        """The state, to be copied."""
        return self._state, self._companions

    def moved_to(self, plan: Plan) -> AnomalyKeeper:
        """A keeper for another plan, which goes on with what is known of the same devices.

        Raises:
            ValueError: As the constructor.
        """
        return AnomalyKeeper(plan, self._rules).fed(
            self._plan.tracks, self._state, self._plan.companion_keys, self._companions
        )

    def fed(
        self,
        tracks: tuple[str, ...],
        state: AnomalyArray,
        pairs: tuple[tuple[str, str], ...],
        companions: CompanionArray,
    ) -> AnomalyKeeper:
        """This keeper, with the state of devices and pairs that it has by name taken over."""
        carry(state, tracks, self._state, self._plan.tracks)
        carry(companions, pairs, self._companions, self._plan.companion_keys)
        return self

    def forget(self, tracks: list[int]) -> None:
        """Begin anew with these devices of the plan, and with every pair one of them is in."""
        self._state[tracks] = new_anomalies(len(tracks))
        worn, carried = self._plan.companions.worn, self._plan.companions.carried
        pairs = np.flatnonzero(np.isin(worn, tracks) | np.isin(carried, tracks))
        self._companions[pairs] = new_companions(pairs.size)

    def _named(self, row: Any, now_us: int) -> AnomalyChange:
        pair = int(row["companion"])
        return AnomalyChange(
            track=self._plan.tracks[row["track"]],
            companion="" if pair == NO_COMPANION else self._plan.companion_keys[pair][1],
            kind=Anomaly(int(row["kind"])),
            began=bool(row["began"]),
            onset_us=int(row["onset_us"]),
            decided_at_us=now_us,
            quantity=float(row["quantity"]),
            count=int(row["count"]),
            number=int(row["number"]),
        )

    def _one(self, track: int, kind: int, now_us: int) -> AnomalyChange:
        state = self._state[track]
        row = {name: state[name][kind] for name in ("onset_us", "quantity", "count", "number")}
        row |= {"track": track, "companion": NO_COMPANION, "kind": kind, "began": 1}
        return self._named(row, now_us)

    def _pair(self, pair: int, now_us: int) -> AnomalyChange:
        state = self._companions[pair]
        row = {
            "track": self._company.worn[pair],
            "companion": pair,
            "kind": Anomaly.STAYS_BEHIND,
            "began": 1,
            "onset_us": state["onset_us"],
            "quantity": state["distance_m"],
            "count": state["standing"],
            "number": state["number"],
        }
        return self._named(row, now_us)
