"""Positions that another server posts over HTTP, such as Traccar's forwarding.

What is posted goes the way of everything else: it is published to the broker with QoS 1, and the
answer 200 is given when the broker has it on file. So a sender that repeats what was not answered
with 200 loses nothing. It has a listener of its own, apart from the console: who may post positions
need not reach the console, and the other way round.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Litestar, Request, Response, post
from litestar.datastructures import State

from console.problems import problem_response
from console.server import bind, serve
from console.views import Problem
from cordon.errors import CordonError
from cordon.sections import Forwarding
from ingest import native
from ingest.formats import traccar
from ingest.mqtt import MqttBroker, Publisher, PublishError

IDENTIFIER = "cordon-forwarding-0"
"""Client id at the broker. A connection of its own: a flood of positions delays no alert."""

RETRY_AFTER_S = 5
_SCHEME = "Bearer "

log = structlog.get_logger("forwarding")


@dataclass(slots=True)
class ForwardCounts:
    """Counted since the start of the process.

    Attributes:
        taken: Documents that the broker has confirmed.
        not_taken: Documents that it did not, so that their sender keeps them.
        strangers: Requests without the right token.
    """

    taken: int = 0
    not_taken: int = 0
    strangers: int = 0


class Forwarder:
    """Listens for posted positions and publishes them.

    Args:
        settings: Where to listen, and whom to let in.
        broker: Where to publish, as the service.

    Raises:
        CordonError: There is no token, or it cannot listen there.
    """

    def __init__(self, settings: Forwarding, broker: MqttBroker) -> None:
        if not settings.token_sha256:
            raise CordonError(
                "forwarding.port is set, but no forwarding.token_sha256: anybody could post "
                "positions of any device. `cordon operator traccar` makes a token and its digest."
            )
        self.counts = ForwardCounts()
        self.publisher = Publisher(broker, identifier=IDENTIFIER)
        self._settings = settings
        self._bound: socket.socket | None = self._bind()

    async def run(self) -> None:
        """Serve until cancelled."""
        # Serving closes its socket: after a failure there has to be a new one.
        bound, self._bound = self._bound or self._bind(), None
        state = State({"forwarder": self})
        app = Litestar(
            route_handlers=[take_traccar],
            state=state,
            request_max_body_size=native.MAX_PAYLOAD_BYTES,
            openapi_config=None,
            logging_config=None,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.run(), name="forwarding-publisher")
            group.create_task(serve(app, bound, name="forwarding"), name="forwarding-http")

    def admits(self, authorization: str) -> bool:
        """Whether a request brings the right token."""
        token = authorization.removeprefix(_SCHEME) if authorization.startswith(_SCHEME) else ""
        digest = hashlib.sha256(token.encode()).hexdigest()
        return hmac.compare_digest(digest, self._settings.token_sha256)

    async def take(self, topic: str, body: bytes) -> None:
        """Publish what was posted; returns when the broker has it on file.

        Raises:
            PublishError: It is not known to have it.
        """
        try:
            await self.publisher.publish(topic, body)
        except PublishError:
            self.counts.not_taken += 1
            raise
        self.counts.taken += 1

    def _bind(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            return bind(host, port)
        except OSError as error:
            raise CordonError(
                f"Forwarded positions cannot be listened for on {host}:{port}: {error.strerror}. "
                "Choose another port with forwarding.port, or 0 to have no such listener."
            ) from error


@post("/forward/traccar", status_code=200)
async def take_traccar(request: Request[Any, Any, State]) -> Response[Any]:
    """One position of any device, as Traccar's `forward.type` = ``json`` posts it."""
    forwarder = request.app.state["forwarder"]
    assert isinstance(forwarder, Forwarder)
    if not forwarder.admits(request.headers.get("authorization", "")):
        forwarder.counts.strangers += 1
        return problem_response(401, _WHO)
    body = await request.body()
    try:
        await forwarder.take(traccar.TOPIC, body)
    except PublishError as error:
        log.warning("forwarded_not_taken", reason=str(error))
        return problem_response(503, _NOT_TAKEN, {"Retry-After": str(RETRY_AFTER_S)})
    return Response(b"", status_code=200)


_WHO = Problem(
    error="This request does not bring the right token.",
    what_to_do="Send the header 'Authorization: Bearer TOKEN'; in Traccar it is forward.header.",
)
_NOT_TAKEN = Problem(
    error="The broker has not confirmed the position.",
    what_to_do="Keep it and send it again; in Traccar set forward.retry.enable to true.",
)


def forwarder_of(settings: Forwarding, broker: MqttBroker) -> Forwarder | None:
    """The forwarder that the settings ask for; None where they name no port."""
    return Forwarder(settings, broker) if settings.port else None
