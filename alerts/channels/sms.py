"""Text messages through a gateway over HTTP: its address, header and body are settings."""

from __future__ import annotations

import json
from string import Template

import msgspec

from alerts.channels.http import post
from alerts.contacts import Contacts
from alerts.deliveries import Delivery, Summons
from alerts.errors import NotDeliverable

TEXT_LIMIT_CHARS = 300


class SmsChannel:
    """Sends to the `sms` number of contacts.

    Args:
        contacts: Have the numbers; looked up at each sending.
        url: Of the gateway.
        authorization: Value of the Authorization header; empty for none.
        body: JSON with ``$to``, ``$text`` and ``$id`` in it; each stands within quotes.

    Raises:
        ValueError: The body has another placeholder, or is no JSON.
    """

    def __init__(self, contacts: Contacts, url: str, authorization: str, body: str) -> None:
        self._contacts = contacts
        self._url = url
        self._headers = {"content-type": "application/json"}
        if authorization:
            self._headers["authorization"] = authorization
        self._body = Template(body)
        try:
            json.loads(self._filled("+1", "text", "id"))
        except KeyError as error:
            raise ValueError(f"the body may name $to, $text and $id, not ${error}") from error

    def _filled(self, to: str, text: str, found: str) -> bytes:
        """The body with its values as JSON has them; what quotes them stands in the template."""
        values = {"to": to, "text": text, "id": found}
        quoted = {name: json.dumps(value)[1:-1] for name, value in values.items()}
        return self._body.substitute(quoted).encode()

    async def send(self, delivery: Delivery) -> None:
        """Hand it to the gateway; returns when that has taken it."""
        contact = self._contacts.find(delivery.recipient)
        if contact is None or not contact.sms:
            raise NotDeliverable("the contact has no number any more; look at the contacts file")
        summons = msgspec.json.decode(delivery.payload, type=Summons)
        text = f"{summons.title}. {summons.text}"[:TEXT_LIMIT_CHARS]
        body = self._filled(contact.sms, text, delivery.id)
        headers = self._headers | {"idempotency-key": delivery.id}
        await post(self._url, body, headers)
