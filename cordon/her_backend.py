"""The service as the console sees it for one person's own rights: her choices, who looked at her."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from alerts.choosing import ChoiceChange
from alerts.errors import NoSuchAlert
from alerts.looks import Look, Looks
from alerts.model import AlertChange
from alerts.personal import choice_words
from alerts.profile import DEFAULT, DEFAULT_LANGUAGE
from alerts.reality import Reality, was_real
from console.backend import NotAvailableError
from console.her_backend import ChoiceRefusedError, HerChoices, NoSuchPersonError, SetChoices
from cordon.parts import Parts
from devices.instants import Clock, to_iso
from devices.watches import Bearer
from evidence.choices import CHOICES_LIMIT, StoredChoice
from evidence.looks import StoredLook
from evidence.reader import HistoryUnavailableError

EVER_US = 2**60


class ServiceHerBackend:
    """Answers from memory what is in force, and from the database what was.

    Args:
        parts: The running parts of the service.
        kept: Waits until what was handed over is on disk.
        clock: The time.
    """

    def __init__(self, parts: Parts, kept: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._parts = parts
        self._kept = kept
        self._clock = clock
        self._looks = Looks()

    def _handsets(self, person: str) -> list[Bearer]:
        """Her handsets; what else she carries shows that she is there."""
        bearers = self._parts.worker.partition.compiled.bearers.values()
        own = [one for one in bearers if one.person == person and one.role == "protected"]
        if not own:
            raise NoSuchPersonError
        return [one for one in own if one.kind == "handset"]

    async def choices(self, person: str) -> HerChoices:
        """See `console.her_backend.HerBackend`."""
        self._handsets(person)
        stored = await self._read(self._parts.history.choices(person, CHOICES_LIMIT))
        choosing = self._parts.outgoing.outbox.choosing
        return HerChoices(
            person=person,
            version=choosing.version(person),
            by=choosing.by(person),
            choices=choosing.of(person),
            held=len(choosing.held(person)),
            history=[msgspec.json.decode(one.document, type=ChoiceChange) for one in stored],
        )

    async def _read(self, rows: Awaitable[list[StoredChoice]]) -> list[StoredChoice]:
        try:
            return await rows
        except HistoryUnavailableError as error:
            raise NotAvailableError(_AWAY) from error

    async def choose(self, person: str, asked: SetChoices, operator: str) -> ChoiceChange:
        """See `console.her_backend.HerBackend`."""
        if not self._parts.worker.caught_up.is_set():
            raise NotAvailableError("The service is still reading what happened. Try again soon")
        own, now_us = self._handsets(person), self._clock()
        outgoing = self._parts.outgoing
        wish = outgoing.wishes.of_staff(person, asked.choices, operator, asked.note, own, now_us)
        outgoing.chosen(wish)
        await self._kept()
        change = wish.change
        assert change is not None, "what staff set is newer than all there is"
        if change.problem is not None:
            profile = own[0].profile if own else DEFAULT
            profiles = self._parts.policy.profiles
            words = choice_words(profiles, profile, change.problem, DEFAULT_LANGUAGE)
            raise ChoiceRefusedError(f"{words.title}. {words.text}")
        return change

    def look(self, who: str, what: str, subject: str, *, role: str, purpose: str = "") -> None:
        """See `console.her_backend.HerBackend`."""
        look = self._looks.note(who, what, subject, self._clock(), role=role, purpose=purpose)
        if look is not None:
            self._parts.outgoing.keep(look)

    async def was_real(self, alert_id: str) -> Reality:
        """See `console.her_backend.HerBackend`."""
        partition, profiles = self._parts.worker.partition, self._parts.policy.profiles
        if (alert := partition.desk.find(alert_id)) is not None:
            return was_real(alert, profiles)
        try:
            steps = await self._parts.history.alert_history(alert_id)
        except HistoryUnavailableError as error:
            raise NotAvailableError(_AWAY) from error
        changes = [step.document for step in steps if step.kind != "delivery"]
        if not changes:
            raise NoSuchAlert(alert_id)
        newest = msgspec.json.decode(changes[-1], type=AlertChange)
        return was_real(newest.data, profiles)

    async def looked(self, person: str, limit: int) -> list[Look]:
        """See `console.her_backend.HerBackend`."""
        try:
            rows = await self._parts.history.looks(person, 0, EVER_US, limit)
        except HistoryUnavailableError as error:
            raise NotAvailableError(_AWAY) from error
        return [look_of(row) for row in rows]


def look_of(row: StoredLook) -> Look:
    """The reading that a row holds."""
    return Look(
        id=row.id,
        time=to_iso(row.at_us),
        who=row.who,
        role=row.role,
        purpose=row.purpose,
        subject=row.subject,
        case=row.case,
        what=row.what,
        from_us=row.from_us,
        to_us=row.to_us,
    )


_AWAY = "The history cannot be shown: the database does not answer"
