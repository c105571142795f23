"""Who knocked and was not let in, by the name he gave: devices to adopt, or strangers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devices.instants import to_datetime

MOST_LISTED = 500
SPAN_US = 30 * 86_400_000_000
"""How long ago the last attempt may be for it to be listed."""

CODE = "unknown_device"
"""Code of such a refusal; see `devices.credentials`."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A name under which somebody knocked.

    Attributes:
        refused: Times that this was kept; it is kept once a minute.
        first_us, last_us: When, within `SPAN_US`.
    """

    device: str
    refused: int
    first_us: int
    last_us: int


def values(now_us: int) -> dict[str, Any]:
    """The parameters of `QUERY`."""
    return {"since": to_datetime(now_us - SPAN_US), "code": CODE, "limit": MOST_LISTED}


QUERY = """
    SELECT device, count(*) AS refused, evidence.us(min(received_at)) AS first_us,
        evidence.us(max(received_at)) AS last_us
    FROM evidence.refusal WHERE received_at >= %(since)s AND code = %(code)s
    GROUP BY device ORDER BY max(received_at) DESC, device LIMIT %(limit)s
"""
