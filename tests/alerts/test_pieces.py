"""What is written bit by bit is what one call would have written, of the moment it was asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerts.outbox import Outbox
from alerts.pieces import AT_ONCE, pieces_of
from alerts.steps import Acknowledge
from geofence.levels import Level
from tests.alerts.builders import BEARERS, NOW_US, PROFILES, act, desk, notice, step

SIZES = (0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_one_map_of_arrays(size: int) -> None:
    pages: dict[str, list[Any]] = {
        "some": list(range(size)),
        "none": [],
        "texts": [f"é{n}" for n in range(size)],
    }
    pieces = list(pieces_of(b"HEAD", pages))
    assert b"".join(pieces)[:4] == b"HEAD"
    assert msgspec.msgpack.decode(b"".join(pieces)[4:]) == pages
    assert len(pieces) == 1 + len(pages) + 2 * -(-size // AT_ONCE)


def test_a_desk_may_go_on_while_it_is_written() -> None:
    on = desk()
    changes = step(on, 1, Level.ALERT) + notice(on, "panic", 1)
    outbox = Outbox(PROFILES, BEARERS.get)
    for change in changes:
        outbox.take(change, now_us=NOW_US)
    before = on.snapshot(), outbox.snapshot()
    pieces = on.pieces(), outbox.pieces()
    act(on, on.open_alerts()[0], Acknowledge())
    notice(on, "panic", 2)  # only counted: it makes no change
    step(on, 2, Level.CONTACT)
    for delivery in outbox.pending():
        outbox.finish(delivery, "sent", NOW_US)
    assert (b"".join(pieces[0]), b"".join(pieces[1])) == before
    assert on.snapshot() != before[0]
