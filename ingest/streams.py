"""The JetStream streams: their names, subjects and limits, and making sure that they stand.

Devices have no right to any subject below ``core.``; only the service publishes there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

JOURNAL = "JOURNAL"
DECISIONS = "DECISIONS"
ALERTS = "ALERTS"
DEFERRED = "DEFERRED"

MAX_AGE_S = 7 * 86_400
"""How long a consumer may be away before it misses something: a week of PostgreSQL being down."""

DUPLICATE_WINDOW_S = 120.0
"""A batch published again within this time under the same name is stored once.

Longer than a writer keeps retrying one batch; each name remembered costs the server memory.
"""

DEFAULT_MAX_BYTES = 2 * 1024**3
"""Disk for all streams together; the broker's own message store needs as much again."""


class StreamsError(RuntimeError):
    """The streams cannot be set up; the text says what to do."""


@dataclass(frozen=True)
class _Layout:
    """What one stream is.

    Attributes:
        share: Part of the disk that all streams may use together.
        discard: What a full stream does. The journal and what waits to go there refuse, since what
            they refuse stays with the broker and the device. The others drop their oldest entry: a new alert matters
            more than an old one, and a reader that misses an entry notices the gap.
    """

    subjects: str
    share: float
    discard: DiscardPolicy


_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        JOURNAL: _Layout("core.journal.*", 0.60, DiscardPolicy.NEW),
        DEFERRED: _Layout("core.deferred.*", 0.10, DiscardPolicy.NEW),
        DECISIONS: _Layout("core.decision.*", 0.15, DiscardPolicy.OLD),
        ALERTS: _Layout("core.alert.*", 0.15, DiscardPolicy.OLD),
    }
)

STREAMS = tuple(_LAYOUTS)


def journal_subject(partition: int) -> str:
    """Where the batches of a partition are published."""
    return f"core.journal.{partition}"


def deferred_subject(partition: int) -> str:
    """Where messages are kept as they came until there is time for them."""
    return f"core.deferred.{partition}"


def decision_subject(partition: int) -> str:
    """Where the engine's transitions of a partition are published."""
    return f"core.decision.{partition}"


def alert_subject(partition: int) -> str:
    """Where alert changes and delivery records of a partition are published."""
    return f"core.alert.{partition}"


def stream_configs(max_bytes: int, replicas: int) -> list[StreamConfig]:
    """The configuration of every stream, for `max_bytes` of disk in all."""
    return [_config(name, layout, max_bytes, replicas) for name, layout in _LAYOUTS.items()]


def _config(name: str, layout: _Layout, max_bytes: int, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[layout.subjects],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=layout.discard,
        max_age=MAX_AGE_S,
        max_bytes=int(max_bytes * layout.share),
        duplicate_window=DUPLICATE_WINDOW_S,
        num_replicas=replicas,
    )


async def ensure_streams(
    js: JetStreamContext, *, max_bytes: int = DEFAULT_MAX_BYTES, replicas: int = 1
) -> list[str]:
    """Creates the streams that are missing and brings the others to the present limits.

    Args:
        js: JetStream of the service's account.
        max_bytes: Disk for all streams together. Keep it well below what is free: a
            JetStream that meets a full disk does not recover by itself.
        replicas: 1 for a single server, 3 for a cluster.

    Returns:
        Names of the streams that were created or changed; empty when everything stood.

    Raises:
        StreamsError: JetStream is off, or it refuses a stream.
    """
    await _require_jetstream(js)
    changed = []
    for config in stream_configs(max_bytes, replicas):
        try:
            if await _ensure(js, config):
                changed.append(str(config.name))
        except (APIError, nats.errors.Error) as error:
            raise StreamsError(
                f"nats-server refuses the stream {config.name} with room for "
                f"{config.max_bytes} bytes: {error}. Without it nothing can be journaled. Give "
                "JetStream more room (max_file), or the streams a lower limit."
            ) from error
    return changed


async def _require_jetstream(js: JetStreamContext) -> None:
    try:
        await js.account_info()
    except (ServiceUnavailableError, nats.errors.NoRespondersError) as error:
        raise StreamsError(
            "nats-server answers, but JetStream is off for this account. Nothing would be stored "
            "before it is acknowledged. Add a jetstream block with a store_dir to its "
            "configuration, and look into its log: a full disk turns JetStream off."
        ) from error
    except (APIError, nats.errors.Error) as error:
        raise StreamsError(
            f"JetStream does not answer: {error}. Look into the log of nats-server."
        ) from error


async def _ensure(js: JetStreamContext, wanted: StreamConfig) -> bool:
    try:
        info = await js.stream_info(str(wanted.name))
    except NotFoundError:
        await js.add_stream(wanted)
        return True
    if _same(info.config, wanted):
        return False
    await js.update_stream(wanted)
    return True


def _same(present: StreamConfig, wanted: StreamConfig) -> bool:
    names = (
        "subjects",
        "retention",
        "storage",
        "discard",
        "max_age",
        "max_bytes",
        "duplicate_window",
        "num_replicas",
    )
    return all(getattr(present, name) == getattr(wanted, name) for name in names)
