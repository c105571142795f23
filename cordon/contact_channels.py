"""The channels to contacts that the settings set up."""

from __future__ import annotations

from alerts.channels import Channel
from alerts.channels.eido import EidoChannel, PlaceOf
from alerts.channels.email import EmailChannel, MailServer
from alerts.channels.push import PushChannel
from alerts.channels.sms import SmsChannel
from alerts.channels.web_push import web_push_seal
from alerts.channels.webhook import WebhookChannel
from alerts.contacts import ContactLane, Contacts
from alerts.deliveries import ChannelName
from cordon.errors import CordonError
from cordon.sections import Alerts
from devices.instants import Clock


def set_up(settings: Alerts) -> tuple[ContactLane, ...]:
    """Names of the channels that there are. Push needs nothing but a contact's address."""
    found: list[ContactLane] = ["push"]
    if settings.sms_url:
        found.append("sms")
    if settings.email_host:
        found.append("email")
    if settings.webhook_secret:
        found.append("webhook")
    if settings.webhook_secret and settings.eido_element:
        found.append("eido")
    return tuple(found)


def contact_channels(
    settings: Alerts, contacts: Contacts, place_of: PlaceOf, clock: Clock
) -> dict[ChannelName, Channel]:
    """The channels of `set_up`.

    Raises:
        CordonError: A setting cannot be used.
    """
    made: dict[ChannelName, Channel] = {}
    try:
        for name in set_up(settings):
            made[name] = _made(name, settings, contacts, place_of, clock)
    except ValueError as error:
        raise CordonError(f"A setting of alerts cannot be used: {error}.") from error
    return made


def _made(
    name: ContactLane, settings: Alerts, contacts: Contacts, place_of: PlaceOf, clock: Clock
) -> Channel:
    if name == "eido":
        secret, element = settings.webhook_secret, settings.eido_element
        return EidoChannel(contacts, secret, element, place_of, clock)
    if name == "sms":
        return SmsChannel(contacts, settings.sms_url, settings.sms_authorization, settings.sms_body)
    if name == "webhook":
        return WebhookChannel(contacts, settings.webhook_secret, clock)
    if name == "email":
        if not settings.email_sender:
            raise ValueError("alerts.email_sender is missing")
        server = MailServer(
            host=settings.email_host,
            port=settings.email_port,
            sender=settings.email_sender,
            user=settings.email_user,
            password=settings.email_password,
            starttls=settings.email_starttls,
        )
        return EmailChannel(contacts, server)
    key = settings.push_private_key
    return PushChannel(contacts, web_push_seal(key, settings.push_contact, clock) if key else None)
