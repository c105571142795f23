"""Every failure as something a person can read: what happened and what to do."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from alerts.errors import IllegalStep, NoSuchAlert, VersionConflict
from alerts.model import SYSTEM, Alert
from console.backend import Backend, NotAvailableError
from console.her_backend import ChoiceRefusedError, NoSuchPersonError
from console.hub import HubFullError
from console.views import Problem

log = structlog.get_logger("console")

AnyRequest = Request[Any, Any, Any]


def problem_response(
    status: int, problem: Problem, headers: dict[str, str] | None = None
) -> Response[Problem]:
    """The problem as JSON with an HTTP status."""
    return Response(problem, status_code=status, media_type=MediaType.JSON, headers=headers or {})


def newest_change(conflict: VersionConflict, now: Alert | None) -> str:
    """Who did what to the alert meanwhile, as the end of a sentence."""
    done = "changed" if conflict.kind == "level" else conflict.kind
    who = "" if conflict.actor == SYSTEM else f" by {conflict.actor}"
    level = f"; its level is {now.level}" if now is not None else ""
    return f"it was {done}{who}{level}"


def exception_handlers(backend: Backend) -> ExceptionHandlersMap:
    """What the application does with each kind of exception."""

    def conflict(_request: AnyRequest, error: VersionConflict) -> Response[Problem]:
        now = backend.open_alert(error.alert_id)
        problem = Problem(
            error=f"The alert has changed since you saw it: {newest_change(error, now)}.",
            what_to_do="Look at it as it stands now, then decide again.",
            alert=now,
        )
        return problem_response(409, problem)

    def no_such_alert(_request: AnyRequest, _error: Exception) -> Response[Problem]:
        problem = Problem(
            error="There is no open alert with this id.",
            what_to_do="It may have been resolved: reload the list of alerts.",
        )
        return problem_response(404, problem)

    def illegal_step(_request: AnyRequest, error: Exception) -> Response[Problem]:
        problem = Problem(
            error=f"This step is not possible now: {str(error).rstrip('.')}.",
            what_to_do="Look at the state of the alert, and take the step that comes first.",
        )
        return problem_response(422, problem)

    return {
        NoSuchPersonError: _no_such_person,
        ChoiceRefusedError: _choice_refused,
        VersionConflict: conflict,
        NoSuchAlert: no_such_alert,
        IllegalStep: illegal_step,
        HubFullError: _hub_full,
        NotAvailableError: _not_available,
        ValidationException: _invalid,
        HTTPException: _http,
        Exception: _unexpected,
    }


def _no_such_person(_request: AnyRequest, _error: Exception) -> Response[Problem]:
    problem = Problem(
        error="No protected person of this id has a device now.",
        what_to_do="Look up the id in the caseload: `cordon caseload show`.",
    )
    return problem_response(404, problem)


def _choice_refused(_request: AnyRequest, error: Exception) -> Response[Problem]:
    problem = Problem(
        error=str(error),
        what_to_do="Speak with her about what else would help, and set that.",
    )
    return problem_response(422, problem)


def _hub_full(_request: AnyRequest, error: Exception) -> Response[Problem]:
    problem = Problem(
        error=f"No further page can be served: {error}.",
        what_to_do="Close a page that is not in use.",
    )
    return problem_response(503, problem, {"Retry-After": "5"})


def _not_available(_request: AnyRequest, error: Exception) -> Response[Problem]:
    problem = Problem(
        error=f"This cannot be shown now: {str(error).rstrip('.')}.",
        what_to_do="Alerts go on without it. Try again in a while.",
    )
    return problem_response(503, problem, {"Retry-After": "5"})


def _invalid(_request: AnyRequest, error: Exception) -> Response[Problem]:
    extra = error.extra if isinstance(error, ValidationException) else None
    fields = [
        f"{item.get('key') or 'body'}: {item.get('message')}"
        for item in (extra if isinstance(extra, list) else [])
        if isinstance(item, dict)
    ]
    problem = Problem(
        error="The request is not what this address takes: " + ("; ".join(fields) or "its body"),
        what_to_do="Compare it with the description at /api/v1/openapi.json.",
    )
    return problem_response(422, problem)


def _http(_request: AnyRequest, error: Exception) -> Response[Problem]:
    status = error.status_code if isinstance(error, HTTPException) else 500
    what_to_do = {
        404: "Check the address; /api/v1/openapi.json lists all of them.",
        405: "Check the method; /api/v1/openapi.json lists which address takes which.",
    }.get(status, "Compare the request with the description at /api/v1/openapi.json.")
    detail = error.detail if isinstance(error, HTTPException) else ""
    return problem_response(status, Problem(error=detail or "Refused.", what_to_do=what_to_do))


def _unexpected(request: AnyRequest, error: Exception) -> Response[Problem]:
    # The text of an unknown exception may hold anything, a coordinate too: only its type and
    # the place are logged.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else ""
    log.error("request_failed", method=request.method, error=type(error).__name__, where=where)
    problem = Problem(
        error="The console failed on this request; the fault is in Cordon, not in what you did.",
        what_to_do="Try again. If it stays, look for request_failed in the service's log.",
    )
    return problem_response(500, problem)
