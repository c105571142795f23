"""Packs that a second person approves: requests, decisions, and their use for one pack.

What may go out is decided in the database (`sql/0017_pack_requests.sql`, `0018_approvals.sql`), so that it holds for every
program: nobody decides about their own request, an approval is good for seven days and for one pack, and
what is made is what was approved, since its terms are read from the request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import errors
from psycopg.rows import class_row

from devices.instants import from_iso, to_datetime, to_iso
from evidence.case_records import Custody
from evidence.readings import Claim
from evidence.selection import Approval, Asked, Window
from evidence.text import clean

Connection = psycopg.AsyncConnection

APPROVED_US = 7 * 86_400_000_000
"""How long an approval is good, as `evidence.use_pack_request` has it; a request waits as long."""


class ApprovalError(RuntimeError):
    """It is not approved, or may not be decided by whoever tries. The text is for people."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A pack that somebody wants to make.

    Attributes:
        claim: Who asks, and by which grant the pack will be made.
        device: The records of this device alone; empty: those of the claim's case, an order.
        side: See `evidence.sides.Side`.
        withheld_us: Parts of the window of which only the places of records are shown.
        charged: Alerts that the wearer is charged with.
    """

    claim: Claim
    device: str
    side: str
    recipient: str
    window: Window
    withheld_us: tuple[Window, ...] = ()
    charged: frozenset[str] = frozenset()

    @property
    def case(self) -> str:
        """As in `evidence.case_records.Custody`."""
        return f"device/{self.device}" if self.device else self.claim.case

    @property
    def purpose(self) -> str:
        """That of the grant, and in words."""
        return ": ".join(filter(None, (self.claim.purpose, self.claim.note)))

    def alone(self, reader: str, disclosure: str) -> Asked:
        """The pack, where no second person has to approve it."""
        custody = Custody(
            disclosure=disclosure,
            case=self.case,
            actor=reader,
            purpose=self.purpose,
            recipient=self.recipient,
            side=self.side,
            from_us=self.window[0],
            to_us=self.window[1],
        )
        return Asked(custody, self.device, self.withheld_us, self.charged)


class PackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and what became of it. None: nothing yet.

    Attributes:
        withheld, charged: As in the database: intervals, and alerts, separated by spaces.
        role, grant_case, grant_purpose: By which grant the pack will be made.
        note: Of whoever decided.
        used_us: When a pack was made by it that did not fail.
    """

    request_id: UUID
    requested_us: int
    requested_by: str
    case: str
    side: str
    recipient: str
    purpose: str
    from_us: int
    to_us: int
    withheld: str
    charged: str
    role: str
    grant_case: str
    grant_purpose: str
    decided_us: int | None
    decided_by: str | None
    approved: bool | None
    note: str | None
    used_us: int | None

    def state(self, now_us: int) -> str:
        """``waits``, ``approved``, ``refused``, ``used`` or ``over``."""
        if self.used_us is not None:
            return "used"
        if self.approved is False:
            return "refused"
        begins_us = self.requested_us if self.decided_us is None else self.decided_us
        if now_us >= begins_us + APPROVED_US:
            return "over"
        return "waits" if self.decided_us is None else "approved"


async def request(connection: Connection, new: NewRequest) -> UUID:
    """Ask for a pack. Returns the id by which somebody else decides about it.

    Raises:
        ApprovalError: Something is not named, or the window, or what is withheld of it, is none.
    """
    if not all(start < end for start, end in new.withheld_us):
        raise ApprovalError(
            "What is withheld begins before it ends: write the earlier instant first."
        )
    values = (
        *map(clean, (new.claim.actor.strip(), new.case)),
        new.side,
        *map(clean, (new.recipient, new.purpose)),
        *map(to_datetime, new.window),
        _intervals_text(new.withheld_us),
        clean(" ".join(sorted(new.charged))),
        new.claim.role,
        *map(clean, (new.claim.case, new.claim.purpose, new.claim.note)),
    )
    query = f"SELECT evidence.request_pack({', '.join(['%s'] * len(values))})"
    cursor = await _asked(connection, query, values)
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return UUID(str(row[0]))


async def decide(
    connection: Connection, request_id: UUID, by: str, note: str, *, approved: bool
) -> None:
    """Approve a request of somebody else, or refuse it.

    Raises:
        ApprovalError: It is one's own, is decided already, is too old, or is not there.
    """
    asked = await find(connection, request_id)
    if same_person(asked.requested_by, by or connection.info.user):
        raise ApprovalError("Nobody decides about their own request.")
    query = "SELECT evidence.decide_pack(%s, %s, %s, %s)"
    await _asked(connection, query, (request_id, clean(by), approved, clean(note)))


async def requests(connection: Connection) -> list[PackRequest]:
    """Every request, newest first."""
    async with connection.cursor(row_factory=class_row(PackRequest)) as cursor:
        await cursor.execute(_LISTED)
        return await cursor.fetchall()


async def find(connection: Connection, request_id: UUID) -> PackRequest:
    """One request.

    Raises:
        ApprovalError: There is none of this id, or who is signed in may not see requests.
    """
    cursor = connection.cursor(row_factory=class_row(PackRequest))
    try:
        await cursor.execute(_LISTED_ONE, (request_id,))
    except errors.InsufficientPrivilege as error:
        raise _refusal(error) from error
    found = await cursor.fetchone()
    if found is None:
        raise ApprovalError(f"There is no request {request_id}: see `cordon evidence requests`.")
    return found


async def use(
    connection: Connection, request_id: UUID, by: str, disclosure: str
) -> tuple[Asked, Claim]:
    """Use an approval for one pack, and commit that.

    Args:
        connection: In autocommit mode.
        request_id: The request.
        by: Who makes the pack; empty: who asked for it.
        disclosure: Names the pack.

    Returns:
        What was approved, and what whoever makes it claims: they need the grant.

    Raises:
        ApprovalError: It is not approved, not any more, or was used.
    """
    found = await find(connection, request_id)
    if found.decided_us is None:
        raise ApprovalError("Nobody has approved this request yet.")
    if same_person(found.requested_by, found.decided_by or ""):
        raise ApprovalError("Who approved this request is who asked for it: somebody else has to.")
    withheld_us = _withheld(found)  # before it is used: an approval that cannot be used stays good
    query = (
        'SELECT requested_by, "case", recipient, purpose, side, evidence.us(window_from), '
        "evidence.us(window_to), charged, role, grant_case, grant_purpose, note "
        "FROM evidence.use_pack_request(%s, %s, %s)"
    )
    cursor = await _asked(connection, query, (request_id, clean(by), disclosure))
    row = await cursor.fetchone()
    assert row is not None, "it answers or refuses"
    requested_by, case, recipient, purpose, side, from_us, to_us, charged, *claim = row
    custody = Custody(
        disclosure=disclosure,
        case=case,
        actor=by or requested_by,
        purpose=purpose,
        recipient=recipient,
        side=side,
        from_us=from_us,
        to_us=to_us,
    )
    asked = Asked(
        custody,
        case.removeprefix("device/") if case.startswith("device/") else "",
        withheld_us,
        frozenset(charged.split()),
        Approval(str(request_id), found.requested_us, found.decided_us),
    )
    return asked, Claim(custody.actor, *claim)


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, in whatever case and spaces: at least where a verifier says so.

    The database says it of other programs (`evidence.same_person`), as far as its server knows letters.
    """
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return re.sub(r"[\s\ufeff]", "", name).lower()  # \ufeff: a space in a browser


def _intervals_text(intervals: tuple[Window, ...]) -> str:
    return " ".join(f"{to_iso(start)}/{to_iso(end)}" for start, end in sorted(intervals))


def _intervals(text: str) -> tuple[Window, ...]:
    pairs = (one.split("/") for one in text.split())
    return tuple((from_iso(start), from_iso(end)) for start, end in pairs)


def _withheld(found: PackRequest) -> tuple[Window, ...]:
    """What a request withholds; programs of others can ask for packs, too.

    Raises:
        ApprovalError: It is not written as `request` writes it, which is how verifiers read it.
    """
    try:
        intervals = _intervals(found.withheld)
    except ValueError:
        intervals = ()
    if _intervals_text(intervals) != found.withheld or not all(a < b for a, b in intervals):
        raise ApprovalError(
            f"Request {found.request_id} does not say what is withheld in a way that can be read: {found.withheld!r}. "
            "Ask for the pack anew. The approval was not used."
        )
    return intervals


async def _asked(
    connection: Connection, query: str, values: tuple[object, ...]
) -> psycopg.AsyncCursor[Any]:
    try:
        return await connection.execute(query.encode(), values)
    except errors.CheckViolation as error:
        raise ApprovalError(
            "A request names who asks, the case, the recipient and the purpose; its window begins before it "
            "ends and spans 366 days at most; records of one device alone are for the court."
        ) from error
    except errors.UniqueViolation as error:  # somebody else's decision came in between
        raise ApprovalError("It is decided already.") from error
    except errors.InsufficientPrivilege as error:
        raise _refusal(error) from error


def _refusal(error: psycopg.Error) -> ApprovalError:
    said = error.diag.message_primary or ""
    return ApprovalError(f"{said[:1].upper()}{said[1:]}.")


_COLUMNS = """
    SELECT request_id, evidence.us(requested_at) AS requested_us, requested_by, "case", side, recipient,
        purpose, evidence.us(window_from) AS from_us, evidence.us(window_to) AS to_us, withheld, charged,
        role, grant_case, grant_purpose, evidence.us(decided_at) AS decided_us, decided_by, approved, note, evidence.us(used_at) AS used_us
    FROM evidence.list_pack_requests()
"""
_LISTED = f"{_COLUMNS} ORDER BY requested_at DESC, request_id".encode()
_LISTED_ONE = f"{_COLUMNS} WHERE request_id = %s".encode()
