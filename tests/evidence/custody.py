"""Exports as somebody asks for them."""

from __future__ import annotations

import secrets

from evidence.case_records import Custody
from evidence.selection import Asked, Window


def of_device(device: str, from_us: int, to_us: int, withheld_us: tuple[Window, ...] = ()) -> Asked:
    return Asked(custody(f"device/{device}", from_us, to_us), device, withheld_us)


def custody(case: str, from_us: int, to_us: int, side: str = "court") -> Custody:
    return Custody(
        disclosure=secrets.token_hex(8),
        case=case,
        actor="Sgt Kim",
        purpose="trial 26/118",
        recipient="the court",
        side=side,
        from_us=from_us,
        to_us=to_us,
    )
