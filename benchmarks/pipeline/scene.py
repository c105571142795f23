"""Who takes part in a run: pairs of a tag and a handset, far from each other until their tag leaps.

A leap is the one approach whose decisive fix is beyond doubt. A jump that nobody can make is taken
for an error of the receiver; the third fix in a row that says so is believed, and makes the alert
due. What people do, to walk nearer, makes an alert due at an instant that only the estimator knows.
"""

from __future__ import annotations

from datetime import UTC, datetime

from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity

AGENCY = "centre"
ALERT_M = 100.0
APART_M = 3_000.0
"""Between the two of a pair before the leap: far outside every ring."""

LEAP_TO_M = 10.0
BELIEVED_AT = 3
"""Of the fixes in a row that a leap takes, the one that is believed."""

METRE_DEG = 1 / 111_300
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST = (50.0, 4.0)
_STEP_DEG = 0.1
_IN_A_ROW = 60

TAG, PHONE = "tag", "phone"


def tag(pair: int) -> str:
    """Device id of a pair's tag."""
    return f"{TAG}-{pair}"


def phone(pair: int) -> str:
    """Device id of a pair's handset."""
    return f"{PHONE}-{pair}"


def home(pair: int) -> tuple[float, float]:
    """Where the protected person of a pair stays: latitude and longitude, degrees."""
    row, column = divmod(pair, _IN_A_ROW)
    return _FIRST[0] + row * _STEP_DEG, _FIRST[1] + column * _STEP_DEG


def caseload(pairs: int) -> Caseload:
    """An order for every pair."""
    numbers = range(pairs)
    return Caseload(
        agencies=(Agency(id=AGENCY, name="Centre"),),
        people=tuple(
            person
            for n in numbers
            for person in (
                Person(id=f"he-{n}", role="wearer", name=f"He {n}"),
                Person(id=f"she-{n}", role="protected", name=f"She {n}"),
            )
        ),
        devices=tuple(
            device
            for n in numbers
            for device in (Device(id=tag(n), kind="tag"), Device(id=phone(n), kind="handset"))
        ),
        assignments=tuple(
            assignment
            for n in numbers
            for assignment in (
                Assignment(device=tag(n), person=f"he-{n}", from_=SINCE),
                Assignment(device=phone(n), person=f"she-{n}", from_=SINCE),
            )
        ),
        orders=tuple(_order(n) for n in numbers),
    )


def _order(pair: int) -> Order:
    near = Proximity(id=f"near-{pair}", protected=f"she-{pair}", alert_m=ALERT_M)
    return Order(
        id=f"order-{pair}",
        agency=AGENCY,
        wearer=f"he-{pair}",
        valid_from=SINCE,
        conditions=(near,),
    )
