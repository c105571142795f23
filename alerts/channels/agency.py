"""Alert changes to an agency: CloudEvents on its own topic."""

from __future__ import annotations

import asyncio
import re

from alerts.channels import MqttPublisher
from alerts.deliveries import Delivery
from alerts.errors import NotDeliverable

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def agency_topic(agency: str) -> str:
    """The topic an agency reads.

    Raises:
        NotDeliverable: The id could reach into another topic.
    """
    if _ID.fullmatch(agency) is None:
        raise NotDeliverable("the agency's id cannot stand in a topic; correct the caseload")
    return f"cordon/v1/agency/{agency}/alert"


class AgencyChannel:
    """Sends to agencies.

    Args:
        publisher: An MQTT connection of the service.
    """

    def __init__(self, publisher: MqttPublisher) -> None:
        self._publisher = publisher

    def begin(self, delivery: Delivery) -> asyncio.Future[bool] | None:
        """Write the change at once; see `alerts.channels.PromptChannel`."""
        return self._publisher.begin(agency_topic(delivery.recipient), delivery.payload)

    async def send(self, delivery: Delivery) -> None:
        """Publish the change on the agency's topic."""
        await self._publisher.publish(agency_topic(delivery.recipient), delivery.payload)
