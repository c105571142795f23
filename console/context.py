"""What the handlers work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import State

from console.access import Access
from console.backend import Backend
from console.files import StaticFile
from console.hub import Hub

AppRequest = Request[Any, Any, State]


@dataclass(frozen=True, slots=True)
class Console:
    """What the handlers work with; stands in the application's state as `console`."""

    backend: Backend
    hub: Hub
    access: Access
    metrics: Callable[[], bytes]
    files: Mapping[str, StaticFile]


def console_of(request: AppRequest) -> Console:
    """What stands behind this request's application."""
    console = request.app.state["console"]
    assert isinstance(console, Console)
    return console
