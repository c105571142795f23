"""From a report in common units to the integers that are stored and computed on. No I/O, no clock."""

from __future__ import annotations

import hashlib

from devices.instants import MICROSECONDS, from_datetime
from devices.reports import ALTITUDE_MISSING, DEGREE_E7, MISSING, FixKind
from ingest import native
from ingest.refusals import Code, Refused

Row = tuple[int, ...]
"""Columns of `FIX_DTYPE` from `seq` on, in order."""

_KINDS = {
    "gnss": FixKind.GNSS,
    "network": FixKind.NETWORK,
    "beacon": FixKind.BEACON,
    "last_known": FixKind.LAST_KNOWN,
}


def fix_row(device: str, fix: native.Fix, received_us: int, seq: int | None) -> Row:
    """The columns of a fix. Accuracy stays off 0, which would read as a perfect fix.

    Args:
        device: Whose it is.
        fix: As `ingest.native` limits it.
        received_us: When it arrived.
        seq: Its number where the fix itself has none; None derives one from the content.

    Raises:
        Refused: The time cannot be right.
    """
    time_us = believable_us(from_datetime(fix.time), received_us)
    measured = (
        time_us,
        round(fix.lat * DEGREE_E7),
        round(fix.lon * DEGREE_E7),
        max(1, round(fix.accuracy_m * 100)) if fix.accuracy_m else MISSING,
        _scaled(fix.speed_mps, 100),
        MISSING if fix.course_deg is None else round(fix.course_deg * 100) % 36_000,
        ALTITUDE_MISSING if fix.altitude_m is None else round(fix.altitude_m * 10),
        MISSING if fix.satellites is None else fix.satellites,
        _scaled(fix.hdop, 100),
        int(_KINDS[fix.kind]),
    )
    if fix.seq is not None:
        seq = fix.seq
    elif seq is None:
        seq = derived_seq(device, *measured)
    charging = MISSING if fix.charging is None else int(fix.charging)
    battery = _scaled(fix.battery_pct, 1)
    return (seq, *measured, battery, charging, int(fix.buffered))


def believable_us(time_us: int, received_us: int) -> int:
    """The report's instant, if the device can have known it.

    Raises:
        Refused: It lies too far from the time of arrival.
    """
    if time_us > received_us + native.FUTURE_S * MICROSECONDS:
        reason = f"$.time: more than {native.FUTURE_S} s after the report arrived."
        raise Refused(Code.BAD_TIME, reason)
    if time_us < received_us - native.OLDEST_S * MICROSECONDS:
        days = native.OLDEST_S // 86_400
        raise Refused(Code.BAD_TIME, f"$.time: more than {days} days before the report arrived.")
    return time_us


def derived_seq(device: str, *content: object) -> int:
    """A count below 0 for a report that has none: equal for the same content, else distinct.

    63 bits of BLAKE2b; what the device says about itself (battery, charger, buffered) is left out
    by the callers, since a fix that is sent again later is still the same measurement.
    """
    digest = hashlib.blake2b(repr((device, *content)).encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 1)


def _scaled(value: float | None, factor: int) -> int:
    return MISSING if value is None else round(value * factor)
