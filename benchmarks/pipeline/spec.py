"""What a generator of load is told, and what it reports. Both lie in files beside the run."""

from __future__ import annotations

import msgspec
import numpy as np

SENT_DTYPE = np.dtype(
    [
        ("device", "<u4"),  # index into LoadResult.devices
        ("seq", "<i8"),  # of the first report in the message
        ("count", "<u4"),  # reports in it, with consecutive numbers
        ("is_event", "?"),
        ("acknowledged", "?"),
    ]
)
"""One message that holds reports which have to be kept."""


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the generator.

    Attributes:
        pairs: Tags with their handset.
        messages_per_s: Of all devices together.
        batch: Fixes in a message.
        steady_s, flood_s: Seconds of ordinary load, and of the same with a flood in it.
        leaps_per_s, panics_per_s: What makes alerts due.
        flushing: Devices that were away for a day, and send what they kept when the flood begins; see
            `benchmarks.pipeline.flush`.
        relayed: A relay sends the fixes back, and the way there and back is measured.
        user, password: With which an agency's system listens; empty: none does.
        acknowledge_limit_s: How long the generator waits at the end for the last PUBACK.
        result: File to write the `LoadResult` to.
        flushed: File to write the `FlushResult` to.
    """

    host: str
    port: int
    pairs: int
    messages_per_s: float
    batch: int
    steady_s: float
    flood_s: float
    leaps_per_s: float
    panics_per_s: float
    flushing: int
    relayed: bool
    acknowledge_limit_s: float
    result: str
    user: str = ""
    password: str = ""
    flushed: str = ""


class FlushResult(msgspec.Struct, frozen=True):
    """What devices that were away have sent; fields as of a `LoadResult`."""

    devices: list[str]
    sent: bytes


class LoadResult(msgspec.Struct, kw_only=True):
    """What the generator saw.

    Attributes:
        sent: Bytes of an array of `SENT_DTYPE`.
        began_us, ended_us: First and last PUBLISH.
        behind: Messages without PUBACK when the last one had been sent.
        latency_s: By what was measured (`alert`, `panic`, `echo`, `told`; `alert_flood` and
            `panic_flood` while the flood went on), in order.
        due: Names of alerts that had to be raised.
        raised: By the same names, the ids of the alerts that a handset was told were raised.
        told: The same of the agency's system.
        malformed: Messages sent that nothing can be made of.
        repeated: Messages sent twice on purpose.
        reconnects: Lost connections.
    """

    devices: list[str]
    sent: bytes
    began_us: int
    ended_us: int
    behind: int
    latency_s: dict[str, list[float]]
    due: list[str]
    raised: dict[str, list[str]]
    told: dict[str, list[str]]
    malformed: int
    repeated: int
    reconnects: int
