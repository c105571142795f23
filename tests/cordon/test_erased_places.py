"""The live service lets go of erased places: out of its state, its checkpoint, and for good."""

from __future__ import annotations

import msgspec
import numpy as np

from cordon import erased_places
from cordon.checkpoint import CHECKPOINT, decode_checkpoint
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import KeptCaseload
from cordon.worker import Worker
from devices.reports import FIX_DTYPE, MISSING, Batch
from geofence.forgetting import held
from geofence.levels import UNKNOWN_TIME_US
from geofence.snapshot import decode_snapshot
from tests.cordon.running import HOME, one_pair, until
from tests.cordon.test_worker import SECOND_US, Site, site

__all__ = ["site"]  # a fixture


async def report(site: Site, device: str, place_e7: int) -> int:
    """A fix of a device, journaled. Returns its time."""
    batch = site.report(device)
    row = np.zeros(1, FIX_DTYPE)
    row["seq"], row["time_us"] = batch.number, site.now_us
    row["lat_e7"], row["lon_e7"] = round(HOME[0] * 1e7) + place_e7, round(HOME[1] * 1e7)
    row["accuracy_cm"], row["battery_pct"], row["charging"] = 500, MISSING, MISSING
    await site.journal.append(
        Batch(
            gateway=batch.gateway,
            number=batch.number,
            received_us=batch.received_us,
            messages=batch.messages,
            devices=(device,),
            fixes=row,
        )
    )
    return site.now_us


def known(worker: Worker) -> dict[str, int]:
    """When each device was where it was seen last."""
    picture = worker.partition.engine.picture().tracks
    names = worker.partition.compiled.plan.tracks
    return dict(zip(names, picture.time_us.tolist(), strict=True))


async def another_checkpoint(site: Site, worker: Worker) -> None:
    before = worker.counts.checkpoints
    site.now_us += SECOND_US  # only a state that has changed is kept
    await until(lambda: worker.counts.checkpoints > before, "a checkpoint")


async def test_a_place_goes_from_the_state_and_from_the_checkpoint(
    site: Site, broker: EmbeddedBroker
) -> None:
    await site.keep.put_caseload(KeptCaseload("1", one_pair()))
    nc = await connect_nats(broker.nats_url, "keeper")
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "caught up")
        at_us = await report(site, "tag-1", 900)
        hers_us = await report(site, "phone-1", 0)
        await until(lambda: known(worker)["phone-1"] == hers_us, "both are known")
        assert known(worker)["tag-1"] == at_us
        times = {"tag-1": ((at_us, at_us + 1),), "phone-1": ((0, 1),)}

        await nc.publish(erased_places.SUBJECT, b"what nobody can read")
        await nc.publish(erased_places.SUBJECT, msgspec.json.encode(times))
        await until(lambda: known(worker)["tag-1"] == UNKNOWN_TIME_US, "it is let go of")
        assert known(worker) == {"tag-1": UNKNOWN_TIME_US, "phone-1": hers_us}
        await another_checkpoint(site, worker)  # this one may have been begun before
        await another_checkpoint(site, worker)
    data = await site.keep.get(CHECKPOINT)
    checkpoint = decode_checkpoint(data) if data else None
    assert checkpoint is not None
    assert held(decode_snapshot(checkpoint.engine), times) == set()
    async with site.working() as again:
        await until(again.caught_up.is_set, "caught up")
        assert known(again) == {"tag-1": UNKNOWN_TIME_US, "phone-1": hers_us}
        later_us = await report(site, "tag-1", 950)
        await until(lambda: known(again)["tag-1"] == later_us, "it reports from elsewhere")
    await nc.close()
