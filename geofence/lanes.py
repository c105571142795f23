"""Several fixes side by side: what is reckoned for one is reckoned for all of them at once.

Whatever the filter does for a fix is the same few hundred operations, each of which waits for the
one before. So the fixes of a batch are taken `LANES` at a time: what is known of their tracks is
put into rows with a place for each, and a loop over a row's places becomes vector instructions.
That needs loops without calls and branches over arrays whose places in memory are known at compile
time, which the fields of a record are; and a number of the model that is known then as well, for
which a kernel is called once for every model, with a literal.

Each lane is reckoned for itself, to the same bits whatever stands in the others, which may be
nothing of use.
"""

from __future__ import annotations

import numpy as np

from geofence.kernel import kernel
from geofence.rules import MODELS

LANES = 16
"""Fewer than 16 the compiler takes for too few to be worth it."""

EVERY = np.uint64(LANES)
"""Unsigned, since Numba would look at signed indices for being negative."""

LANE_FIELDS = (
    # What is known:
    ("since_s", np.float64, (LANES,)),  # since the fix before, above 0
    ("fix_m", np.float64, (3, LANES)),  # Earth-centred place of the fix
    ("stated_m", np.float64, (LANES,)),  # its stated error per axis
    ("error_m2", np.float64, (LANES,)),  # variance per axis of an ordinary error
    ("learned", np.float64, (LANES,)),  # that of the receiver, as a multiple of the first guess
    ("old_weight", np.float64, (MODELS, LANES)),  # the models at the fix before
    ("old_m", np.float64, (MODELS, 3, LANES)),
    ("old_mps", np.float64, (MODELS, 3, LANES)),
    ("old_spread", np.float64, (MODELS, 3, LANES)),
    # What is reckoned on the way (see geofence.motion.mix):
    ("stay", np.float64, (MODELS, LANES)),
    ("changing", np.float64, (MODELS, LANES)),
    ("products", np.float64, (9, LANES)),
    # The models at the fix, predicted by `mix` and then changed by `absorb`:
    ("weight", np.float64, (MODELS, LANES)),
    ("mean_m", np.float64, (MODELS, 3, LANES)),
    ("mean_mps", np.float64, (MODELS, 3, LANES)),
    ("spread", np.float64, (MODELS, 3, LANES)),
    # What comes of it (see geofence.filter.absorb):
    ("total", np.float64, (LANES,)),
    ("sound", np.float64, (LANES,)),
    ("noise_sum", np.float64, (LANES,)),
    ("noise_count", np.float64, (LANES,)),
    (
        "here",
        np.float64,
        (8, LANES),
    ),  # place, velocity, their variances (see geofence.motion.sum_up)
)
"""Fields of the record that kernels compute in."""


@kernel
def load(state: np.void, lane: int, scratch: np.void) -> None:
    """Put the models of a track into a lane, as those at the fix before."""
    for model in range(MODELS):
        scratch["old_weight"][model, lane] = state["weight"][model]
        for axis in range(3):
            scratch["old_m"][model, axis, lane] = state["mean_m"][model, axis]
            scratch["old_mps"][model, axis, lane] = state["mean_mps"][model, axis]
            scratch["old_spread"][model, axis, lane] = state["spread"][model, axis]


@kernel
def store(state: np.void, lane: int, scratch: np.void) -> None:
    """Put the models at the fix into a track."""
    for model in range(MODELS):
        state["weight"][model] = scratch["weight"][model, lane]
        for axis in range(3):
            state["mean_m"][model, axis] = scratch["mean_m"][model, axis, lane]
            state["mean_mps"][model, axis] = scratch["mean_mps"][model, axis, lane]
            state["spread"][model, axis] = scratch["spread"][model, axis, lane]
