"""Asks people at once and over every channel they have, none of which needs the broker.

For what is wrong with the service itself: the way that has failed is not used to say so.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from alerts.channels import Channel
from alerts.contacts import Contact, Contacts
from alerts.deliveries import ASK_EXPIRY_S, ChannelName, Delivery, Summons
from alerts.escalation_rules import AskedRole, ContactChannel
from devices.instants import MICROSECONDS, to_iso

log = structlog.get_logger("asking")

SEND_LIMIT_S = 5.0
ASKED_LIMIT = 5
"""So many contacts of a role are asked."""


class DirectAsking:
    """Sends without desk, outbox or record; what fails is logged and not tried again.

    Args:
        contacts: Who is asked.
        channels: That need no broker.
    """

    def __init__(self, contacts: Contacts, channels: Mapping[ChannelName, Channel]) -> None:
        self.asked = 0
        self._contacts = contacts
        self._channels = channels

    async def ask(
        self, roles: Sequence[AskedRole], kind: str, title: str, text: str, now_us: int
    ) -> None:
        """Ask everybody of the first role that has anybody who can be asked, of whatever agency."""
        summons = Summons(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:cordon:{kind}:{title}:{now_us}")),
            alert_id="",
            tier=1,
            kind=kind,
            title=title,
            text=text,
            time=to_iso(now_us),
        )
        sends = [
            self._send(name, _delivery(summons, name, contact.name, now_us))
            for contact in self._people(roles)
            for name in self._ways(contact)
        ]
        if not sends:
            log.warning("nobody_to_ask", kind=kind, title=title)
        await asyncio.gather(*sends)

    def _people(self, roles: Sequence[AskedRole]) -> list[Contact]:
        for role in roles:
            if people := [one for one in self._contacts.everybody(role) if self._ways(one)]:
                return people[:ASKED_LIMIT]
        return []

    def _ways(self, contact: Contact) -> list[ContactChannel]:
        """By which a contact can be asked here: a dispatch system takes incidents, and no words."""
        ways = self._contacts.channels(contact, self._channels)
        return [way for way in ways if way != "webhook" or contact.format != "eido"]

    async def _send(self, name: ChannelName, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await self._channels[name].send(delivery)
        except Exception as error:  # noqa: BLE001 - the other channels are asked all the same
            log.error("not_asked", channel=name, reason=type(error).__name__)  # noqa: TRY400
        else:
            self.asked += 1


def _delivery(summons: Summons, name: ChannelName, recipient: str, now_us: int) -> Delivery:
    return Delivery(
        id=summons.id,
        channel=name,
        recipient=recipient,
        alert_id=summons.alert_id,
        change_id=summons.id,
        tier=summons.tier,
        expires_us=now_us + ASK_EXPIRY_S * MICROSECONDS,
        payload=msgspec.json.encode(summons),
    )
