"""Which way an event goes: to her choices, to the engine, or to the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordon.her_events import link_alarm, take_hers
from devices.health_changes import HEALTH_EVENTS
from devices.reports import BEACONS, Event

if TYPE_CHECKING:
    from cordon.partition import Partition


def take_event(on: Partition, event: Event, now_us: int) -> None:
    """Take in an event that is journaled.

    A beacon between the devices of a pair is the engine's affair, all else the desk's. An encounter
    that a beacon shows is then one alert, that of the pair, whatever the profile says about beacons.
    What speaks of a device's health was heard there.
    """
    _decide_or_tell(on, event, now_us)
    link_alarm(on, event, now_us)


def _decide_or_tell(on: Partition, event: Event, now_us: int) -> None:
    if take_hers(on, event, now_us):
        return
    if event.type in HEALTH_EVENTS and event.device in on.care.health.devices:
        return
    if event.peer is not None and event.type in BEACONS and on.wearing.is_of_the_present(event):
        pairs = on.compiled.pairs_of(event.device, event.peer)
        for key in pairs:
            lost, by, at_us = event.type == "beacon_lost", event.device, event.time_us
            on.decide(on.engine.sight(key, at_us, by=by, lost=lost, now_us=now_us), now_us)
        if pairs:
            return
    for bearer in on.wearing.bearers_of(event, now_us):
        on.outgoing.changed(on.desk.on_event(event, bearer, now_us=now_us))
