"""The worker follows the caseload that is kept, whatever becomes of a single look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cordon import caseload_in_force
from cordon.caseload_in_force import CaseloadInForce
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep, KeptCaseload
from cordon.partition import Partition
from devices.caseload import Caseload
from tests.ingest.waiting import running, until


async def test_a_caseload_that_could_not_be_read_is_looked_for_again(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caseload_in_force, "POLL_S", 0.02)
    nc = await connect_nats(broker.nats_url, "test")
    keep = await Keep.open(nc.jetstream())
    await keep.put_caseload(KeptCaseload("7", Caseload()))
    read, looks, taken = keep.get_caseload, 0, list[str]()

    async def unreadable_at_first() -> KeptCaseload | None:
        nonlocal looks
        looks += 1
        return await read() if looks > 1 else None

    def put_in_force(kept: KeptCaseload, _now_us: int) -> None:
        taken.append(kept.version)

    monkeypatch.setattr(keep, "get_caseload", unreadable_at_first)
    partition: Any = SimpleNamespace(put_in_force=put_in_force)
    following = CaseloadInForce(nc, keep, cast("Partition", partition), lambda: 0)
    async with running(following.run()):
        await until(lambda: taken == ["7"], "it is in force")
    await nc.close()
