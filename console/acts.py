"""What operators do with alerts, over HTTP: one address for each step of `alerts.steps`.

Every body names the version of the alert that the operator saw. 409 when it has changed since, with
the alert as it is now; 422 when its state does not allow the step, with a text that says why.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody

from alerts.model import Alert
from alerts.steps import Acknowledge, Assign, Check, Dispatch, Resolve, Shelve, Step, Tell, Unshelve
from console.context import AppRequest, console_of
from console.gate import OPERATOR

Version = Annotated[int, msgspec.Meta(ge=1)]


class AcknowledgeAct(Acknowledge, frozen=True, kw_only=True):
    """As `Acknowledge`, of an alert as it was seen."""

    version: Version


class AssignAct(Assign, frozen=True, kw_only=True):
    """As `Assign`, of an alert as it was seen."""

    version: Version


class DispatchAct(Dispatch, frozen=True, kw_only=True):
    """As `Dispatch`, of an alert as it was seen."""

    version: Version


class CheckAct(Check, frozen=True, kw_only=True):
    """As `Check`, of an alert as it was seen."""

    version: Version


class ShelveAct(Shelve, frozen=True, kw_only=True):
    """As `Shelve`, of an alert as it was seen."""

    version: Version


class UnshelveAct(Unshelve, frozen=True, kw_only=True):
    """As `Unshelve`, of an alert as it was seen."""

    version: Version


class TellAct(Tell, frozen=True, kw_only=True):
    """As `Tell`, of an alert as it was seen."""

    version: Version


class ResolveAct(Resolve, frozen=True, kw_only=True):
    """As `Resolve`, of an alert as it was seen."""

    version: Version


@post("/api/v1/alerts/{alert_id:str}/acknowledge", status_code=200)
async def acknowledge(
    request: AppRequest, alert_id: FromPath[str], data: JSONBody[AcknowledgeAct]
) -> Alert:
    """Take an alert in hand."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/assign", status_code=200)
async def assign(request: AppRequest, alert_id: FromPath[str], data: JSONBody[AssignAct]) -> Alert:
    """Give an alert to an operator, or with an empty name back to all."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/dispatch", status_code=200)
async def dispatch(
    request: AppRequest, alert_id: FromPath[str], data: JSONBody[DispatchAct]
) -> Alert:
    """Say who was sent. It takes the alert in hand if nobody has."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/check", status_code=200)
async def check(request: AppRequest, alert_id: FromPath[str], data: JSONBody[CheckAct]) -> Alert:
    """Say what a tamper was checked by."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/shelve", status_code=200)
async def shelve(request: AppRequest, alert_id: FromPath[str], data: JSONBody[ShelveAct]) -> Alert:
    """Put an alert out of the way for some minutes, with a reason; never tier 1."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/unshelve", status_code=200)
async def unshelve(
    request: AppRequest, alert_id: FromPath[str], data: JSONBody[UnshelveAct]
) -> Alert:
    """Take an alert off the shelf before its time."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/tell", status_code=200)
async def tell(request: AppRequest, alert_id: FromPath[str], data: JSONBody[TellAct]) -> Alert:
    """Tell the protected person by hand, with the way she should go if there is one."""
    return await _take(request, alert_id, data, data.version)


@post("/api/v1/alerts/{alert_id:str}/resolve", status_code=200)
async def resolve(
    request: AppRequest, alert_id: FromPath[str], data: JSONBody[ResolveAct]
) -> Alert:
    """Close an alert: what it turned out to be, and what was done."""
    return await _take(request, alert_id, data, data.version)


async def _take(request: AppRequest, alert_id: str, step: Step, version: int) -> Alert:
    backend = console_of(request).backend
    return await backend.act(alert_id, step, version, request.state[OPERATOR])


ACTS = [acknowledge, assign, dispatch, check, shelve, unshelve, tell, resolve]
"""The handlers of this module."""
