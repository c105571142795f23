"""What a batch says about the health of devices."""

from __future__ import annotations

import numpy as np

from devices.health import Health
from devices.health_changes import HEALTH_EVENTS, HealthChange
from devices.reports import MISSING, Batch, FixKind


def take_reports(health: Health, batch: Batch) -> list[HealthChange]:
    """Let a batch change the health of the devices in it. Time goes on to its arrival first.

    Whatever a device sends is a word of it, an answer to a command, too, and what could not be
    accepted: a device that sends nonsense is not silent. What the broker says of a device (its
    last will) is none.
    """
    now_us = batch.received_us
    changes = health.advance(now_us)
    for status in batch.statuses:
        changes += health.status(status.device, status.time_us, now_us, online=status.online)
    for device in _speakers(batch):
        changes += health.hear(device, now_us)
    changes += _take_fixes(health, batch)
    for event in batch.events:
        if event.type in HEALTH_EVENTS:
            changes += health.event(event.device, event.type, event.time_us, now_us)
    return changes


def _speakers(batch: Batch) -> dict[str, None]:
    """Devices that said something themselves, each once, in the order of the batch."""
    names = [batch.devices[index] for index in np.unique(batch.fixes["device"]).tolist()]
    names += [event.device for event in batch.events]
    names += [receipt.device for receipt in batch.receipts]
    names += [refusal.device for refusal in batch.refusals]
    return dict.fromkeys(names)


def _take_fixes(health: Health, batch: Batch) -> list[HealthChange]:
    """Positions and batteries; of many from one device, in the order of its own time."""
    fixes, now_us = batch.fixes, batch.received_us
    placed = fixes["kind"] != FixKind.LAST_KNOWN
    told = (fixes["battery_pct"] != MISSING) | (fixes["charging"] != MISSING)
    columns = [fixes[name].tolist() for name in ("device", "time_us", "battery_pct", "charging")]
    changes: list[HealthChange] = []
    wanted = np.flatnonzero(told | _newest(batch, placed))
    for index in wanted[np.argsort(fixes["time_us"][wanted], kind="stable")].tolist():
        device, time_us, pct, charging = (column[index] for column in columns)
        name = batch.devices[device]
        if told[index]:
            changes += health.battery(name, pct, charging, time_us, now_us)
        if placed[index]:
            changes += health.position(name, time_us, now_us)
    return changes


def _newest(batch: Batch, placed: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> object:
    """(n,) whether a fix is the newest of its device among those that tell a place."""
    newest = np.full(len(batch.devices), -1, np.int64)
    found = np.zeros(len(batch.fixes), np.bool_)
    rows = np.flatnonzero(placed)
    ordered = rows[np.argsort(batch.fixes["time_us"][rows], kind="stable")]
    newest[batch.fixes["device"][ordered]] = ordered
    found[newest[newest >= 0]] = True
    return found
