"""Is the database there, and as this version needs it?"""

from __future__ import annotations

import psycopg

from cordon.checks.findings import Check, Finding, Patient
from devices.credential_store import CredentialStore


async def database(patient: Patient) -> Finding:
    """Does the database answer, with the tables of this version?"""
    dsn = patient.endpoints.dsn
    if not dsn:
        return Finding(
            "database",
            "warn",
            "No database is named, and none is on this machine.",
            "Set database.url to look at it from here.",
        )
    try:
        async with CredentialStore(dsn).open(update=False) as opened:
            count = len(await opened.registry())
    except psycopg.errors.UndefinedTable:
        return Finding(
            "database",
            "warn",
            "The database answers, but has not been set up for this version.",
            "Start the service: it makes and updates its tables.",
        )
    except psycopg.OperationalError as error:
        return Finding(
            "database",
            "fail",
            f"The database does not answer ({type(error).__name__}). Alerts go on; history waits in "
            "the journal, changes of caseload and credentials wait too.",
            "Bring it back; is database.url right?",
        )
    return Finding("database", "ok", f"It answers; {count} devices have been given credentials.")


CHECKS: tuple[Check, ...] = (database,)
