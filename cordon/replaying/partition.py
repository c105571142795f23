"""A partition of which nobody is told: what it does beside deciding is left out.

Between two batches of a day nearly always lie sweeps and nothing else. Then engine and care of devices,
which know nothing of each other, take in many batches each on its own: the engine in a thread, as its
kernels hold no lock. What they find is told in the order in which it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np

from cordon.checkpoint import Checkpoint
from cordon.device_care import DeviceCare, Noticed
from cordon.keep import KeptCaseload
from cordon.partition import Partition
from cordon.records import decision_record
from cordon.replaying.collected import Collected, NoCommands
from devices.command_desk import CommandDesk
from devices.reports import Batch, FixKind
from devices.together import Together
from geofence.anomaly_keeper import Columns
from geofence.engine import Engine
from geofence.following import FollowingEngine
from geofence.levels import Transition
from geofence.plan import IntArray


class WayError(RuntimeError):
    """What is stored does not say how it went on."""


class Replayed(Partition):
    """It can be put into a state in the middle of a run, and takes many batches at once."""

    _engine_type: type[Engine] = FollowingEngine

    @property
    def _is_told(self) -> bool:
        return False

    def _new_care(self, now_us: int) -> DeviceCare:
        care = super()._new_care(now_us)
        care.commands = cast("CommandDesk", NoCommands())
        return care

    def _load_parts(self, checkpoint: Checkpoint, now_us: int) -> list[str]:
        refused = super()._load_parts(checkpoint, now_us)
        self.care.commands = cast("CommandDesk", NoCommands())
        return refused

    def resume(self, kept: KeptCaseload, checkpoint: Checkpoint) -> None:
        """Stand where a checkpoint was taken, as if the run had never been interrupted.

        Raises:
            WayError: It cannot be read by this version.
        """
        self.kept = kept
        self.compiled = self._compile(kept, checkpoint.compiled_us or checkpoint.ticked_us)
        refused = self._load_parts(checkpoint, checkpoint.ticked_us)
        if refused:
            raise WayError(
                "The state to begin from is of a version with another layout of: "
                f"{', '.join(refused)}. Replay with the version that wrote it."
            )
        self._live = True

    def decide(self, transitions: Sequence[Transition], now_us: int) -> None:
        """Keep what the engine has decided."""
        del now_us
        if transitions:
            watches, made = self.compiled.watches, self._made
            decided = [decision_record(one, watches[one.watch], made) for one in transitions]
            self._outgoing.decided(decided)

    # -- many batches -----------------------------------------------------------------------

    def takes_together(self, batch: Batch) -> bool:
        """Whether a batch may be one of `apply_all`.

        It is not the first, of no other gateway than that before, meets the plan in force, and
        brings no event, of which the engine might hear.
        """
        plan_us = self.compiled.valid_until_us
        return (
            self.ticked_us > 0
            and not batch.events
            and (plan_us is None or batch.received_us < plan_us)
            and batch.gateway.partition(".")[0] == self._gateway
        )

    def apply_all(self, batches: Sequence[Batch]) -> None:
        """`apply` for each, with every sweep before it; they come in the order of their arrival."""
        out = cast("Collected", self._outgoing)
        names = [out.after, *(batch.name for batch in batches)]
        some = Together(batches)
        columns, ends = self._columns(some)
        received_us = np.array([batch.received_us for batch in batches])
        engine = cast("FollowingEngine", self.engine)
        sweeps = (self.ticked_us + self._tick_us, self._tick_us)
        with ThreadPoolExecutor(1) as aside:
            following = aside.submit(engine.follow, columns, ends, received_us, sweeps)
            noticed = self._look_after(some)
            decided = following.result()
        for one in decided:
            out.after = names[one.batch + (not one.swept)]
            self.decide(one.transitions, 0)
            self.note(one.anomalies, 0)
        for place, found in noticed:
            out.after = names[place]
            self._note_devices(found, 0)
        out.after = names[-1]
        self.ticked_us = max(self.ticked_us, self._last_tick_us(batches[-1]))

    def _last_tick_us(self, batch: Batch) -> int:
        return batch.received_us - batch.received_us % self._tick_us

    def _columns(self, some: Together) -> tuple[Columns, IntArray]:
        """Fixes as the engine takes them, and the one behind the last of each batch."""
        known: dict[tuple[str, ...], IntArray] = {}
        for batch in some.batches:
            if batch.devices not in known:
                known[batch.devices] = self.wearing.places_of(batch.devices)
        places = np.concatenate([known[batch.devices] for batch in some.batches])
        kept = some.fixes["kind"] != FixKind.LAST_KNOWN  # as `positions`
        fixes = some.fixes[kept]
        ends = np.cumsum(np.bincount(some.batch[kept], minlength=len(some.batches)))
        track = self.wearing.tracks_at(places, some.place[kept], fixes["time_us"])
        names = ("time_us", "lat_e7", "lon_e7", "accuracy_cm")
        return Columns(track, *(fixes[name].astype(np.int64) for name in names)), ends

    def _look_after(self, some: Together) -> list[tuple[int, Noticed]]:
        """What is noticed of devices, after how many of the batches."""
        care, found = self.care, list[tuple[int, Noticed]]()
        for place, (batch, said) in enumerate(zip(some.batches, some.said(), strict=True)):
            self.course.take(batch, anew=False)
            tick_us = self._last_tick_us(batch)
            if care.due_us <= tick_us:
                found.append((place, care.advance(tick_us)))
            troubles, gaps = care.hear(batch, said.latest, said.runs)
            if troubles or gaps:
                found.append((place + 1, Noticed(troubles, gaps, [], [])))
        return found
