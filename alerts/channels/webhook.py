"""Webhooks: CloudEvents 1.0 over HTTP, signed after Standard Webhooks.

The id of a delivery is ``webhook-id``, however often it is sent, so a receiver knows a repetition. The
signature is HMAC-SHA-256 over ``id.timestamp.body``; the timestamp is that of the attempt, so that a
receiver may refuse what is old.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from alerts.channels.http import post
from alerts.contacts import Contacts
from alerts.deliveries import Delivery, Summons
from alerts.errors import NotDeliverable
from devices.instants import MICROSECONDS, Clock

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SECRET_BYTES_MIN = 24

ASKED_TYPE = "cordon.alert.asked"
MEDIA_TYPE = "application/cloudevents+json"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The CloudEvent that is posted."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Summons
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


def decode_secret(text: str) -> bytes:
    """The key in a secret as Standard Webhooks writes it: ``whsec_`` and base64.

    Raises:
        ValueError: It is not of this form, or shorter than 24 bytes.
    """
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if len(key) < SECRET_BYTES_MIN:
        raise ValueError(f"a webhook secret has at least {SECRET_BYTES_MIN} bytes")
    return key


def signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def post_signed(
    url: str, body: bytes, media_type: str, message_id: str, key: bytes, clock: Clock
) -> None:
    """Post once, signed as of now. Raises as `alerts.channels.http.post`."""
    now_s = clock() // MICROSECONDS
    headers = {
        "content-type": media_type,
        "webhook-id": message_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(key, message_id, now_s, body),
    }
    await post(url, body, headers)


class WebhookChannel:
    """Posts to the `webhook` of contacts.

    Args:
        contacts: Have the addresses; looked up at each sending.
        secret: See `decode_secret`.
        clock: The time.
    """

    def __init__(self, contacts: Contacts, secret: str, clock: Clock) -> None:
        self._contacts = contacts
        self._key = decode_secret(secret)
        self._clock = clock

    async def send(self, delivery: Delivery) -> None:
        """Post it; returns when the receiver has taken it."""
        contact = self._contacts.find(delivery.recipient)
        if contact is None or not contact.webhook:
            raise NotDeliverable("the contact has no webhook any more; look at the contacts file")
        summons = msgspec.json.decode(delivery.payload, type=Summons)
        event = Asked(
            id=delivery.id,
            source="cordon",
            type=ASKED_TYPE,
            subject=delivery.alert_id,
            time=summons.time,
            data=summons,
        )
        body = msgspec.json.encode(event)
        await post_signed(contact.webhook, body, MEDIA_TYPE, delivery.id, self._key, self._clock)
