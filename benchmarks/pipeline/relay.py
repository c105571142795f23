"""The bare relay: one MQTT client that sends on whatever devices publish, and does nothing else.

It is what the service's latency is measured against: the least that any program between a device
and a handset can take over the same broker. So it is as lean as the generator's own devices.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.pipeline.link import Link, connect_packet, topic_bytes
from benchmarks.pipeline.scene import PHONE


async def relay(host: str, port: int, user: str, password: str) -> None:
    """Send every fix on to the handset of its pair, with QoS 1, until the connection ends."""
    topics: dict[str, bytes] = {}
    lost = asyncio.Event()

    def send_on(topic: str, payload: bytes) -> None:
        to = topics.get(topic)
        if to is None:
            number = topic.split("/")[2].rpartition("-")[2]
            to = topics[topic] = topic_bytes(f"cordon/v1/{PHONE}-{number}/command")
        link.publish(to, payload)

    _transport, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(
            connect_packet("relay", user, password),
            ("cordon/v1/+/fix", 1),
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
    asyncio.run(relay(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
