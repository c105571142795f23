"""Says beside a decision which way leads the protected person away."""

from __future__ import annotations

import msgspec

from devices.watches import Watch
from devices.wearing import Wearing
from geofence.engine import Engine
from geofence.levels import Level, Transition


def with_way(transition: Transition, watch: Watch, engine: Engine, wearing: Wearing) -> Transition:
    """The transition with the way away from the wearer, where he is near and it is known.

    What is kept of the decision itself stays without: it follows from the same positions.
    """
    if watch.handset is None or transition.level not in {Level.ALERT, Level.CONTACT}:
        return transition
    tag, handset = wearing.track(watch.tag), wearing.track(watch.handset)
    found = None if min(tag, handset) < 0 else engine.away(tag, handset, transition.decided_at_us)
    if found is None:
        return transition
    return msgspec.structs.replace(
        transition, away_deg=found.bearing_deg, away_spread_deg=found.spread_deg
    )
