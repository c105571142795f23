"""What the console asks of the service for one person's own rights. `cordon` implements it."""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec

from alerts.choosing import ChoiceChange
from alerts.looks import Look
from alerts.reality import Reality
from devices.choices import Choices


class NoSuchPersonError(Exception):
    """No protected person of this id is in force."""


class ChoiceRefusedError(Exception):
    """What was to be set cannot be chosen; the text says why."""


class HerChoices(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force for a person, and how it came about.

    Attributes:
        version: Counts what was set; 0: nothing was ever chosen, everything is told at once.
        by: Who set it: the person's own id where she did it herself.
        held: Alerts of which notices are held back now.
        history: Every choice and refusal, the newest first.
    """

    person: str
    version: int
    by: str
    choices: Choices
    held: int
    history: list[ChoiceChange]


class SetChoices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What she has asked the staff to set.

    Attributes:
        note: How she asked for it; stands in the history.
    """

    choices: Choices
    note: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class HerBackend(Protocol):
    """The service as these addresses see it."""

    async def choices(self, person: str) -> HerChoices:
        """What is in force, with its history.

        Raises:
            NoSuchPersonError: There is no such person.
            console.backend.NotAvailableError: The history cannot be read now.
        """
        ...

    async def choose(self, person: str, asked: SetChoices, operator: str) -> ChoiceChange:
        """Set what she has asked for; returns when it is kept.

        Raises:
            NoSuchPersonError: There is no such person.
            ChoiceRefusedError: It cannot be chosen.
            console.backend.NotAvailableError: It cannot be kept now.
        """
        ...

    def look(self, who: str, what: str, subject: str, *, role: str, purpose: str = "") -> None:
        """Somebody reads where people are. Recorded; never waits."""
        ...

    async def was_real(self, alert_id: str) -> Reality:
        """Whether what an alert was raised for was real, open or closed.

        Raises:
            alerts.errors.NoSuchAlert: There never was one with this id.
            console.backend.NotAvailableError: The history cannot be read now.
        """
        ...

    async def looked(self, person: str, limit: int) -> list[Look]:
        """Who read where this person is or was, the newest first.

        Raises:
            console.backend.NotAvailableError: It cannot be read now.
        """
        ...
