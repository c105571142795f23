"""Courses of conduct, over HTTP: a list of findings, apart from the alerts."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter

from alerts.conduct import Pattern
from console.context import AppRequest, console_of
from console.her import note_look

PATTERNS_SHOWN = 500
"""Most courses of conduct one request may ask for."""


@get("/api/v1/conduct")
async def patterns(
    request: AppRequest, limit: Annotated[int, QueryParameter(ge=1, le=PATTERNS_SHOWN)] = 100
) -> list[Pattern]:
    """Courses of conduct, those that go on first, each without its acts. None of them is an alert."""
    note_look(request, "conduct")
    return await console_of(request).backend.patterns(limit)


@get("/api/v1/conduct/{pattern_id:str}")
async def pattern(request: AppRequest, pattern_id: FromPath[str]) -> Pattern:
    """A course of conduct, with each act and the alerts, decisions, events and fixes it rests on."""
    found = await console_of(request).backend.pattern(pattern_id)
    if found is None:
        raise NotFoundException("No course of conduct of this id is known.")
    for person in filter(None, (found.subject.wearer, found.subject.protected)):
        note_look(request, "conduct", person)
    return found
