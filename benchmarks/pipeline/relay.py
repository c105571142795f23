"""The bare relay: one MQTT client that sends on whatever devices publish, and does nothing else.

It is what the service's latency is measured against: the least that any program between a device
and a handset can take over the same broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from socket import IPPROTO_TCP, TCP_NODELAY

import aiomqtt

from benchmarks.pipeline.scene import PHONE, TAG

QUIET = 1_000_000


async def relay(host: str, port: int, user: str, password: str) -> None:
    """Send every fix on to the handset of the pair, with QoS 1, until told to end."""
    async with aiomqtt.Client(
        host,
        port,
        username=user,
        password=password,
        identifier="relay",
        max_inflight_messages=1_000,
        socket_options=((IPPROTO_TCP, TCP_NODELAY, 1),),
    ) as client:
        client.pending_calls_threshold = QUIET
        await client.subscribe("cordon/v1/+/fix", qos=1)
        print("ready", flush=True)
        sending: set[asyncio.Task[None]] = set()
        async for message in client.messages:
            device = message.topic.value.split("/")[2]
            number = device.rpartition("-")[2]
            if not device.startswith((TAG, PHONE)):
                continue
            to = f"cordon/v1/{PHONE}-{number}/command"
            task = asyncio.create_task(client.publish(to, message.payload, qos=1))
            sending.add(task)
            task.add_done_callback(sending.discard)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
