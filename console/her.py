"""What concerns one protected person's own rights: what she has chosen, and who looked at her.

Staff use these addresses for her, when she asks them to. What they set is told to her handset.
"""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from alerts.choosing import ChoiceChange
from alerts.looks import EVERYBODY, Look
from alerts.reality import Reality
from console.context import AppRequest, console_of
from console.gate import OPERATOR
from console.her_backend import HerChoices, SetChoices

ROLE = "operator"
"""Role of everybody who is signed in, as long as the console knows no other."""

PURPOSE = "cordon-purpose"
"""Header in which a client says what somebody reads for."""

LOOKED_LIMIT = 1_000


def note_look(request: AppRequest, what: str, subject: str = EVERYBODY) -> None:
    """Record that whoever asks reads where people are. A header says what for."""
    her = console_of(request).backend.her
    purpose = request.headers.get(PURPOSE, "")
    her.look(request.state[OPERATOR], what, subject, role=ROLE, purpose=purpose)


@get("/api/v1/protected/{person:str}/choices")
async def choices(request: AppRequest, person: FromPath[str]) -> HerChoices:
    """What a protected person has chosen to be told, and who set it when."""
    return await console_of(request).backend.her.choices(person)


@post("/api/v1/protected/{person:str}/choices", status_code=200)
async def choose(
    request: AppRequest, person: FromPath[str], data: JSONBody[SetChoices]
) -> ChoiceChange:
    """Set what a protected person has asked for: the whole document. Her handset is told."""
    her = console_of(request).backend.her
    return await her.choose(person, data, request.state[OPERATOR])


@get("/api/v1/protected/{person:str}/looked")
async def looked(
    request: AppRequest,
    person: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=LOOKED_LIMIT)] = 100,
) -> list[Look]:
    """Who read where this person is or was, in which role and what for, the newest first."""
    return await console_of(request).backend.her.looked(person, limit)


@get("/api/v1/alerts/{alert_id:str}/was-real")
async def was_real(request: AppRequest, alert_id: FromPath[str]) -> Reality:
    """Was that real? The verdict as it stands, with reasons, of an alert open or closed."""
    note_look(request, "alerts")
    return await console_of(request).backend.her.was_real(alert_id)


HERS = [choices, choose, looked, was_real]
"""The handlers of this module."""
