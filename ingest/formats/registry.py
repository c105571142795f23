"""Which formats there are, and which of them a topic belongs to."""

from __future__ import annotations

from ingest.formats.contract import Adapter, Route
from ingest.formats.cordon import CordonAdapter
from ingest.formats.owntracks import OwnTracksAdapter
from ingest.formats.traccar import TraccarAdapter

ADAPTERS: tuple[Adapter, ...] = (CordonAdapter(), OwnTracksAdapter(), TraccarAdapter())
"""In the order in which they are asked; no topic belongs to two of them."""

TOPIC_FILTERS = tuple(text for adapter in ADAPTERS for text in adapter.filters)
"""What the gateway subscribes to."""


def find(topic: str) -> tuple[Adapter, Route] | None:
    """The adapter for a topic and what the topic says; None where no report is expected."""
    for adapter in ADAPTERS:
        route = adapter.route(topic)
        if route is not None:
            return adapter, route
    return None
