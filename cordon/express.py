"""The express lane: a panic goes from the broker's subject straight to the alert desk.

nats-server gives every MQTT publish to plain subscribers of its subject as well, in the moment it
comes in. So what cannot wait waits for no session, no window, no journal and no disk. The message
takes the ordinary way all the same, which keeps it; the desk knows an event that it has seen, so
the second coming changes nothing. Where another broker stands in front there are no such copies,
and the ordinary way is the only one.

Only what the desk alone decides on goes this way: urgent events, which latch, so that nothing about
them depends on what comes before or after. One whose time is doubted (or whose signature does not
hold) is named by its arrival, which the gateway notes: it waits for that. A beacon changes the engine's state, which has to
be a function of the journal to the bit; it comes by the session that carries events.
"""

from __future__ import annotations

from dataclasses import dataclass

from nats.aio.msg import Msg

from cordon.partition import Partition
from devices.instants import Clock
from devices.reports import URGENT, Message
from ingest.allowance import Allowances, Verdict
from ingest.decoder import Decoder

SUBJECT = "cordon.v1.*.event"
_NAME = "express"


@dataclass(slots=True)
class ExpressCounts:
    """What the lane has done since it was made.

    Attributes:
        taken: Urgent events given to the desk.
        passed_over: Messages left to the ordinary way: of another type, not readable, or of a
            device that sends more than it may.
    """

    taken: int = 0
    passed_over: int = 0


class Express:
    """Takes urgent events to the desk at once.

    Args:
        partition: Whose desk.
        clock: The time.
        decoder: Reads the messages.
    """

    def __init__(self, partition: Partition, clock: Clock, decoder: Decoder) -> None:
        self.counts = ExpressCounts()
        self._partition = partition
        self._clock = clock
        self._decoder = decoder
        self._allowances = Allowances()

    def take(self, message: Msg) -> None:
        """Take in a copy of a message from the broker's subject."""
        now_us = self._clock()
        topic = message.subject.replace(".", "/")
        device = message.subject.split(".", 3)[2]
        payload = bytes(message.data)
        if self._allowances.judge(device, len(payload), now_us) is not Verdict.AT_ONCE:
            self.counts.passed_over += 1
            return
        batch = self._decoder.decode(
            [Message(now_us, topic, payload)], gateway=_NAME, number=0, received_us=now_us
        )
        urgent = [one for one in batch.events if one.type in URGENT and not one.time_doubted]
        for event in urgent:
            self._partition.take_urgent(event, now_us)
        self.counts.taken += len(urgent)
        self.counts.passed_over += not urgent
