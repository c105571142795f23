"""Web Push to browsers: encrypted for the subscriber (RFC 8291), signed for the push service (RFC 8292).

Needs the package pywebpush, which is optional: a site that reaches its officers by UnifiedPush or ntfy
does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alerts.channels.push import Seal
from alerts.errors import NotDeliverable
from devices.instants import MICROSECONDS, Clock

if TYPE_CHECKING:
    from alerts.contacts import PushAddress

TOKEN_LIFE_S = 12 * 3_600
"""Push services take at most a day."""


def web_push_seal(private_key: str, contact: str, clock: Clock) -> Seal:
    """What `PushChannel` seals with.

    Args:
        private_key: VAPID key of this site, base64url.
        contact: ``mailto:`` address for the operators of push services.
        clock: The time.

    Raises:
        ValueError: The key cannot be used, the contact is missing, or pywebpush is not installed.
    """
    try:
        from py_vapid import Vapid02  # noqa: PLC0415 - optional
        from pywebpush import WebPusher  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ValueError("Web Push needs the extra: pip install 'cordon[push]'") from error
    if not contact.startswith("mailto:"):
        raise ValueError("alerts.push_contact must be a mailto: address")
    try:
        vapid: Any = Vapid02.from_string(private_key)
    except Exception as error:
        raise ValueError("alerts.push_private_key is no VAPID key") from error

    def seal(address: PushAddress, content: bytes) -> tuple[bytes, dict[str, str]]:
        parts = urlsplit(address.endpoint)
        claims = {
            "sub": contact,
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": clock() // MICROSECONDS + TOKEN_LIFE_S,
        }
        keys = {"p256dh": address.p256dh, "auth": address.auth}
        try:
            body = WebPusher({"endpoint": address.endpoint, "keys": keys}).encode(content)["body"]
        except Exception as error:
            raise NotDeliverable("the keys of the contact's push address are not valid") from error
        return bytes(body), {**vapid.sign(claims), "content-encoding": "aes128gcm"}

    return seal
