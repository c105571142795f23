"""Work that is no reading of a case, and is recorded like one before it is done.

Whoever hands everything over, or brings a file of others or removes one, names who, why, and in which case.
It takes a role of the database and no grant. What reads of a case is in `evidence.readings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from evidence.text import clean


class InquiryError(ValueError):
    """It does not say who asks, why, or in which case."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Who asks, and why.

    Attributes:
        purpose: In words; a court may read it.
        case: Of the one who asks.
    """

    actor: str
    purpose: str
    case: str


@dataclass(frozen=True, slots=True)
class About:
    """What is asked.

    Attributes:
        what: `hand-over` or `overlay import`, for example; without places.
        subjects: Ids of the people whom it is about; `alerts.looks.EVERYBODY` for all.
        from_us, to_us: The time that it is about; None: whatever there is.
        note: What else is to be said: who is given it, which file.
    """

    what: str
    subjects: Iterable[str]
    from_us: int | None = None
    to_us: int | None = None
    note: str = ""


async def note_inquiry(
    connection: psycopg.AsyncConnection, inquiry: Inquiry, about: About, now_us: int
) -> None:
    """Record that something is asked, as a reading (`evidence.access`), before anything is read.

    Args:
        connection: In autocommit mode: the record is committed before anything is read.
        inquiry: Who asks, and why.
        about: What is asked, of whom.
        now_us: The time.

    Raises:
        InquiryError: Something of it is empty.
        psycopg.Error: It cannot be recorded, so it must not be answered.
    """
    for name in ("actor", "purpose", "case"):
        if not getattr(inquiry, name).strip():
            raise InquiryError(f"An inquiry has to name its {name}.")
    who = (clean(inquiry.actor), "command line", clean(inquiry.purpose), clean(inquiry.case))
    for subject in about.subjects:
        await connection.execute(
            'INSERT INTO evidence.access (at_us, who, role, purpose, "case", what, subject, from_us, '
            "to_us, note) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(now_us, *who, about.what, clean(subject), about.from_us, about.to_us),
                clean(about.note),
            ),
        )
