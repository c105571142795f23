"""A pair that does not exist: with it the service tries its own whole way, again and again.

It walks into its own ring where nobody lives or sails (Point Nemo, the place in the sea farthest from
land). All its ids begin with `PREFIX`; its alerts are marked, and counted in no figure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity

PREFIX: Final = "cordon-synthetic-"
AGENCY: Final = f"{PREFIX}agency"
TAG: Final = f"{PREFIX}tag"
HANDSET: Final = f"{PREFIX}handset"
_WEARER = f"{PREFIX}wearer"
_PROTECTED = f"{PREFIX}protected"
_CONDITION = f"{PREFIX}condition"
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)

HER_PLACE_DEG: Final = (-48.8767, -123.3933)
ALERT_M: Final = 200.0
FIX_INTERVAL_S: Final = 2.0

WALK_S: Final = 60.0
"""From far to near and back."""

NEAR_FROM_S: Final = 20.0
NEAR_UNTIL_S: Final = 30.0
_FAR_M = 900.0
_NEAR_M = 60.0
_BACK_S = 50.0
_METRE_DEG = 1 / 111_200


def is_synthetic(ident: str) -> bool:
    """Whether an id belongs to the pair."""
    return ident.startswith(PREFIX)


def distance_m(walked_s: float) -> float:
    """How far apart the two are, so long after a walk began. At most 42 m/s, which a car does."""
    at_s = walked_s % WALK_S
    if at_s < NEAR_FROM_S:
        share = at_s / NEAR_FROM_S
    elif at_s < NEAR_UNTIL_S:
        share = 1.0
    else:
        share = max(0.0, (_BACK_S - at_s) / (_BACK_S - NEAR_UNTIL_S))
    return _FAR_M + share * (_NEAR_M - _FAR_M)


def place_deg(device: str, walked_s: float) -> tuple[float, float]:
    """Where one of the two is, in degrees."""
    lat, lon = HER_PLACE_DEG
    return (lat + distance_m(walked_s) * _METRE_DEG, lon) if device == TAG else (lat, lon)


def with_synthetic(caseload: Caseload) -> Caseload:
    """A caseload and the pair beside it."""
    order = Order(
        id=f"{PREFIX}order",
        agency=AGENCY,
        wearer=_WEARER,
        valid_from=_SINCE,
        conditions=(Proximity(id=_CONDITION, protected=_PROTECTED, alert_m=ALERT_M),),
    )
    people = (Person(id=_WEARER, role="wearer"), Person(id=_PROTECTED, role="protected"))
    devices = (
        Device(id=TAG, kind="tag", fix_interval_s=FIX_INTERVAL_S),
        Device(id=HANDSET, kind="handset", fix_interval_s=FIX_INTERVAL_S),
    )
    carried = ((TAG, _WEARER), (HANDSET, _PROTECTED))
    return msgspec.structs.replace(
        caseload,
        agencies=(*caseload.agencies, Agency(id=AGENCY, name="Synthetic: nobody")),
        people=caseload.people + people,
        devices=caseload.devices + devices,
        assignments=caseload.assignments
        + tuple(Assignment(device=d, person=p, from_=_SINCE) for d, p in carried),
        orders=(*caseload.orders, order),
    )
