"""What a check is given, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from nats.aio.client import Client as NatsClient

from cordon.connections import Endpoints
from cordon.settings import Settings

State = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """What one check has found.

    Attributes:
        name: Short and stable.
        state: ``fail``: protection is missing or will be; ``warn``: it may come to that.
        meaning: What is so, for whoever runs Cordon.
        advice: What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    meaning: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """A running installation, as far as it can be reached.

    Attributes:
        broker: Connection with the service's rights; None: the broker does not answer.
        system: Connection with system rights; None: there are none.
        unreachable: Why there is no connection.
    """

    settings: Settings
    endpoints: Endpoints
    now_us: int
    broker: NatsClient | None
    system: NatsClient | None
    unreachable: str = ""


Check = Callable[[Patient], Awaitable[Finding | Sequence[Finding]]]
"""To add one: write such a function and put it into `CHECKS` of its module. It may find several
things. It may raise: the doctor then reports that it could not be carried out."""
