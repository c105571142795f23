"""Many sweeps in one call: what a replay, or a start that catches up, makes between two batches.

Most sweeps change nothing, and calling each by itself costs more than the sweep.
"""

from __future__ import annotations

from geofence.kernel import kernel
from geofence.layout import Layout
from geofence.memory import RowArray
from geofence.passes import ChangeArray, take_time
from geofence.track import TrackArray
from geofence.watch import WatchArray


@kernel
def take_times(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    first_us: int,
    start: int,
    last_us: int,
    step_us: int,
    changes: ChangeArray,
) -> tuple[int, int, int]:
    """Sweep from `first_us` on, every `step_us` up to `last_us`, until something changes.

    Instants before the first at which a watch is due are passed over: `take_time` would look at
    none. `start` is not 0 where a sweep at `first_us` goes on that had no more room for changes.

    Returns:
        The instant of the last sweep, the watch to go on with there (their number when done), and
        the number of changes written.
    """
    now_us = first_us
    while True:
        upto, count = take_time(
            tracks, watches, layout, limits_row, scratch_row, now_us, start, changes
        )
        if start or count or upto < watches.size or now_us >= last_us:
            return now_us, upto, count
        due_us = last_us
        for watch in range(watches.size):
            due_us = min(due_us, watches[watch]["due_us"])
        steps = max(1, -(-(due_us - now_us) // step_us))
        now_us = min(now_us + steps * step_us, last_us)
