"""Which formats there are, and which of them a topic belongs to."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ingest import native
from ingest.formats.contract import Adapter
from ingest.formats.cordon import CordonAdapter
from ingest.formats.owntracks import OwnTracksAdapter
from ingest.formats.traccar import TraccarAdapter
from ingest.refusals import Code, Refused

ADAPTERS: tuple[Adapter, ...] = (CordonAdapter(), OwnTracksAdapter(), TraccarAdapter())
"""In the order in which they are asked; no topic belongs to two of them."""

EVENT_FILTERS = tuple(text for adapter in ADAPTERS for text in adapter.event_filters)
POSITION_FILTERS = tuple(text for adapter in ADAPTERS for text in adapter.position_filters)
TOPIC_FILTERS = EVENT_FILTERS + POSITION_FILTERS
"""What the gateway subscribes to."""


TOPICS_REMEMBERED = 20_000
REMEMBERED_CHARS = 128
"""Devices speak on the same few topics again and again; longer ones are looked at anew each time."""


class Address(NamedTuple):
    """Whose a message is and who reads it.

    Attributes:
        adapter: None where no report is expected.
        device: As far as the topic says it, cut to what an id may have; empty where only the
            payload does, so that the topic is shared by many devices.
        urgent: A panic may come on this topic.
        refusal: Why nothing on this topic can be accepted; None where it can.
    """

    adapter: Adapter | None
    kind: str
    device: str
    urgent: bool
    refusal: Refused | None


def find(topic: str) -> Address:
    """What a topic says, for any text at all."""
    return _remembered(topic) if len(topic) <= REMEMBERED_CHARS else _found(topic)


def _found(topic: str) -> Address:
    for adapter in ADAPTERS:
        route = adapter.route(topic)
        if route is not None:
            possible = route.device is None or native.is_device_id(route.device)
            device = (route.device or "")[: native.MAX_DEVICE_CHARS]
            urgent = route.kind in adapter.urgent_kinds
            refusal = None if possible else _BAD_DEVICE
            return Address(adapter, route.kind, device, urgent, refusal)
    return Address(None, "", "", urgent=False, refusal=_UNKNOWN_TOPIC)


_remembered = lru_cache(TOPICS_REMEMBERED)(_found)
_UNKNOWN_TOPIC = Refused(Code.UNKNOWN_TOPIC, "No report is expected on this topic.")
_BAD_DEVICE = Refused(Code.BAD_DEVICE, "The topic does not hold the id of a device.")
