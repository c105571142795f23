"""Thin adapters that send: one module per channel."""

from __future__ import annotations

from typing import Protocol

from alerts.deliveries import Delivery


class MqttPublisher(Protocol):
    """Whatever can publish over MQTT."""

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
