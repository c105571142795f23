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

    async def run(self) -> None:
        """Follow the database until cancelled; wait out its absence."""
        kept = await self._keep.get_caseload()
        version = kept.version if kept else ""
        while True:
            try:
                await self._store.migrate()
                while True:
                    version = await self._copy(version)
                    self.reachable = True
                    await self._store.wait_for_change(POLL_S)
            except psycopg.OperationalError as error:
                if self.reachable:
                    log.warning("caseload_database_unreachable", reason=type(error).__name__)
                self.reachable = False
                await asyncio.sleep(RETRY_S)
            except MigrationError as error:
                # Waiting does not help, but the caseload in force stays in force meanwhile.
                log.error("caseload_database_does_not_fit", reason=str(error))  # noqa: TRY400
                await asyncio.sleep(REFUSED_RETRY_S)

    async def _copy(self, version: str) -> str:
        stored = await self._store.load()
        current = str(stored.version)
        if current != version:
            await self._keep.put_caseload(KeptCaseload(current, stored.caseload))
            await self._nc.publish(CASELOAD_SUBJECT, current.encode())
            self.changes += 1
            log.info("caseload_in_force", version=current)
        return current
