"""Devices that were away for a day, connect at once and send all they kept.

A process of its own: what it costs to send so much is not to delay the ones beside it, whose panics
are measured meanwhile. It says `ready` when everything is written and waits for a line on standard
input; then it waits until the flood begins, and says `done` when all is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from benchmarks.pipeline import reports, scene
from benchmarks.pipeline.crowd import Crowd, Parcel, as_rows, until
from benchmarks.pipeline.spec import FlushResult, LoadSpec
from cordon.clock import wall_clock_us

DAY_FIXES = 1_440
"""What a device keeps in a day of one fix a minute."""

FLUSH_FIXES = 500


async def flush(spec: LoadSpec) -> None:
    """See the module."""
    crowd = Crowd(spec.host, spec.port, lambda _index, _payload: None)
    parcels = _kept(crowd, spec)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.sleep(spec.steady_s)
    pinging = asyncio.create_task(crowd.keep_alive())
    await crowd.connect(crowd.members, listening=lambda _name: False)
    await until(lambda: not crowd.unacknowledged, spec.flood_s + spec.acknowledge_limit_s)
    pinging.cancel()
    result = FlushResult([member.name for member in crowd.members], as_rows(parcels))
    await crowd.close()
    await asyncio.to_thread(Path(spec.flushed).write_bytes, msgspec.msgpack.encode(result))
    print("done", flush=True)


def _kept(crowd: Crowd, spec: LoadSpec) -> list[Parcel]:
    """What each device will send, written beforehand, as that takes long."""
    parcels = []
    end_us = wall_clock_us()
    for number in range(spec.flushing):
        member = crowd.add(f"drawer-{number}")
        place = scene.home(number % spec.pairs)
        for first in range(0, DAY_FIXES, FLUSH_FIXES):
            count = min(FLUSH_FIXES, DAY_FIXES - first)
            from_us = end_us - (DAY_FIXES - first) * 60 * reports.SECOND_US
            times_us = range(from_us, from_us + count * 60_000_000, 60_000_000)
            payload = reports.fixes(member.seq, times_us, place, buffered=True)
            parcel = Parcel(member.topic("fix"), payload, member.index, member.seq, count)
            member.seq += count
            parcels.append(parcel)
            member.send(parcel)
    return parcels


def main(orders: str) -> None:
    """Run what a file of orders asks for."""
    asyncio.run(flush(msgspec.json.decode(Path(orders).read_bytes(), type=LoadSpec)))


if __name__ == "__main__":
    main(sys.argv[1])
