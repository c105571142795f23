"""Thin adapters that send: one module per channel."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from alerts.deliveries import Delivery


class MqttPublisher(Protocol):
    """Whatever can publish over MQTT."""

    def begin(self, topic: str, payload: bytes) -> asyncio.Future[bool] | None:
        """Write at once with QoS 1; see `PromptChannel.begin`."""
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, and return when the broker has confirmed it.

        Raises:
            Exception: Any, when it is not known that the broker has it.
        """
        ...


class Channel(Protocol):
    """One way to reach people."""

    async def send(self, delivery: Delivery) -> None:
        """Send it, and return when the next station has taken charge of it.

        Raises:
            alerts.errors.NotDeliverable: No repetition will help.
            Exception: Any other, when it is worth another try.
        """
        ...


@runtime_checkable
class PromptChannel(Channel, Protocol):
    """A channel that can put a delivery on its way without waiting for anything."""

    def begin(self, delivery: Delivery) -> asyncio.Future[bool] | None:
        """Write it at once.

        Returns:
            What becomes true when the next station has taken charge of it, and false when nobody
            will ever know. None: it cannot be sent at once. In both cases, `send` it.

        Raises:
            alerts.errors.NotDeliverable: No repetition will help.
        """
        ...
