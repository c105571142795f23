"""Notices to the handset of a protected person, as a command on its own topic."""

from __future__ import annotations

import asyncio

from alerts.channels import MqttPublisher
from alerts.deliveries import BearerOf, Delivery, handset_address
from alerts.errors import NotDeliverable
from devices.commands import command_topic


class HandsetChannel:
    """Sends to handsets.

    Args:
        publisher: An MQTT connection of the service.
        bearer_of: The assignment of a device now. It is asked again before every sending: a
            device may have changed hands while a notice waited.
    """

    def __init__(self, publisher: MqttPublisher, bearer_of: BearerOf) -> None:
        self._publisher = publisher
        self._bearer_of = bearer_of

    def begin(self, delivery: Delivery) -> asyncio.Future[bool] | None:
        """Write the command at once; see `alerts.channels.PromptChannel`."""
        return self._publisher.begin(self._topic(delivery), delivery.payload)

    async def send(self, delivery: Delivery) -> None:
        """Publish the command on the handset's topic.

        Raises:
            NotDeliverable: The device is not in a protected person's hands any more.
        """
        await self._publisher.publish(self._topic(delivery), delivery.payload)

    def _topic(self, delivery: Delivery) -> str:
        address = handset_address(delivery.recipient, self._bearer_of)
        if address is None:
            raise NotDeliverable("the device is not a handset that a protected person carries")
        return command_topic(address)
