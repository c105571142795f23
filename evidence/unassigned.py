"""Devices that report and that nobody carries: the query, its limits and its rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from devices.instants import to_datetime

MOST_LISTED = 500
SPAN_US = 7 * 86_400_000_000
"""How long ago the last fix or event of a device may be for it to be listed as heard."""

DEVICES_SCANNED = 20_000
"""Devices that are looked through for some that nobody carries, in the order of their ids."""

REPORTS_COUNTED = 10_000
"""A device that has reported more often is listed with this figure."""


@dataclass(frozen=True, slots=True)
class HeardDevice:
    """A device that reports, and that nobody carries.

    Attributes:
        reports: Fixes and events within `SPAN_US`, each at most `REPORTS_COUNTED`.
        first_us, last_us: When the first and the last of these were received.
    """

    device: str
    reports: int
    first_us: int
    last_us: int


def values(assigned: Collection[str], now_us: int, limit: int) -> dict[str, Any]:
    """The parameters of `QUERY`."""
    return {
        "assigned": sorted(assigned),
        "since": to_datetime(now_us - SPAN_US),
        "scanned": DEVICES_SCANNED,
        "counted": REPORTS_COUNTED,
        "limit": limit,
    }


# From one id to the next by the primary key, which begins with the device: no table is read whole.
_DEVICES_OF = """
    WITH RECURSIVE heard (device) AS (
        SELECT min(device) FROM evidence.{table} WHERE time >= %(since)s
        UNION ALL
        SELECT (
            SELECT min(t.device) FROM evidence.{table} t
            WHERE t.device > heard.device AND t.time >= %(since)s
        )
        FROM heard WHERE heard.device IS NOT NULL
    )
    SELECT h.device, counted.reports, first.received_at AS first_at, last.received_at AS last_at
    FROM (SELECT device FROM heard LIMIT %(scanned)s) h
    CROSS JOIN LATERAL (
        SELECT count(*) AS reports FROM (
            SELECT 1 FROM evidence.{table} t
            WHERE t.device = h.device AND t.time >= %(since)s LIMIT %(counted)s
        ) reported
    ) counted
    CROSS JOIN LATERAL (
        SELECT received_at FROM evidence.{table} t
        WHERE t.device = h.device AND t.time >= %(since)s ORDER BY t.time LIMIT 1
    ) first
    CROSS JOIN LATERAL (
        SELECT received_at FROM evidence.{table} t
        WHERE t.device = h.device AND t.time >= %(since)s ORDER BY t.time DESC LIMIT 1
    ) last
    WHERE h.device <> ALL (%(assigned)s)
"""
_LISTED = """
    SELECT device, sum(reports)::bigint AS reports, evidence.us(min(first_at)) AS first_us,
        evidence.us(max(last_at)) AS last_us
    FROM (({fixes}) UNION ALL ({events})) both_kinds
    GROUP BY device ORDER BY max(last_at) DESC, device LIMIT %(limit)s
"""
QUERY = _LISTED.format(
    fixes=_DEVICES_OF.format(table="fix"), events=_DEVICES_OF.format(table="event")
)
