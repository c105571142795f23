"""Everything that is kept of a case beside what a person's devices recorded: read, and compared."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import msgspec
import numpy as np
import psycopg

from devices.instants import MICROSECONDS
from evidence.holds import carried
from evidence.keeping import Interval
from evidence.overlay_compare import Finding, find
from evidence.overlay_csv import Event, OverlayError
from evidence.overlays import Overlay, list_overlays, read
from evidence.transitions import DeviceFixes, read_device_fixes

Connection = psycopg.AsyncConnection

EVENTS_LIMIT = 5_000
"""Events compared at once."""

LOOK_US = 3_600 * MICROSECONDS
"""Fixes are read from so long before the first event to so long after the last."""

LONGEST_US = 100 * 86_400 * MICROSECONDS
"""From the first event to the last."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be compared.

    Attributes:
        window: Events of this time; None for an end that is open.
    """

    case: str
    person: str
    window: tuple[int | None, int | None] = (None, None)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Every event of a case in a time beside the person's fixes.

    Attributes:
        overlays: The files that they are from.
        findings: By time; an event has one for each device that the person carried then.
        uncarried: Events of times in which the person is not known to have carried a device.
    """

    case: str
    person: str
    from_us: int | None
    to_us: int | None
    overlays: tuple[Overlay, ...]
    findings: tuple[Finding, ...]
    uncarried: int


async def overlays_of(connection: Connection, case: str) -> list[Overlay]:
    """The files of a case.

    Raises:
        OverlayError: There is none.
    """
    found = await list_overlays(connection, case) if case.strip() else []
    if not found:
        raise OverlayError(
            f"No file is kept for the case {case}: `cordon evidence overlay import`."
        )
    return found


async def compare(connection: Connection, asked: Asked, overlays: list[Overlay]) -> Comparison:
    """Compare. Record who asks before.

    Raises:
        OverlayError: A file was altered, or there is too much, or nothing, to compare.
    """
    events: list[tuple[Overlay, Event]] = []
    for one in overlays:
        _, parsed = await read(connection, one)
        events += [(one, event) for event in parsed.events if _within(event, asked.window)]
    events.sort(key=lambda pair: (pair[1].time_us, str(pair[0].overlay_id), pair[1].line))
    if len(events) > EVENTS_LIMIT:
        raise OverlayError(
            f"There are {len(events)} events: name a time with --from and --to that has at most {EVENTS_LIMIT}."
        )
    tracks = await _tracks(connection, asked.person, events) if events else {}
    findings = [
        find(one.overlay_id, one.kind, event, device, fixes)
        for one, event in events
        for device, (parts, fixes) in tracks.items()
        if any(start <= event.time_us < end for start, end in parts)
    ]
    compared = {(one.overlay_id, one.event.line) for one in findings}
    return Comparison(
        case=asked.case,
        person=asked.person,
        from_us=asked.window[0],
        to_us=asked.window[1],
        overlays=tuple(overlays),
        findings=tuple(findings),
        uncarried=len(events) - len(compared),
    )


def _within(event: Event, window: tuple[int | None, int | None]) -> bool:
    from_us, to_us = window
    return (from_us is None or event.time_us >= from_us) and (
        to_us is None or event.time_us < to_us
    )


async def _tracks(
    connection: Connection, person: str, events: list[tuple[Overlay, Event]]
) -> dict[str, tuple[tuple[Interval, ...], DeviceFixes]]:
    """Of each device that the person carried: when, and its fixes of those times."""
    reaches = [
        (event.time_us, round(event.clock_error_s * MICROSECONDS) + LOOK_US) for _, event in events
    ]
    span = min(at - reach for at, reach in reaches), max(at + reach for at, reach in reaches)
    if span[1] - span[0] > LONGEST_US:
        raise OverlayError(
            "The events lie more than 100 days apart: name a time with --from and --to."
        )
    windows = await carried(connection, [person], (span[0], span[1] + 1))
    found = await read_device_fixes(connection, windows, *span)
    return {
        device: (windows[device], _of_times(found[device], windows[device])) for device in windows
    }


def _of_times(fixes: DeviceFixes, parts: tuple[Interval, ...]) -> DeviceFixes:
    edges = np.array(list(itertools.chain.from_iterable(parts)))
    # Intervals are sorted and apart: behind an odd number of their ends one is within.
    cut: DeviceFixes = fixes[np.searchsorted(edges, fixes["time_us"], "right") % 2 == 1]
    return cut
