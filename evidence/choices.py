"""Reads the history of what somebody has chosen."""

from __future__ import annotations

from dataclasses import dataclass

CHOICES_LIMIT = 1_000

QUERY = """
    SELECT evidence.us(time) AS time_us, version, accepted, actor, way, document::text AS document
    FROM evidence.choice WHERE person = %(person)s
    ORDER BY time DESC, version DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class StoredChoice:
    """A row of `evidence.choice`.

    Attributes:
        document: `alerts.choosing.ChoiceChange` as JSON.
    """

    time_us: int
    version: int
    accepted: bool
    actor: str
    way: str
    document: str
