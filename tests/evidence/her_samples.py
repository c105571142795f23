"""What a protected person has chosen, a digest, and a reading, as entries of the alerts stream."""

from __future__ import annotations

from alerts.choosing import ChoiceChange, DigestMade
from alerts.holding import Held
from alerts.looks import Look
from devices.choices import Choices
from devices.instants import to_iso
from tests.evidence.samples import NOW_US


def choice(number: int, choices: Choices | None, problem: str | None = None) -> ChoiceChange:
    instant = to_iso(NOW_US + number)
    return ChoiceChange(
        id=f"c{number}",
        type="cordon.choice.set",
        time=instant,
        person="she",
        version=number,
        choices=choices,
        by="she" if number == 1 else "Kim",
        way="handset" if number == 1 else "console",
        device="phone-1",
        asked_at=instant,
        problem=problem,  # type: ignore[arg-type] # drawn from the cases below
    )


def look(number: int, subject: str, who: str = "Kim") -> Look:
    return Look(
        id=f"l{number}",
        time=to_iso(NOW_US + number),
        who=who,
        role="operator",
        purpose="duty",
        subject=subject,
        what="map",
    )


def digest() -> DigestMade:
    held = Held("a1", 1, 3, to_iso(NOW_US), "t", "x", 2)
    return DigestMade(
        id="d1",
        type="cordon.digest.made",
        time=to_iso(NOW_US),
        person="she",
        number=1,
        devices=("phone-1",),
        items=(held,),
    )
