"""Is the database there, and as this version needs it?"""

from __future__ import annotations

import psycopg

from cordon.checks.findings import Check, Finding, Patient
from devices.credential_store import CredentialStore
from devices.migrations import MigrationError


async def database(patient: Patient) -> Finding:
    """Does the database answer, with the tables of this version?"""
    try:
        async with CredentialStore(patient.endpoints.dsn).open() as opened:
            count = len(await opened.registry())
    except psycopg.OperationalError as error:
        return Finding(
            "database",
            "fail",
            f"The database does not answer ({type(error).__name__}). Alerts go on; history waits in "
            "the journal, changes of caseload and credentials wait too.",
            "Bring it back; is database.url right?",
        )
    except MigrationError as error:
        return Finding("database", "fail", f"The database does not fit: {error}", "See the text.")
    return Finding("database", "ok", f"It answers; {count} devices have been given credentials.")


CHECKS: tuple[Check, ...] = (database,)
