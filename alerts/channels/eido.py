"""Incidents to dispatch systems: EIDO over HTTP, signed after Standard Webhooks as other webhooks are."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from alerts.channels.webhook import decode_secret, post_signed
from alerts.contacts import Contacts
from alerts.deliveries import Delivery
from alerts.eido import MEDIA_TYPE, eido_of
from alerts.errors import NotDeliverable
from alerts.incidents import Draft
from alerts.pidf import Place
from devices.instants import Clock

PlaceOf = Callable[[str], Place | None]
"""Where a device was when it last knew; None where nothing is known."""


class EidoChannel:
    """Posts to the `webhook` of contacts whose format is `eido`.

    Args:
        contacts: Have the addresses; looked up at each sending.
        secret: See `alerts.channels.webhook.decode_secret`.
        element: Domain name of this service, as dispatch systems know it.
        place_of: Asked at each sending, so that the position is as fresh as it can be.
        clock: The time.
    """

    def __init__(
        self, contacts: Contacts, secret: str, element: str, place_of: PlaceOf, clock: Clock
    ) -> None:
        self._contacts = contacts
        self._key = decode_secret(secret)
        self._element = element
        self._place_of = place_of
        self._clock = clock

    async def send(self, delivery: Delivery) -> None:
        """Post it; returns when the receiver has taken it."""
        contact = self._contacts.find(delivery.recipient)
        if contact is None or contact.format != "eido" or not contact.webhook:
            raise NotDeliverable(
                "the contact is no dispatch system any more; look at the contacts file"
            )
        draft = msgspec.json.decode(delivery.payload, type=Draft)
        place = self._place_of(draft.device) if draft.device else None
        body = msgspec.json.encode(eido_of(draft, place, self._element))
        await post_signed(contact.webhook, body, MEDIA_TYPE, delivery.id, self._key, self._clock)
