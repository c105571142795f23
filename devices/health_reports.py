"""What a batch says about the health of devices."""

from __future__ import annotations

from collections.abc import Mapping

from devices.door import speakers
from devices.health import Health
from devices.health_changes import HEALTH_EVENTS, HealthChange
from devices.latest import Latest
from devices.reports import Batch


def take_reports(health: Health, batch: Batch, latest: Mapping[str, Latest]) -> list[HealthChange]:
    """Let a batch change the health of the devices in it. Time goes on to its arrival first.

    Whatever a device sends is a word of it, an answer to a command, too, and what could not be
    accepted: a device that sends nonsense is not silent. What the broker says of a device (its
    last will) is none, and neither is what somebody tries who has not proved to be it: else a wrong
    password a minute would hide that a tag is silent.

    Args:
        health: Of all devices; changes.
        batch: What has arrived.
        latest: `devices.latest.latest_of` the batch.
    """
    now_us = batch.received_us
    changes = health.advance(now_us)
    for status in batch.statuses:
        changes += health.status(status.device, status.time_us, now_us, online=status.online)
    changes += health.hear_all(_speakers(batch, latest), now_us)
    changes += health.tell_all(latest, now_us)
    for event in batch.events:
        if event.type in HEALTH_EVENTS:
            changes += health.event(event.device, event.type, event.time_us, now_us)
    return changes


def _speakers(batch: Batch, latest: Mapping[str, Latest]) -> dict[str, None]:
    """Devices that said something themselves, each once."""
    names = [*latest, *(event.device for event in batch.events)]
    names += [receipt.device for receipt in batch.receipts]
    names += speakers(batch)
    return dict.fromkeys(names)
