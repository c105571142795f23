"""What she chooses is answered, and nothing that gives way to an answer is lost without a word."""

from __future__ import annotations

import msgspec
import pytest

from alerts.deliveries import DeliveryRecord, Entry
from alerts.outbox import Outbox
from alerts.personal import CHOICES_EXPIRY_S
from cordon.wishes import Wishes
from devices.choices import Choices
from devices.commands import ChoicesAnswer, decode_command
from devices.instants import to_iso
from devices.reports import Receipt
from tests.alerts.builders import BEARERS, NOW_US, PHONE, PROFILES, SECOND_US, event


class Centre:
    """An outbox with room for so much, and what is chosen there."""

    def __init__(self, room: int = 10) -> None:
        self.bearers = dict(BEARERS)
        self.outbox = Outbox(
            PROFILES, self.bearers.get, handsets_of=lambda _: ("phone1",), pending_limit=room
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


class Handset:
    """What it was sent, and what it says of it."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre

    def sent(self) -> list[ChoicesAnswer]:
        """Everything that waits is sent; it may or may not arrive."""
        found = []
        while (delivery := self.centre.outbox.next("handset")) is not None:
            self.centre.outbox.finish(delivery, "sent", NOW_US)
            command = decode_command(delivery.payload)
            assert isinstance(command, ChoicesAnswer)
            found.append(command)
        return found

    def answers(self, command: ChoicesAnswer) -> None:
        receipt = Receipt(0, "phone1", command.id, "received", NOW_US, None)
        assert self.centre.outbox.answered(receipt, now_us=NOW_US) is not None

    def comes_online(self, after_s: int = 60) -> list[ChoicesAnswer]:
        self.centre.outbox.came_online("phone1", NOW_US + after_s * SECOND_US)
        return self.sent()


def test_something_older_is_answered_with_what_is_in_force() -> None:
    centre = Centre()
    handset = Handset(centre)
    paused = {"paused_until": to_iso(NOW_US + SECOND_US)}
    centre.wishes.of_staff("protected1", Choices(), "Kim", "asked", [PHONE], NOW_US)
    [told] = handset.sent()
    assert (told.accepted, told.version, told.by) == (True, 1, "Kim")
    late = centre.wishes.of_event(event("choices", 1, detail=paused), PHONE, NOW_US)
    assert late.entries == ()
    [answer] = handset.sent()
    assert (answer.accepted, answer.version, answer.choices) == (False, 1, Choices())
    assert (answer.title, answer.by) == ("Something newer is in force", "Kim")
    centre.wishes.of_event(event("choices", 2), PHONE, NOW_US)  # what is in force already
    [answer] = handset.sent()
    assert (answer.accepted, answer.version) == (True, 1)
    assert centre.wishes.counts.older == 2


def test_an_answer_without_a_receipt_is_sent_again_when_the_handset_is_there() -> None:
    centre = Centre()
    handset = Handset(centre)
    centre.wishes.of_event(event("choices", 1), PHONE, NOW_US)
    [first] = handset.sent()
    [again] = handset.comes_online()
    assert again == first
    restored = Centre()
    restored.outbox.load_snapshot(centre.outbox.snapshot())
    [after_a_restart] = Handset(restored).comes_online()
    assert after_a_restart == first
    # What was said before is not in force any more, and is not said again.
    centre.wishes.of_event(event("choices", 2), PHONE, NOW_US)
    [second] = handset.sent()
    assert handset.comes_online() == [second]
    handset.answers(second)
    assert handset.comes_online() == []


def test_an_answer_is_not_sent_again_to_a_handset_that_has_changed_hands_nor_for_ever() -> None:
    for person, after_s in (("another", 60), ("protected1", CHOICES_EXPIRY_S)):
        centre = Centre()
        centre.wishes.of_event(event("choices", 1), PHONE, NOW_US)
        Handset(centre).sent()
        centre.bearers["phone1"] = msgspec.structs.replace(PHONE, person=person)
        assert Handset(centre).comes_online(after_s) == []
        centre.bearers["phone1"] = PHONE
        assert Handset(centre).comes_online() == []


@pytest.mark.parametrize("told", [False, True])
def test_an_answer_that_was_not_sent_when_the_service_ended_is_sent(
    told: bool,  # noqa: FBT001 - given
) -> None:
    centre, after = Centre(), Centre()
    wish = centre.wishes.of_event(event("choices", 1), PHONE, NOW_US)
    staff = centre.wishes.of_staff("protected1", Choices(), "Kim", "asked", [PHONE], NOW_US)
    entries: list[Entry] = [*wish.entries, *staff.entries]
    waiting = centre.outbox.pending("handset")
    if told:
        entries += [centre.outbox.finish(one, "sent", NOW_US) for one in waiting]
    after.outbox.restore(entries, now_us=NOW_US)
    assert after.outbox.pending("handset") == ([] if told else waiting)
    [again] = Handset(after).comes_online() if told else Handset(after).sent()[1:]
    assert (again.version, again.by) == (2, "Kim")
