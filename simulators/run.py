"""A run of the simulators: devices, what they play, how it ends and what came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from devices.instants import Clock
from simulators.casting import cast, tracks_caseload
from simulators.csv_tracks import Columns
from simulators.player import LONG_OFFSET_S, Player, longest_offset_s, real_pace
from simulators.recording import Track
from simulators.stage import Progress, Report, SimulationError, Stage, Tell
from simulators.story import FIX_INTERVAL_S, town_caseload, town_story
from simulators.town_player import TownPlayer
from simulators.tracks import read_tracks
from simulators.wire import Broker

__all__ = [
    "Broker",
    "Progress",
    "Report",
    "SimulationError",
    "TownOptions",
    "TracksOptions",
    "run_town",
    "run_tracks",
    "town_caseload",
    "tracks_caseload",
]

DEVICES_LIMIT = 500
"""Devices of one run: each is a connection of its own in one process."""


class TracksOptions(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="scene",
    tag="tracks",
):
    """Play recorded tracks.

    Attributes:
        files: GPX or CSV.
        columns: For CSV files whose header is not known.
        time_zone: For CSV times without an offset.
        speed: Seconds of recording per second.
        start_together: All recordings begin at once, else they keep their offsets.
        repeat: Begin again at the end, for ever.
        for_s: Stop after so many seconds; None to play to the end.
        published_file: Where to write what was published, one ``device,time_us,seq,acknowledged``
            line per fix; empty for nowhere.
    """

    files: tuple[str, ...]
    columns: Columns | None = None
    time_zone: str | None = None
    speed: float = 1.0
    start_together: bool = False
    repeat: bool = False
    for_s: float | None = None
    published_file: str = ""


class TownOptions(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="scene",
    tag="town",
):
    """Let people live in the made-up town.

    Attributes:
        seed: Of the town, the lives in it and the errors of the receivers.
        weak_antennas: Tags with the errors of a cheap receiver, which cause false alarms.
        fix_interval_s: From one fix of a device to its next.
        for_s, published_file: As in `TracksOptions`; None for ever.
    """

    seed: int = 1
    weak_antennas: bool = False
    fix_interval_s: float = FIX_INTERVAL_S
    for_s: float | None = None
    published_file: str = ""


async def run_tracks(
    options: TracksOptions, *, broker: Broker, clock: Clock, progress: Tell, stop: asyncio.Event
) -> Report:
    """Play recorded tracks as the devices of `tracks_caseload`.

    Args:
        options: What to play, and how.
        broker: Where the devices connect.
        clock: Gives the instant.
        progress: Called about once a second.
        stop: Set it to end the run; it returns within 2 s.

    Raises:
        SimulationError: The tracks cannot be played or the broker does not answer.
    """
    tracks = _read(options)
    parts = cast(tracks)
    stage = Stage([(part.device, part.handset) for part in parts], broker, clock, progress, stop)
    offset_s = longest_offset_s(tracks)
    if offset_s > LONG_OFFSET_S and not options.start_together:
        days = offset_s / 86_400
        stage.tell(f"the recordings begin {days:.0f} days apart; --start-together ignores that")
    try:
        player = Player(
            tracks,
            stage.devices,
            clock=clock,
            pace=real_pace(),
            speed=options.speed,
            start_together=options.start_together,
            repeat=options.repeat,
        )
    except ValueError as error:
        raise SimulationError(str(error)) from error
    return await stage.play(player.run, options.for_s, options.published_file)


async def run_town(
    options: TownOptions, *, broker: Broker, clock: Clock, progress: Tell, stop: asyncio.Event
) -> Report:
    """Let the people of `town_caseload` live. Arguments and errors as in `run_tracks`."""
    if not 0 < options.fix_interval_s <= 86_400:
        raise SimulationError("the time between fixes must be above 0 and at most a day")
    roles = town_story(options.seed, weak_antennas=options.weak_antennas)
    stage = Stage([(role.device, role.handset) for role in roles], broker, clock, progress, stop)
    player = TownPlayer(
        roles,
        stage.devices,
        clock=clock,
        pace=real_pace(),
        interval_s=options.fix_interval_s,
        seed=options.seed,
    )
    return await stage.play(player.run, options.for_s, options.published_file)


def _read(options: TracksOptions) -> list[Track]:
    if not options.files:
        raise SimulationError("no track file was named; give at least one GPX or CSV file")
    try:
        tracks = read_tracks(
            [Path(name) for name in options.files],
            columns=options.columns,
            time_zone=options.time_zone,
        )
    except ValueError as error:
        raise SimulationError(str(error)) from error
    if len(tracks) > DEVICES_LIMIT:
        raise SimulationError(
            f"{len(tracks)} tracks are more than the {DEVICES_LIMIT} devices of one run; "
            "play fewer files, or split them over several runs"
        )
    return tracks
