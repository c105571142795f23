"""What she chooses is answered, and nothing that gives way to an answer is lost without a word."""

from __future__ import annotations

from alerts.deliveries import DeliveryRecord
from alerts.outbox import Outbox
from cordon.wishes import Wishes
from devices.choices import Choices
from tests.alerts.builders import BEARERS, NOW_US, PHONE, PROFILES, event


class Centre:
    """An outbox with room for so much, and what is chosen there."""

    def __init__(self, room: int = 10) -> None:
        self.outbox = Outbox(
            PROFILES, BEARERS.get, handsets_of=lambda _: ("phone1",), pending_limit=room
        )
        self.wishes = Wishes(self.outbox, PROFILES)


def dropped(entries: object) -> list[str]:
    assert isinstance(entries, tuple)
    return [one.state for one in entries if isinstance(one, DeliveryRecord)]


def test_what_gives_way_to_an_answer_is_recorded() -> None:
    centre = Centre(room=1)
    first = centre.wishes.of_event(event("choices", 1), PHONE, NOW_US)
    assert (first.change is not None, dropped(first.entries)) == (True, [])
    second = centre.wishes.of_event(event("choices", 2), PHONE, NOW_US)
    assert second.entries[0] == second.change
    assert dropped(second.entries) == ["dropped"]
    third = centre.wishes.of_staff("protected1", Choices(), "Kim", "asked", [PHONE], NOW_US)
    assert dropped(third.entries) == ["dropped"]
