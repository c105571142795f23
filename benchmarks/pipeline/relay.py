"""The bare relays: one MQTT client that sends on whatever devices publish, and does nothing else.

They are what the service's latency is measured against: what a program between a device and a
handset takes over the same broker that decides nothing. One is written with aiomqtt, the client that
the service is built on, as anybody would write it. The other, `lean`, writes its packets by hand, as
the generator's own devices do: no Python program can take much less.
"""

from __future__ import annotations

import asyncio
import sys

import aiomqtt

from benchmarks.pipeline.link import Link, connect_packet, topic_bytes
from benchmarks.pipeline.scene import PHONE
from ingest.mqtt import NO_DELAY

FIXES = "cordon/v1/+/fix"
ON_THE_WAY = 1_000
"""Messages that aiomqtt may have sent on and not seen confirmed."""


def _handset_of(topic: str) -> str:
    number = topic.split("/")[2].rpartition("-")[2]
    return f"cordon/v1/{PHONE}-{number}/command"


async def relay(host: str, port: int, user: str, password: str) -> None:
    """Send every fix on to the handset of its pair, with QoS 1, until the connection ends."""
    client = aiomqtt.Client(
        host,
        port,
        identifier="relay",
        username=user,
        password=password,
        socket_options=NO_DELAY,
        max_inflight_messages=ON_THE_WAY,
        max_concurrent_outgoing_calls=ON_THE_WAY,
    )
    client.pending_calls_threshold = ON_THE_WAY
    async with client, asyncio.TaskGroup() as group:
        await client.subscribe(FIXES, qos=1)
        print("ready", flush=True)
        async for message in client.messages:
            to = _handset_of(str(message.topic))
            group.create_task(client.publish(to, message.payload, qos=1))


async def lean(host: str, port: int, user: str, password: str) -> None:
    """The same, by hand."""
    topics: dict[str, bytes] = {}
    lost = asyncio.Event()

    def send_on(topic: str, payload: bytes) -> None:
        to = topics.get(topic)
        if to is None:
            to = topics[topic] = topic_bytes(_handset_of(topic))
        link.publish(to, payload)

    _transport, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(
            connect_packet("relay", user, password),
            (FIXES, 1),
            send_on,
            lambda _packet_id: None,
            lost.set,
        ),
        host,
        port,
    )
    await link.ready
    print("ready", flush=True)
    await lost.wait()


if __name__ == "__main__":
    kind = lean if sys.argv[1] == "lean" else relay
    asyncio.run(kind(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]))
