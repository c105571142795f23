"""Events of her handset that are neither the engine's affair nor the desk's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alarms import OWN_ALARM, alarm_of
from devices.reports import CHOOSING, Event
from devices.watches import Compiled

if TYPE_CHECKING:
    from cordon.partition import Partition


def take_hers(on: Partition, event: Event, now_us: int) -> bool:
    """Take in what she has chosen, and what her handset's own engine has found.

    Returns:
        Whether it was such an event; any other takes its ordinary way.
    """
    if event.type == CHOOSING:
        for bearer in on.wearing.bearers_of(event, now_us):
            on.outgoing.wished(event, bearer, now_us)
    return event.type in {CHOOSING, OWN_ALARM}


def link_alarm(on: Partition, event: Event, now_us: int) -> None:
    """After an event was taken in: its alert keeps the alarm that her handset has shown for it."""
    if alarm_of(event) is None:
        return
    if event.type == OWN_ALARM:
        pairs = pairs_with(event.device, on.compiled)
    else:
        pairs = () if event.peer is None else on.compiled.pairs_of(event.device, event.peer)
    for bearer in on.wearing.bearers_of(event, now_us):
        on.outgoing.changed(on.desk.on_alarm(event, bearer, pairs, now_us=now_us))


def pairs_with(device: str, compiled: Compiled) -> tuple[str, ...]:
    """Keys of the watches that compare a handset with anybody's tag."""
    return tuple(key for key, watch in compiled.watches.items() if watch.handset == device)
