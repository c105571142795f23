"""From the database to whoever needs the caseload: changes take effect while running.

PostgreSQL holds the caseload; the kept copy beside the journal is what the worker starts from.
With the database away the last caseload stays in force, and changes wait with it.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog
from nats.aio.client import Client as NatsClient

from cordon.keep import CASELOAD_SUBJECT, Keep, KeptCaseload
from devices.ending import end_if_told
from devices.migrations import MigrationError
from devices.store import CaseloadStore

log = structlog.get_logger("caseload")

POLL_S = 5.0
"""A lost notification delays a change by this much at most."""

RETRY_S = 1.0
REFUSED_RETRY_S = 30.0


class CaseloadFeed:
    """Copies each new caseload version from the database to the keep, and says so.

    Args:
        store: The caseload in the database.
        keep: The kept copy.
        nc: Where the change is announced, on `CASELOAD_SUBJECT`.
    """

    def __init__(self, store: CaseloadStore, keep: Keep, nc: NatsClient) -> None:
        self._store = store
        self._keep = keep
        self._nc = nc
        self.changes = 0
        self.reachable = False
        self.refuses_empty = False

    async def run(self) -> None:
        """Follow the database until cancelled; wait out its absence."""
        kept = await self._keep.get_caseload()
        while True:
            end_if_told()
            try:
                await self._store.migrate()
                changed = True
                while True:
                    end_if_told()
                    if changed:  # a whole caseload is a time in which nothing else is done
                        kept = await self._copy(kept)
                    self.reachable = True
                    changed = await self._store.wait_for_change(POLL_S)
            except psycopg.OperationalError as error:
                if self.reachable:
                    log.warning("caseload_database_unreachable", reason=type(error).__name__)
                self.reachable = False
                await asyncio.sleep(RETRY_S)
            except (MigrationError, psycopg.errors.InsufficientPrivilege) as error:
                # Waiting does not help, but the caseload in force stays in force meanwhile.
                log.error("caseload_database_does_not_fit", reason=str(error))  # noqa: TRY400
                await asyncio.sleep(REFUSED_RETRY_S)

    async def _copy(self, kept: KeptCaseload | None) -> KeptCaseload:
        stored = await self._store.load()
        current = KeptCaseload(str(stored.version), stored.caseload)
        if current == kept:
            return kept
        if kept is not None and stored.version == 0:
            return self._refuse_empty(kept)
        await self._keep.put_caseload(current)
        await self._nc.publish(CASELOAD_SUBJECT, current.version.encode())
        self.changes += 1
        log.info("caseload_in_force", version=current.version)
        return current

    def _refuse_empty(self, kept: KeptCaseload) -> KeptCaseload:
        """A database that never held a caseload must not end the protection that is in force."""
        if not self.refuses_empty:
            log.error(
                "caseload_database_is_empty",
                meaning=f"version {kept.version} stays in force; load the caseload again",
            )
        self.refuses_empty = True
        return kept
