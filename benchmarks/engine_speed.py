"""How fast the engine is, on one core, beside what one would use instead.

- **Fixes.** Everybody in a town (`benchmarks.town`) sends one fix, and one batch of them goes
  through `Engine.update`. Each is a step of its track, one pair and three zones of 50 vertices. All
  fixes are up to a second old, so tracks are brought up to the instant of the decision as well.
- **Sweep.** Time passes for pairs alone, second by second after everybody's last fix: in the
  ordinary town, where most are far from each other, and in the worst, where every pair is due.
- **Curve.** A batch of the same size in plans of more and more pairs.
- **Warm-up.** `warm_up` in processes of their own: nothing kept, everything kept, and two that
  begin at once with nothing kept.

What runs in this process is timed by the CPU time of its thread, so that other programs on the
machine count for little; servers and the warm-up are timed by the clock. Medians over rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import psycopg

from benchmarks import engine_peers
from benchmarks.engine_peers import Peer, Seconds
from benchmarks.town import SECOND_US, Town
from geofence.engine import Engine, warm_up

INTERVAL_S = 5.0
SETTLING = 8
"""Fixes of everybody before any is timed: the first ones begin tracks."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        batches: Devices of the towns, and fixes of their batches.
        rounds: Batches timed for each.
        sweep_pairs: Pairs that are swept.
        sweeps: How often.
        curve_pairs: Pairs of the plans on the curve.
        curve_batch: Fixes of each batch there.
        one_by_one: Fixes of a batch that peers get one by one.
        compile_alone: Also measure the warm-up in processes of their own.
    """

    batches: tuple[int, ...] = (1_000, 10_000)
    rounds: int = 15
    sweep_pairs: int = 1_000_000
    sweeps: int = 10
    curve_pairs: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    curve_batch: int = 1_000
    one_by_one: int = 2_000
    compile_alone: bool = True


QUICK = Sizes(
    batches=(100, 200),
    rounds=5,
    sweep_pairs=1_000,
    sweeps=3,
    curve_pairs=(100, 1_000),
    curve_batch=50,
    one_by_one=50,
    compile_alone=False,
)
"""To see that it runs: the figures mean nothing."""


class BatchSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """One town, one size of batch.

    Attributes:
        fixes: In a batch; as many devices, half as many pairs, three times as many zones.
        fixes_per_s: Median over the rounds.
        transitions_per_fix: Changes of level that came of them.
        near_pairs, near_zones: Shares whose people live within 500 m.
    """

    fixes: int
    fixes_per_s: float
    transitions_per_fix: float
    near_pairs: float
    near_zones: float


class SweepSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """The passing of time.

    Attributes:
        pairs: That are watched.
        sweep_s: Median of one sweep, a second after the one before.
        due: Share of pairs that were looked at; the others were passed by.
        near_pairs: Share whose people live within 500 m of each other.
    """

    pairs: int
    sweep_s: float
    due: float
    near_pairs: float


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One batch in a plan of so many pairs: `batch_s` is its median."""

    pairs: int
    batch: int
    batch_s: float


class WarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds `warm_up` takes.

    Attributes:
        cold_s: Nothing kept.
        kept_s: Everything kept by a process before.
        two_at_once_s: The slower of two that begin with nothing kept, in one folder.
    """

    cold_s: float
    kept_s: float
    two_at_once_s: float


class EngineReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cordon bench engine`` prints.

    Attributes:
        fixes_per_s: Of the ordinary town with the largest batch.
        ordinary, worst: By size of batch.
        sweep, worst_sweep, curve: See there.
        warm_up: None where it was not asked for.
        peers: With the fixes of that town.
    """

    fixes_per_s: float
    ordinary: list[BatchSpeed]
    worst: list[BatchSpeed]
    sweep: SweepSpeed
    worst_sweep: SweepSpeed
    curve: list[CurvePoint]
    warm_up: WarmUp | None
    peers: list[Peer]


def run_engine(
    sizes: Sizes, *, postgis: str | None = None, tell: Tell = lambda _step: None
) -> EngineReport:
    """Measure everything.

    Args:
        sizes: How much of it.
        postgis: Names a database with PostGIS, as libpq takes it.
        tell: Called with what is done next.
    """
    alone = _compile_alone(tell) if sizes.compile_alone else None
    tell("Compiling the engine")
    warm_up()
    ordinary = [_batch_speed(size, sizes.rounds, worst=False, tell=tell) for size in sizes.batches]
    worst = [_batch_speed(size, sizes.rounds, worst=True, tell=tell) for size in sizes.batches]
    largest = ordinary[-1]
    return EngineReport(
        fixes_per_s=largest.fixes_per_s,
        ordinary=ordinary,
        worst=worst,
        peers=_peers(largest, sizes, postgis, tell),
        curve=[_curve_point(pairs, sizes, tell) for pairs in sizes.curve_pairs],
        sweep=_sweep_speed(sizes, worst=False, tell=tell),
        worst_sweep=_sweep_speed(sizes, worst=True, tell=tell),
        warm_up=alone,
    )


def _batch_speed(size: int, rounds: int, *, worst: bool, tell: Tell) -> BatchSpeed:
    tell(f"Batches of {size} fixes, {'worst' if worst else 'ordinary'}")
    town = Town(size, interval_s=INTERVAL_S, worst=worst)
    engine = _settled(town)
    seconds: Seconds = []
    changes = 0
    for _ in range(rounds):
        columns = town.fixes()
        began_s = time.thread_time()
        update = engine.update(*columns, now_us=town.now_us)
        seconds.append(time.thread_time() - began_s)
        changes += len(update.transitions)
        engine.sweep(town.now_us)
    near_pairs, near_zones = town.near()
    return BatchSpeed(
        fixes=size,
        fixes_per_s=_rounded(size / statistics.median(seconds)),
        transitions_per_fix=_rounded(changes / (size * rounds)),
        near_pairs=_rounded(near_pairs),
        near_zones=_rounded(near_zones),
    )


def _settled(town: Town, rounds: int = SETTLING) -> Engine:
    engine = Engine(town.plan, now_us=town.now_us)
    for _ in range(rounds):
        engine.update(*town.fixes(), now_us=town.now_us)
    return engine


def _curve_point(pairs: int, sizes: Sizes, tell: Tell) -> CurvePoint:
    tell(f"A batch among {pairs} pairs")
    town = Town(2 * pairs, interval_s=INTERVAL_S, zoned=False)
    engine = _settled(town, 2)
    rng = np.random.default_rng(pairs)
    batch = min(sizes.curve_batch, town.count)
    seconds: Seconds = []
    for _ in range(sizes.rounds):
        columns = town.fixes_of(rng.choice(town.count, batch, replace=False))
        began_s = time.thread_time()
        engine.update(*columns, now_us=town.now_us)
        seconds.append(time.thread_time() - began_s)
    return CurvePoint(pairs=pairs, batch=batch, batch_s=_rounded(statistics.median(seconds)))


def _sweep_speed(sizes: Sizes, *, worst: bool, tell: Tell) -> SweepSpeed:
    pairs = sizes.sweep_pairs
    tell(f"Sweeps over {pairs} pairs, {'worst' if worst else 'ordinary'}")
    town = Town(2 * pairs, interval_s=INTERVAL_S, worst=worst, zoned=False)
    engine = _settled(town, 3)
    now_us = town.now_us
    engine.sweep(now_us)
    seconds: Seconds = []
    due: list[float] = []
    for _ in range(sizes.sweeps):
        now_us += SECOND_US
        due.append(engine.due_count(now_us) / pairs)
        began_s = time.thread_time()
        engine.sweep(now_us)
        seconds.append(time.thread_time() - began_s)
    return SweepSpeed(
        pairs=pairs,
        sweep_s=_rounded(statistics.median(seconds)),
        due=_rounded(statistics.median(due)),
        near_pairs=_rounded(town.near()[0]),
    )


def _peers(largest: BatchSpeed, sizes: Sizes, dsn: str | None, tell: Tell) -> list[Peer]:
    town = Town(largest.fixes, interval_s=INTERVAL_S)
    batches = [town.fixes() for _ in range(max(2, sizes.rounds // 3))]
    most = min(sizes.one_by_one, largest.fixes)
    contenders: list[tuple[str, int, Callable[[], Seconds]]] = [
        ("shapely_per_fix", most, lambda: engine_peers.shapely_per_fix(town, batches, most)),
        ("shapely_arrays", largest.fixes, lambda: engine_peers.shapely_arrays(town, batches)),
        ("redis_geo", largest.fixes, lambda: engine_peers.redis_geo(town, batches)),
    ]
    if dsn is not None:
        contenders.append(
            ("postgis", largest.fixes, lambda: engine_peers.postgis(town, batches, dsn))
        )
    peers = [_peer(largest, name, fixes, run, tell) for name, fixes, run in contenders]
    return peers if dsn is not None else [*peers, Peer(name="postgis", note="no database named")]


def _peer(
    largest: BatchSpeed, name: str, fixes: int, run: Callable[[], Seconds], tell: Tell
) -> Peer:
    tell(f"The same fixes: {name}")
    try:
        # The first batch finds no partner, and everything cold.
        per_s = fixes / statistics.median(run()[1:])
    except FileNotFoundError:
        return Peer(name=name, note=engine_peers.NOT_INSTALLED)
    except LookupError:
        return Peer(name=name, note=engine_peers.NOT_INSTALLED)
    except (OSError, psycopg.Error) as error:
        return Peer(name=name, note=str(error))
    return Peer(name=name, fixes_per_s=_rounded(per_s), ratio=_rounded(largest.fixes_per_s / per_s))


_PROGRAM = "from geofence.engine import warm_up; print(warm_up())"


def _compile_alone(tell: Tell) -> WarmUp:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        tell("Warming up with nothing kept")
        (cold_s,) = _warm_ups_s(one, 1)
        tell("Warming up with everything kept")
        (kept_s,) = _warm_ups_s(one, 1)
        tell("Warming up twice at once")
        two_s = max(_warm_ups_s(other, 2))
    return WarmUp(cold_s=_rounded(cold_s), kept_s=_rounded(kept_s), two_at_once_s=_rounded(two_s))


def _warm_ups_s(folder: str, count: int) -> list[float]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    running = [
        subprocess.Popen(  # noqa: S603 - this Python, with a program of our own
            [sys.executable, "-c", _PROGRAM], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a process that was to warm up failed; its message stands above")
    return [float(output) for output in outputs]


def _rounded(value: float) -> float:
    """Four digits that count: more would be noise."""
    return float(f"{value:.4g}")
