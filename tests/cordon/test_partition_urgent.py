"""From the bytes of a malformed panic to its alert."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.steps import Acknowledge, Resolve
from devices.caseload import Caseload
from devices.reports import Message
from ingest.decoder import Decoder
from tests.cordon.partitions import SECOND_US, START_US, Room
from tests.ingest.reports import payload
from tests.ingest.test_urgent_events import MALFORMED, NAMES, panic

DECODER = Decoder()


class Centre:
    """A partition that is brought messages as the gateway would bring them."""

    def __init__(self) -> None:
        self.room = Room(Caseload())
        self._number = 0

    def hear(self, at_s: float, body: bytes) -> list[str]:
        """What the alert changes are that one message makes."""
        self._number += 1
        now_us = START_US + round(at_s * SECOND_US)
        before = len(self.room.out.changes)
        self.room.partition.apply(
            DECODER.decode(
                [Message(now_us, "cordon/v1/tag-1/event", body)],
                gateway="gw",
                number=self._number,
                received_us=now_us,
            )
        )
        return [change.kind for change in self.room.out.changes[before:]]

    def close_alert(self, at_s: float) -> None:
        """Somebody takes the one alert in hand and closes it."""
        desk, now_us = self.room.partition.desk, START_US + round(at_s * SECOND_US)
        (alert,) = desk.open_alerts()
        step: dict[str, Any] = {"operator": "Kim", "now_us": now_us}
        (taken,) = desk.act(alert.alert_id, Acknowledge(), version=alert.version, **step)
        closing = Resolve(outcome="help_given", note="spoken to")
        desk.act(alert.alert_id, closing, version=taken.data.version, **step)


@pytest.mark.parametrize("changes", [row[1] for row in MALFORMED], ids=NAMES)
def test_each_malformed_panic_raises_an_alert(changes: dict[str, Any]) -> None:
    centre = Centre()
    assert centre.hear(10, payload(panic(**changes))) == ["raised"]
    (alert,) = centre.room.partition.desk.open_alerts()
    assert (alert.tier, alert.condition, alert.level) == (1, "panic", "panic")


def test_the_alert_says_that_its_time_is_that_of_arrival() -> None:
    centre = Centre()
    centre.hear(10, payload(panic(time="1970-01-01T00:00:09Z")))
    (alert,) = centre.room.partition.desk.open_alerts()
    assert alert.onset_doubted
    assert alert.onset == alert.raised_at


def test_repeated_by_the_broker_it_is_one_alert() -> None:
    centre = Centre()
    body = payload(panic(seq=None, time=None))
    assert centre.hear(10, body) == ["raised"]
    assert centre.hear(13, body) == []
    assert len(centre.room.partition.desk.open_alerts()) == 1


def test_a_tag_that_begins_to_count_anew_with_a_lost_clock_is_heard_again() -> None:
    """It starts without a clock and counts from 1: the same bytes are another panic."""
    centre = Centre()
    body = payload(panic(seq=1, time="1970-01-01T00:00:09Z"))
    assert centre.hear(10, body) == ["raised"]
    (first,) = centre.room.partition.desk.open_alerts()
    centre.close_alert(100)
    assert centre.hear(4000, body) == ["raised"]
    (second,) = centre.room.partition.desk.open_alerts()
    assert first.alert_id != second.alert_id
