"""Every question about many people names who asks, why, and in which case, before it is answered."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import structlog

log = structlog.get_logger("inquiries")


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


async def note_inquiry(_connection: psycopg.AsyncConnection, inquiry: Inquiry, kind: str) -> None:
    """Record that something is asked. The one place that does; called before anything is read.

    Args:
        _connection: Where a record of access is kept.
        inquiry: Who asks, and why.
        kind: What is asked; without places.

    Raises:
        InquiryError: Something of it is empty.
    """
    for name in ("actor", "purpose", "case"):
        if not getattr(inquiry, name).strip():
            raise InquiryError(f"An inquiry has to name its {name}.")
    log.info("inquiry", kind=kind, actor=inquiry.actor, purpose=inquiry.purpose, case=inquiry.case)
