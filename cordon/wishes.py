"""What protected people choose: by their handsets, or by the staff when they ask for it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from alerts.choosing import CHOICE_TYPE_PREFIX, ChoiceChange, choice_id
from alerts.deliveries import DeliveryRecord, Entry
from alerts.outbox import Outbox
from alerts.profile import Profiles
from devices.choices import CHOICES_BYTES, Choices
from devices.commands import HandsetAddress, address_of
from devices.instants import to_iso
from devices.reports import Event
from devices.watches import Bearer


@dataclass(frozen=True, slots=True)
class Wish:
    """What became of what somebody chose.

    Attributes:
        change: None where it changes nothing.
        given_way: Records of deliveries that the answers left no room for.
    """

    change: ChoiceChange | None = None
    given_way: tuple[DeliveryRecord, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What has to be kept, in order."""
        return self.given_way if self.change is None else (self.change, *self.given_way)


@dataclass(slots=True)
class WishCounts:
    """Counted since the start of the process.

    Attributes:
        taken: Choices that came into force.
        refused: Choices refused, with a reason that she was told.
        older: Choices older than those in force, which she was told.
        not_hers: Choices sent by a device that no protected person carries.
    """

    taken: int = 0
    refused: int = 0
    older: int = 0
    not_hers: int = 0


class Wishes:
    """Takes choices in and answers them.

    Args:
        outbox: Holds what is in force; answers go there.
        profiles: Say what cannot be chosen, and have the words.
    """

    def __init__(self, outbox: Outbox, profiles: Profiles) -> None:
        self.counts = WishCounts()
        self._outbox = outbox
        self._profiles = profiles

    def of_event(self, event: Event, bearer: Bearer, now_us: int) -> Wish:
        """Her handset says what she has chosen."""
        if not isinstance(address_of(bearer), HandsetAddress) or bearer.person is None:
            self.counts.not_hers += 1
            return Wish()
        person, name, asked = bearer.person, f"{event.device}/{event.seq}", _read(event)
        change = self._outbox.choosing.choose(
            person,
            asked,
            name=name,
            by=bearer.person,
            way="handset",
            asked_us=event.time_us,
            now_us=now_us,
            locked=frozenset(self._profiles.find(bearer.profile).locked),
            device=event.device,
        )
        if change is not None:
            return self._answered(change, now_us)
        self.counts.older += 1
        older = self._older(person, asked, choice_id(person, name), event, now_us)
        return Wish(given_way=tuple(self._outbox.answer(older, now_us)))

    def _older(
        self, person: str, asked: Choices | None, found: str, event: Event, now_us: int
    ) -> ChoiceChange:
        """What is answered to a choice that is older than what is in force. It is no entry to be kept."""
        choosing = self._outbox.choosing
        stands = asked == choosing.of(person)
        return ChoiceChange(
            id=found,
            type=CHOICE_TYPE_PREFIX + ("set" if stands else "refused"),
            time=to_iso(now_us),
            person=person,
            version=choosing.version(person),
            choices=asked,
            by=person,
            way="handset",
            device=event.device,
            asked_at=to_iso(event.time_us),
            problem=None if stands else "older",
        )

    def of_staff(
        self, person: str, asked: Choices, operator: str, note: str, own: list[Bearer], now_us: int
    ) -> Wish:
        """The staff set what she asked them for. Her handsets are told.

        Args:
            person: Who asked.
            asked: The whole document.
            operator: Who sets it.
            note: How she asked.
            own: Her handsets.
            now_us: The present instant.
        """
        locked = {topic for one in own for topic in self._profiles.find(one.profile).locked}
        # A handset whose clock is ahead must not keep the staff from setting what she asks for.
        asked_us = max(now_us, self._outbox.choosing.asked_us(person) + 1)
        change = self._outbox.choosing.choose(
            person,
            asked,
            name=f"{operator}/{asked_us}",
            by=operator,
            way="console",
            asked_us=asked_us,
            now_us=now_us,
            locked=frozenset(locked),
            note=note,
        )
        assert change is not None, "it is newer than all there is"
        return self._answered(change, now_us)

    def _answered(self, change: ChoiceChange, now_us: int) -> Wish:
        self.counts.taken += change.accepted
        self.counts.refused += not change.accepted
        return Wish(change, tuple(self._outbox.answer(change, now_us)))


def _read(event: Event) -> Choices | None:
    """What the event says; None when it cannot be read."""
    if len(msgspec.json.encode(event.detail)) > CHOICES_BYTES:
        return None
    try:
        return msgspec.convert(event.detail, Choices)
    except msgspec.ValidationError:
        return None
