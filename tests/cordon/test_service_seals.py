"""The service seals what it stores, and says how far it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg
import pytest

from cordon.embedded.broker import EmbeddedBroker
from cordon.metrics import Metrics
from cordon.seal import guard_of
from cordon.sections import Evidence
from evidence.audit import audit
from tests.conftest import Database
from tests.cordon.running import one_pair, settings_for_tests, until, world

pytestmark = pytest.mark.timeout(240)


async def test_what_the_service_stores_is_sealed(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(
        settings_for_tests(),
        state_directory=str(tmp_path),
        evidence=Evidence(seal_interval_s=0.2, origin="cordon.test/service"),
    )
    async with world(broker, database.dsn, one_pair(), settings=settings) as seen:
        sealer = seen.service.parts.sealer
        assert sealer is not None
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 5_000)
        await until(lambda: seen.stored() == set(seen.sent), "the history has every fix")
        await until(
            lambda: seen.query(
                "SELECT 1 FROM evidence.seal_log"
                " WHERE next_transaction > (SELECT max(stored_in) FROM evidence.fix)"
            ),
            "every fix is sealed",
        )
        text = Metrics(seen.service.parts).text().decode()
        for name in (
            "sealer_log_size",
            "sealer_lag_seconds",
            "sealer_refuses",
            "sealer_rows_total",
        ):
            assert f"\ncordon_{name} " in text
        assert "cordon_sealer_refuses 0.0" in text
        keys = guard_of(settings).pair("cordon.test/service").keys
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True
        ) as connection:
            found = await audit(connection, keys, [])
        assert found.findings == []
        assert found.rows >= len(seen.sent)
