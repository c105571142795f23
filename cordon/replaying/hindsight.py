"""The evidential timeline of a window: what can be said now that everything has come.

The plan changes with the caseload, with profiles and by the clock; each span of one plan is decided
by itself, with some time before it to warm the tracks up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
import numpy as np
import psycopg

from cordon.replaying.replay import Told
from cordon.replaying.way import Change, sensitivities_of
from devices.caseload import Caseload
from devices.compiler import compile_caseload
from devices.course import Start
from devices.instants import MICROSECONDS, to_iso
from devices.synthetic import with_synthetic
from devices.watches import Compiled
from evidence.transitions import FIXES_DTYPE, read_device_fixes, read_transitions
from geofence.evidential import Alarm, Fixes, find, retrospective
from geofence.levels import Transition
from geofence.rules import Rules

Connection = psycopg.AsyncConnection

LEAD_US = 900 * MICROSECONDS
"""Tracks are warm after this."""

LIVE_BEFORE_US = 86_400 * MICROSECONDS
"""A live alarm that began so long before the window may last into it."""


class Finding(msgspec.Struct, frozen=True):
    """Something that happened and that nobody could be told of then: an alarm of hindsight alone.

    Attributes:
        began, ended: None while it had not ended by the end of the window.
        level: The highest.
        least_m: The least distance known; for a zone the signed distance to its boundary. None
            where there is none.
    """

    watch: str
    order: str
    began: str
    ended: str | None
    level: str
    least_m: float | None

    def __str__(self) -> str:
        """For people."""
        least = "" if self.least_m is None else f", at least {self.least_m:.1f} m"
        until = self.ended or "the end of the window"
        return f"{self.watch} ({self.order}): {self.level} from {self.began} to {until}{least}"


class _Plan:
    """What was watched from an instant on."""

    def __init__(self, from_us: int, start: Start, caseload: Caseload, version: str) -> None:
        self.from_us, self.start, self.version = from_us, start, version
        self.caseload = with_synthetic(caseload) if start.synthetic else caseload

    def compiled(self, at_us: int, change: Change) -> tuple[Compiled, Rules]:
        rules, told = change(msgspec.convert(self.start.rules, Rules), self.start.sensitivities)
        sensitivities = sensitivities_of(told)
        return compile_caseload(self.caseload, at_us, self.version, sensitivities), rules


async def hindsight(
    connection: Connection,
    known: Told,
    orders: Collection[str],
    change: Change,
    tell: Callable[[str], None],
) -> list[Finding]:
    """Findings of a window, in order of their beginning.

    Args:
        connection: Within the `reading` that `known` was read in.
        known: The window.
        orders: Of these alone; empty: of all.
        change: Other parameters than those of then.
        tell: Where progress goes.
    """
    from_us, to_us = known.from_us, known.to_us
    found: list[Transition] = []
    names: dict[str, str] = {}
    for plan, start_us, end_us in _spans(_plans(known), from_us, to_us, change):
        compiled, rules = plan.compiled(start_us, change)
        tell(f"Deciding {to_iso(start_us)} to {to_iso(end_us)} anew")
        names |= {key: watch.order_id for key, watch in compiled.watches.items()}
        fixes = await _fixes(connection, compiled, start_us - LEAD_US, end_us)
        made = find(
            compiled.plan,
            fixes,
            from_us=start_us - LEAD_US,
            to_us=end_us,
            tick_s=plan.start.tick_s,
            rules=rules,
        )
        found += [one for one in made if one.decided_at_us >= start_us]
    live = await read_transitions(connection, from_us - LIVE_BEFORE_US, to_us, orders)
    wanted = [one for one in found if not orders or names[one.watch] in orders]
    return [_finding(alarm, names[alarm.watch]) for alarm in retrospective(live, wanted)]


def _plans(known: Told) -> list[_Plan]:
    plans, caseloads = [], known.caseloads
    for run in known.runs:
        assert run.start is not None, "seen when it was replayed"
        start, version = run.start, run.version
        plans.append(_Plan(run.run_us, start, caseloads[version], version))
        for turn in run.turns:
            step = turn.step
            if step is None or step.kind == "live":
                continue
            if step.kind == "caseload":
                version = step.caseload_version
            else:
                told = msgspec.json.decode(step.detail, type=dict[str, dict[str, float]])
                start = msgspec.structs.replace(start, sensitivities=told)
            plans.append(_Plan(step.at_us, start, caseloads[version], version))
    return plans


def _spans(
    plans: Sequence[_Plan], from_us: int, to_us: int, change: Change
) -> list[tuple[_Plan, int, int]]:
    """Times of one plan each, without a gap."""
    spans = []
    for index, plan in enumerate(plans):
        last = index + 1 == len(plans)
        end_us = to_us if last else min(to_us, plans[index + 1].from_us)
        at_us = max(from_us, plan.from_us)
        while at_us < end_us:
            valid_us = plan.compiled(at_us, change)[0].valid_until_us
            until_us = end_us if valid_us is None else min(end_us, valid_us)
            spans.append((plan, at_us, until_us))
            at_us = until_us
    return spans


async def _fixes(connection: Connection, compiled: Compiled, from_us: int, to_us: int) -> Fixes:
    tracks = compiled.plan.tracks
    read = await read_device_fixes(connection, tracks, from_us, to_us)
    parts, index = [np.zeros(0, FIXES_DTYPE)], [np.zeros(0, np.int64)]
    for number, device in enumerate(tracks):
        # A fix from before its device was handed to the one who has it then is another's.
        theirs = read[device][read[device]["time_us"] >= compiled.bearers[device].since_us]
        parts.append(theirs)
        index.append(np.full(len(theirs), number, np.int64))
    table = np.concatenate(parts)
    columns = (table[name] for name in ("time_us", "lat_e7", "lon_e7", "accuracy_cm"))
    return Fixes(np.concatenate(index), *columns)


def _finding(alarm: Alarm, order: str) -> Finding:
    return Finding(
        alarm.watch,
        order,
        to_iso(alarm.began_us),
        None if alarm.end_us is None else to_iso(alarm.end_us),
        alarm.level.name.lower(),
        None if np.isnan(alarm.least_m) else alarm.least_m,
    )
