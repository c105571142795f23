"""The newest of what each device in a batch says of itself: where it is, and how full it is.

Of many fixes in one batch (a buffer that is flushed) only the newest speak of now. Plain loops: most
batches hold a few fixes, for which arrays cost more than they save.
"""

from __future__ import annotations

import msgspec

from devices.health_state import NEVER_US
from devices.reports import MISSING, Batch, FixKind

_LAST_KNOWN = int(FixKind.LAST_KNOWN)


class Latest(msgspec.Struct, gc=False):
    """One device in one batch.

    Attributes:
        place_us: Its own time of its newest position; `NEVER_US` when it tells none.
        lat_e7, lon_e7: That position.
        told_us: Its own time of the newest word on its battery; `NEVER_US` when it tells none.
        battery_pct, charging: That word; `MISSING` for what it does not tell.
    """

    place_us: int = NEVER_US
    lat_e7: int = 0
    lon_e7: int = 0
    told_us: int = NEVER_US
    battery_pct: int = MISSING
    charging: int = MISSING


_COLUMNS = ("device", "time_us", "kind", "lat_e7", "lon_e7", "battery_pct", "charging")


def latest_of(batch: Batch) -> dict[str, Latest]:
    """By device that sent fixes."""
    found: dict[int, Latest] = {}
    columns = (batch.fixes[name].tolist() for name in _COLUMNS)
    for device, time_us, kind, lat_e7, lon_e7, battery_pct, charging in zip(*columns, strict=True):
        one = found.get(device)
        if one is None:
            one = found[device] = Latest()
        if time_us >= one.place_us and kind != _LAST_KNOWN:
            one.place_us, one.lat_e7, one.lon_e7 = time_us, lat_e7, lon_e7
        if time_us >= one.told_us and (battery_pct != MISSING or charging != MISSING):
            one.told_us, one.battery_pct, one.charging = time_us, battery_pct, charging
    return {batch.devices[device]: one for device, one in found.items()}
