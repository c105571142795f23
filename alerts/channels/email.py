"""E-mail over SMTP. The standard library's client, in threads of this channel's own.

It blocks, so each attempt takes a thread; there are few, and they are no other channel's: a dead mail
server fills them and delays nobody else.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

import msgspec

from alerts.contacts import Contacts
from alerts.deliveries import Delivery, Summons
from alerts.errors import NotDeliverable

TIMEOUT_S = 4.0
THREADS = 4


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Attributes:
        sender: Address it comes from.
        starttls: The connection is encrypted before anything is said. False only for a server on
            this machine.
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    starttls: bool = True


class EmailChannel:
    """Sends to the `email` of contacts.

    Args:
        contacts: Have the addresses; looked up at each sending.
        server: Where mail is handed in.
    """

    def __init__(self, contacts: Contacts, server: MailServer) -> None:
        self._contacts = contacts
        self._server = server
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="email")

    async def send(self, delivery: Delivery) -> None:
        """Hand it in; returns when the server has taken it."""
        contact = self._contacts.find(delivery.recipient)
        if contact is None or not contact.email:
            raise NotDeliverable("the contact has no address any more; look at the contacts file")
        message = self._message(delivery, contact.email)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._hand_in, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            if all(code >= 500 for code in codes):
                raise NotDeliverable(f"the mail server refuses the address ({codes[0]})") from error
            raise

    def _message(self, delivery: Delivery, to: str) -> EmailMessage:
        summons = msgspec.json.decode(delivery.payload, type=Summons)
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = to
        message["Subject"] = summons.title
        message["Date"] = format_datetime(datetime.fromisoformat(summons.time))
        # The same however often it is sent, so that a mail server can drop a repetition.
        message["Message-ID"] = f"<{delivery.id}@cordon>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(f"{summons.text}\n\n{summons.alert_id}\n")
        return message

    def _hand_in(self, message: EmailMessage) -> None:
        server = self._server
        with smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S) as client:
            if server.starttls:
                client.starttls(context=ssl.create_default_context())
            if server.user:
                client.login(server.user, server.password)
            client.send_message(message)
