"""Requests for packs of the case of `tests.evidence.case_world`, and what becomes of them."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from devices.instants import to_datetime
from evidence import approvals
from evidence.approvals import Connection, NewRequest
from evidence.readings import Claim
from evidence.selection import Asked
from tests.evidence.case_world import FROM_US, SECOND_US, TO_US

REFUGE = (FROM_US + 150 * SECOND_US, FROM_US + 270 * SECOND_US)


def wanted(**changes: Any) -> NewRequest:
    claim: dict[str, str] = {
        "actor": changes.pop("by", "Sgt Kim"),
        "role": "investigator",
        "case": changes.pop("case", "o1"),
        "purpose": changes.pop("purpose", "disclosure"),
        "note": "trial 26/118",
    }
    values: dict[str, Any] = {
        "claim": Claim(**claim),
        "device": "",
        "side": "court",
        "recipient": "Crown Court",
        "window": (FROM_US, TO_US),
        "withheld_us": (REFUGE,),
    }
    return NewRequest(**{**values, **changes})


async def approved(connection: Connection, **changes: Any) -> UUID:
    made = await approvals.request(connection, wanted(**changes))
    await approvals.decide(connection, made, "Insp Okafor", "case file seen", approved=True)
    return made


async def used(connection: Connection, request_id: UUID) -> Asked:
    asked, claim = await approvals.use(connection, request_id, "", secrets.token_hex(8))
    assert (claim.case, claim.purpose, claim.note) == ("o1", "disclosure", "trial 26/118")
    assert (claim.actor, claim.role) == (asked.custody.actor, "investigator")
    return asked


RAW = {
    "requested_by": "Sgt Kim",
    "in_case": "o1",
    "for_side": "court",
    "recipient": "Crown Court",
    "purpose": "disclosure: trial 26/118",
    "window_from": to_datetime(FROM_US),
    "window_to": to_datetime(TO_US),
    "withheld": "",
    "charged": "",
    "role": "investigator",
    "grant_case": "o1",
    "grant_purpose": "disclosure",
    "note": "trial 26/118",
}
"""What a program of somebody else's may hand the database."""


async def raw(connection: Connection, **changes: str) -> UUID:
    """Ask for a pack as any program can."""
    values = RAW | changes
    named = ", ".join(f"{name} => %({name})s" for name in values)
    cursor = await connection.execute(f"SELECT evidence.request_pack({named})".encode(), values)
    [row] = await cursor.fetchall()
    return UUID(str(row[0]))


async def as_asked_before(connection: Connection, **changes: str) -> UUID:
    """A request that the version before took in, approved."""
    made = await approvals.request(connection, wanted())
    for column, value in changes.items():
        query = f"UPDATE evidence.pack_request SET {column} = %s WHERE request_id = %s"
        await connection.execute(query.encode(), (value, made))
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    return made
