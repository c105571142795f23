"""Push to officers' devices: UnifiedPush and ntfy take a plain POST, browsers an encrypted one.

Only the id of the delivery and its urgency travel: push services belong to third parties. The app asks
the console for the rest, and its receipt tells that it has it.
"""

from __future__ import annotations

import json
from typing import Protocol

from alerts.channels.http import post
from alerts.contacts import Contacts, PushAddress
from alerts.deliveries import ASK_EXPIRY_S, Delivery
from alerts.errors import NotDeliverable

TOPIC_CHARS = 32


class Seal(Protocol):
    """Encrypts for a subscriber and signs for the push service (RFC 8291, RFC 8292)."""

    def __call__(self, address: PushAddress, content: bytes) -> tuple[bytes, dict[str, str]]:
        """The body and the headers that go with it."""
        ...


class PushChannel:
    """Sends to the `push` subscription of contacts.

    Args:
        contacts: Have the subscriptions; looked up at each sending.
        seal: For subscriptions with keys; None: this site cannot send to those.
    """

    def __init__(self, contacts: Contacts, seal: Seal | None = None) -> None:
        self._contacts = contacts
        self._seal = seal

    async def send(self, delivery: Delivery) -> None:
        """Post it; returns when the push service has taken it."""
        contact = self._contacts.find(delivery.recipient)
        address = None if contact is None else contact.push
        if address is None:
            raise NotDeliverable("the contact has no push address; look at the contacts file")
        content = json.dumps({"id": delivery.id}).encode()
        headers = {
            "ttl": str(ASK_EXPIRY_S),
            "urgency": "high",
            "topic": delivery.id.replace("-", "")[:TOPIC_CHARS],
        }
        if address.p256dh:
            content, sealed = self._sealed(address, content)
            headers |= sealed
        await post(address.endpoint, content, headers)

    def _sealed(self, address: PushAddress, content: bytes) -> tuple[bytes, dict[str, str]]:
        if self._seal is None:
            raise NotDeliverable("Web Push is not set up here: set alerts.push_private_key")
        return self._seal(address, content)
