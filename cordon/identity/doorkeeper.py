"""Everything that lets devices in and puts them out, as parts to be kept running."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from cordon.broker_refusals import BrokerRefusals
from cordon.connections import Endpoints
from cordon.identity.authorizer import Authorizer
from cordon.identity.registry_feed import RegistryCopy
from cordon.identity.sessions import Sessions
from cordon.identity.tokens import Issuer
from devices.instants import Clock

AUTHORIZERS = 2
"""In one process, each on a connection of its own: one that is being made anew is not missed."""


class Doorkeeper:
    """The authorizers of one process and the watch on open sessions.

    Args:
        endpoints: With the rights to authorize.
        copy: The registry in force; somebody else keeps it running.
        refusals: Where those who are turned away are kept.
        clock: The time.
        nameless: Device that a connection without a name may speak for, in a demonstration.

    Attributes:
        copy: As given.
        authorizers, sessions: The parts; `sessions` is None without system rights.

    Raises:
        cordon.identity.tokens.TokenError: The seed of the endpoints is none.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        copy: RegistryCopy,
        refusals: BrokerRefusals,
        clock: Clock,
        *,
        nameless: str = "",
    ) -> None:
        issuer = Issuer.from_seed(endpoints.issuer_seed)
        url, system_url = endpoints.authorization_url, endpoints.system_url
        self.copy = copy
        self.authorizers = [
            Authorizer(url, issuer, self.copy, refusals, clock, nameless=nameless)
            for _ in range(AUTHORIZERS)
        ]
        self.sessions = (
            Sessions(system_url, self.copy, clock, nameless=nameless) if system_url else None
        )

    @property
    def closed(self) -> str:
        """Why no device can come in now; empty: it can."""
        if not any(authorizer.ready.is_set() for authorizer in self.authorizers):
            return "nobody answers the broker when a device knocks"
        return (
            "" if self.copy.registry is not None else "no registry of credentials has been read yet"
        )

    async def wait_ready(self) -> None:
        """Wait until the broker is answered."""
        for authorizer in self.authorizers:
            await authorizer.ready.wait()

    def runs(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What is to be kept running, by name."""
        runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        for number, authorizer in enumerate(self.authorizers):
            runs[f"authorizer-{number}"] = authorizer.run
        if self.sessions is not None:
            runs["sessions"] = self.sessions.run
        return runs
