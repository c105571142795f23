"""Web Push as a browser's push service and the browser see it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from alerts.channels.push import PushChannel
from alerts.channels.web_push import web_push_seal
from tests.alerts.builders import START_US
from tests.alerts.receivers import http_receiver
from tests.alerts.test_contact_channels import Bench, until

pytest.importorskip("pywebpush", reason="Web Push is an extra: pip install 'cordon[push]'")

KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode().rstrip("=")


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def subscriber() -> tuple[Any, str, bytes]:
    """A browser's private key, its public key as text, and its secret."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - only with the extra
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    private = ec.derive_private_key(4711, ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return private, text(public), b"s" * 16


async def test_the_browser_reads_an_id_and_the_push_service_knows_the_sender() -> None:
    import http_ece  # noqa: PLC0415 - only with the extra
    from py_vapid import Vapid02  # noqa: PLC0415 - only with the extra

    private, public, secret = subscriber()
    async with http_receiver() as receiver:
        bench = Bench(receiver.origin, p256dh=public, auth=text(secret))
        seal = web_push_seal(KEY, "mailto:ops@centre.example", lambda: START_US)
        bench.channels["push"] = PushChannel(bench.contacts, seal)
        async with bench.running():
            [delivery] = bench.ask("push")
            await until(lambda: bench.states("push"))
        [request] = receiver.requests
        read = http_ece.decrypt(request.body, private_key=private, auth_secret=secret)
        assert json.loads(read) == {"id": delivery.id}
        assert request.headers["content-encoding"] == "aes128gcm"
        assert Vapid02.verify(request.headers["authorization"])
        token = request.headers["authorization"].partition("t=")[2].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(token + "=="))
        assert claims["aud"] == receiver.origin


async def test_keys_that_are_none_are_a_dead_letter() -> None:
    bench = Bench(p256dh="BAAA", auth="AAAA")
    seal = web_push_seal(KEY, "mailto:ops@centre.example", lambda: START_US)
    bench.channels["push"] = PushChannel(bench.contacts, seal)
    async with bench.running():
        bench.ask("push")
        await until(lambda: bench.states("push"))
    [letter] = bench.outbox.dead_letters
    assert "keys" in letter.reason


@pytest.mark.parametrize(
    ("key", "contact", "problem"),
    [("nonsense", "mailto:a@b.example", "VAPID"), (KEY, "a@b.example", "mailto")],
)
def test_settings_that_cannot_be_used_are_refused(key: str, contact: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        web_push_seal(key, contact, lambda: START_US)
