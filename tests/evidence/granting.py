"""Grants for tests of what takes one."""

from __future__ import annotations

from uuid import UUID

import psycopg


def grant(
    dsn: str,
    who: str,
    case: str,
    *subjects: str,
    role: str = "investigator",
    purpose: str = "investigation",
) -> list[UUID]:
    """Let somebody read of each subject for a day; ids of the grants."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [
            connection.execute(
                "SELECT evidence.grant_access('chief', 'person', %s, %s, %s, %s, %s, now(),"
                " now() + interval '1 day', 'file 1')",
                (who, role, case, subject, purpose),
            ).fetchall()[0][0]
            for subject in subjects
        ]
