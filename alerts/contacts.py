"""Contacts: who can be reached beside the consoles, in which order and how. A site's own file.

    [[contact]]
    name = "Duty supervisor"
    role = "supervisor"
    sms = "+34600000001"
    email = "duty@centre.example"

Addresses stay in this file: what is recorded of an ask is the contact's name and the channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from alerts.errors import ContactsError
from alerts.escalation_rules import AskedRole, ContactChannel

CONTACTS_LIMIT = 10_000

ContactLane = ContactChannel | Literal["eido"]
"""What a site can set up: a contact's channel, and the lane of incidents to its webhook."""

Address = Annotated[str, msgspec.Meta(max_length=500)]


class PushAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A push subscription: of a browser, or of a UnifiedPush app, which has the same form.

    Attributes:
        endpoint: Where the push service takes messages.
        p256dh, auth: The subscriber's public key and secret, base64url. Empty: the server takes
            plain messages (ntfy).
    """

    endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$", max_length=1000)]
    p256dh: Address = ""
    auth: Address = ""


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who can be asked.

    Attributes:
        name: Unique; stands in what is recorded.
        agency: Asked for alerts of this agency only; empty: of every agency.
        person: For role `protected`: her id in the caseload.
        language: Of what is sent.
        format: Of what is posted to `webhook`: a CloudEvent, or an incident for a dispatch system
            (`alerts.eido`).
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    role: AskedRole
    agency: Address = ""
    person: Address = ""
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    push: PushAddress | None = None
    sms: Annotated[str, msgspec.Meta(pattern=r"^(\+[0-9]{6,15})?$")] = ""
    email: Annotated[str, msgspec.Meta(pattern=r"^([^@\s]+@[^@\s]+)?$", max_length=320)] = ""
    webhook: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+)?$", max_length=1000)] = ""
    format: Literal["cloudevents", "eido"] = "cloudevents"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contact: tuple[Contact, ...] = ()


class Contacts:
    """All contacts of a site.

    Args:
        contacts: In the order in which they are asked.
        channels: Those that this site has set up.
    """

    def __init__(
        self,
        contacts: Iterable[Contact] = (),
        channels: Iterable[ContactLane] = (),
    ) -> None:
        self._channels = frozenset(channels)
        self._contacts = tuple(contacts)
        self._by_name = {contact.name: contact for contact in self._contacts}

    def find(self, name: str) -> Contact | None:
        """The contact of this name."""
        return self._by_name.get(name)

    def of_role(
        self, role: AskedRole, rank: int, *, agency: str, person: str | None
    ) -> Contact | None:
        """The first, second, ... contact of a role, for an agency or a protected person."""
        wanted = [c for c in self._contacts if c.role == role and c.agency in {"", agency}]
        if role == "protected":
            wanted = [c for c in wanted if person is not None and c.person == person]
        return wanted[rank - 1] if rank <= len(wanted) else None

    def everybody(self, role: AskedRole) -> list[Contact]:
        """All contacts of a role, of whatever agency, for what concerns every agency."""
        return [contact for contact in self._contacts if contact.role == role]

    def channels(self, contact: Contact, via: Iterable[str]) -> list[ContactChannel]:
        """Of these channels those by which a contact can be reached here, in the same order."""
        names: tuple[ContactChannel, ...] = ("push", "sms", "email", "webhook")
        has = {name for name in names if self._is_set_up(name, contact) and getattr(contact, name)}
        return [name for wanted in via for name in names if name == wanted and name in has]

    def _is_set_up(self, name: ContactChannel, contact: Contact) -> bool:
        posts_incidents = name == "webhook" and contact.format == "eido"
        return ("eido" if posts_incidents else name) in self._channels

    def replace(self, others: Contacts) -> None:
        """Become another file's contacts; the channels stay."""
        self._contacts, self._by_name = others._contacts, others._by_name


def parse_contacts(data: bytes, file: str) -> tuple[Contact, ...]:
    """The contacts in the bytes of a TOML file.

    Raises:
        ContactsError: It is not TOML, does not have the shape, or contradicts itself.
    """
    try:
        contacts = msgspec.toml.decode(data, type=_File).contact
    except (msgspec.MsgspecError, ValueError) as error:
        raise ContactsError(f"the contacts file {file} cannot be used: {error}") from error
    if len(contacts) > CONTACTS_LIMIT:
        raise ContactsError(f"the contacts file {file} has more than {CONTACTS_LIMIT} contacts")
    seen: set[str] = set()
    for contact in contacts:
        if contact.name in seen:
            raise ContactsError(f"the contacts file {file} names {contact.name!r} twice")
        seen.add(contact.name)
        if contact.format == "eido" and (contact.role == "protected" or not contact.webhook):
            raise ContactsError(
                f"the contact {contact.name!r} in {file}: format `eido` needs a `webhook`, and is"
                " for dispatch systems, never for role protected"
            )
        if (contact.role == "protected") != bool(contact.person):
            raise ContactsError(
                f"the contact {contact.name!r} in {file}: `person` is for role protected, and"
                " needed there"
            )
    return contacts
