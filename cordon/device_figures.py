"""How each device is, in figures: what `cordon device health` prints. Read from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from cordon.checkpoint import Checkpoint
from devices.health import Health, HealthStateError
from devices.health_state import NEVER_US, DeviceHealth
from devices.instants import MICROSECONDS, to_iso
from devices.reports import MISSING
from devices.sequence_state import DeviceSequence
from devices.sequences import Sequences, SequenceStateError
from geofence.anomaly_state import Anomaly
from geofence.clock_offset import ahead_us
from geofence.snapshot import SnapshotError, decode_snapshot


class DeviceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One device. Instants are ISO 8601; None is not known.

    Attributes:
        troubles: What is wrong now (`devices.health_changes.HealthKind`).
        heard: Arrival of its last word.
        fix_time: Its own time of its newest position.
        battery_pct, charging, online: As last said.
        newest_seq: Highest number of its reports.
        open_gaps, missing: Gaps in its numbers, and numbers missing in them.
        merged_missing: Numbers missing in gaps that are not followed any longer.
        duplicates, filled, restarts, unnumbered: As in `devices.sequence_state`.
        late, latest_late_s: Fixes that came late, and by how much at most.
        clock_ahead_s: Estimate of how far its clock is ahead; below 0 behind, or slow to send.
        clock: ``wrong``, ``gps_time``, or empty while nothing is wrong with it.
    """

    device: str
    person: str
    interval_s: float
    troubles: tuple[str, ...]
    heard: str | None
    fix_time: str | None
    battery_pct: int | None
    charging: bool
    online: bool | None
    newest_seq: int | None
    open_gaps: int
    missing: int
    merged_missing: int
    duplicates: int
    filled: int
    restarts: int
    unnumbered: int
    late: int
    latest_late_s: float
    clock_ahead_s: float | None
    clock: str


class NoFiguresError(ValueError):
    """The checkpoint has no figures that this version can read."""


def figures_of(checkpoint: Checkpoint) -> list[DeviceFigures]:
    """Every device that is watched, by id.

    Raises:
        NoFiguresError: Another version wrote the checkpoint.
    """
    try:
        health = Health.restore(checkpoint.health)
        sequences = Sequences.restore(checkpoint.sequences)
        clocks = _clocks(checkpoint.engine)
    except (HealthStateError, SequenceStateError, SnapshotError) as error:
        raise NoFiguresError(str(error)) from error
    return [
        _figures(name, device, sequences.devices.get(name) or DeviceSequence(), clocks)
        for name, device in sorted(health.devices.items())
    ]


def _clocks(engine: bytes) -> dict[str, tuple[int | None, str]]:
    """By device: how far its clock is ahead in microseconds, and what is wrong with it."""
    held = decode_snapshot(engine)
    return {
        name: (ahead_us(row), _wrong(row))
        for name, row in zip(held.track_ids, held.anomaly_array(), strict=True)
    }


def _wrong(row: np.void) -> str:
    if row["active"] & Anomaly.CLOCK_GPS.bit:
        return "gps_time"
    return "wrong" if row["active"] & Anomaly.CLOCK.bit else ""


def _figures(
    name: str,
    device: DeviceHealth,
    order: DeviceSequence,
    clocks: Mapping[str, tuple[int | None, str]],
) -> DeviceFigures:
    clock_us, clock = clocks.get(name, (None, ""))
    return DeviceFigures(
        device=name,
        person=device.person,
        interval_s=device.interval_s,
        troubles=tuple(device.spells),
        heard=_instant(device.heard_us),
        fix_time=_instant(device.fix_us),
        battery_pct=None if device.battery_pct == MISSING else device.battery_pct,
        charging=device.charging,
        online=device.online,
        newest_seq=None if order.newest < 0 else order.newest,
        open_gaps=len(order.gaps),
        missing=order.missing,
        merged_missing=order.merged_missing,
        duplicates=order.duplicates,
        filled=order.filled,
        restarts=order.restarts,
        unnumbered=order.unnumbered,
        late=order.late,
        latest_late_s=order.latest_late_us / MICROSECONDS,
        clock_ahead_s=None if clock_us is None else clock_us / MICROSECONDS,
        clock=clock,
    )


def _instant(instant_us: int) -> str | None:
    return None if instant_us == NEVER_US else to_iso(instant_us)
