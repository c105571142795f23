"""The HTTP application: pages, API and live stream over a `Backend` and a `Hub`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import structlog
from litestar import Litestar, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Stream

from alerts.deliveries import DeliveryRecord
from alerts.load import LoadFigures
from alerts.looks import EVERYBODY
from alerts.model import Alert
from alerts.protection import Protection
from console import conduct
from console.access import Access, EntryRefusedError, TooManyFailuresError
from console.acts import ACTS
from console.backend import Backend
from console.context import AppRequest, Console, console_of
from console.files import MAP_LIBRARY, STATIC, read_static
from console.gate import (
    ANY_HOST,
    NO_SESSION,
    OPERATOR,
    Gate,
    add_headers,
    session_id_of,
)
from console.her import HERS, PURPOSE, ROLE, note_look
from console.hub import Hub
from console.notices import SIGN_IN_TEXT, notice_page
from console.problems import exception_handlers
from console.views import (
    ALERTS_SHOWN,
    Health,
    Picture,
    RefusalView,
    ServiceView,
    SessionView,
    UnassignedView,
)

log = structlog.get_logger("console")

REFUSALS_SHOWN = 500
"""Most rows of refusals one request may ask for."""

BODY_BYTES = 16 * 1024
"""Largest body of a request; an act on an alert needs far less."""

GEOJSON = "application/geo+json"
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    backend: Backend,
    hub: Hub,
    access: Access,
    metrics: Callable[[], bytes],
    *,
    version: str = "0.1.0",
) -> Litestar:
    """The console's application.

    Args:
        backend: The service behind it.
        hub: Where live news is published.
        access: Operators and sessions.
        metrics: Gives the metrics in Prometheus' text form; must hold no personal data.
        version: Stands in the API description.
    """
    files = read_static()
    if MAP_LIBRARY not in files:
        log.warning("map_library_missing", folder=str(STATIC / "vendor"))
    return Litestar(
        route_handlers=[
            index,
            her_page,
            static,
            enter,
            leave,
            picture,
            alerts,
            *ACTS,
            conduct.patterns,
            conduct.pattern,
            *HERS,
            confirm,
            dead_letters,
            load,
            status,
            protection,
            refusals,
            unassigned,
            basemap,
            session,
            stream,
            healthz,
            readyz,
            metrics_text,
        ],
        middleware=[Gate(access)],
        before_send=[add_headers],
        exception_handlers=exception_handlers(backend),
        request_max_body_size=BODY_BYTES,
        state=State({"console": Console(backend, hub, access, metrics, files)}),
        openapi_config=OpenAPIConfig(
            title="Cordon console",
            version=version,
            path="/api/v1/openapi.json",
            # The other renderers load scripts and fonts from third parties.
            render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
            use_handler_docstrings=True,
        ),
        logging_config=None,
        debug=False,
    )


def _file(request: AppRequest, name: FromPath[str]) -> Response[bytes]:
    found = console_of(request).files.get(name)
    if found is None:
        raise NotFoundException("There is no such file.")
    headers = {"Cache-Control": "no-cache", "ETag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)


@get("/", include_in_schema=False)
async def index(request: AppRequest) -> Response[bytes]:
    """The console's page."""
    return _file(request, "index.html")


@get("/her", include_in_schema=False)
async def her_page(request: AppRequest) -> Response[bytes]:
    """What one person has chosen, and who looked at her."""
    return _file(request, "her.html")


@get("/static/{name:path}", opt={NO_SESSION: True}, include_in_schema=False)
async def static(request: AppRequest, name: FromPath[str]) -> Response[bytes]:
    """The page's own files. They hold no data, and the page that asks to sign in needs them."""
    return _file(request, name.removeprefix("/"))


@get("/enter", opt={NO_SESSION: True}, include_in_schema=False, status_code=200)
async def enter(request: AppRequest, token: FromQuery[str] = "") -> Response[Any]:
    """Begin a session, and leave the address that holds the token."""
    access = console_of(request).access
    address = request.client.host if request.client is not None else ""
    try:
        session_id = access.enter(token, address)
    except EntryRefusedError:
        log.warning("entry_refused")
        return notice_page(401, "This sign-in address is not valid", SIGN_IN_TEXT)
    except TooManyFailuresError as error:
        wait = f"Too many wrong tokens came from your address. Wait {error.wait_s} seconds."
        headers = {"Retry-After": str(error.wait_s)}
        return notice_page(429, "Please wait", (wait,), headers)
    cookie = Cookie(
        key=access.cookie_name(request.headers.get("host", "")),
        value=session_id,
        max_age=access.session_s,
        path="/",
        httponly=True,
        secure=access.secure,
        samesite="strict",
    )
    return Redirect("/", status_code=303, cookies=[cookie])


@post("/leave", status_code=204, include_in_schema=False)
async def leave(request: AppRequest) -> None:
    """End the session; its streams end with it."""
    access = console_of(request).access
    access.leave(session_id_of(request, access))


@get("/api/v1/picture", sync_to_thread=False)
def picture(request: AppRequest) -> Picture:
    """Everything as it is now: devices, watches, zones, alerts that are not resolved, service."""
    note_look(request, "map")
    return console_of(request).backend.picture()


@get("/api/v1/alerts", sync_to_thread=False)
def alerts(
    request: AppRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=ALERTS_SHOWN)] = ALERTS_SHOWN,
    offset: Annotated[int, QueryParameter(ge=0)] = 0,
) -> list[Alert]:
    """The alerts that are not resolved, page by page, in the order in which to look at them.

    What nobody has in hand first, the worst tier first within that, then the oldest. The order
    moves while alerts change: whoever reads page after page may meet one twice or miss one.
    """
    note_look(request, "alerts")
    return console_of(request).backend.open_alerts(limit, offset)


@post("/api/v1/deliveries/{delivery_id:str}/receipt", status_code=204)
async def confirm(request: AppRequest, delivery_id: FromPath[str]) -> None:
    """Say that you have what you were sent: the next channel is then not tried."""
    if not await console_of(request).backend.confirm(delivery_id, request.state[OPERATOR]):
        raise NotFoundException("No delivery of this id is known.")


@get("/api/v1/protection", sync_to_thread=False)
def protection(request: AppRequest) -> list[Protection]:
    """How well each protected person is protected now, why not better, and what she can do.

    Beyond `valid_until` an answer says nothing: ask again.
    """
    return console_of(request).backend.protections()


@get("/api/v1/status", sync_to_thread=False)
def status(request: AppRequest) -> ServiceView:
    """How the service is: each part, and what is degraded since when."""
    return console_of(request).backend.service()


@get("/api/v1/load", sync_to_thread=False)
def load(request: AppRequest) -> LoadFigures:
    """How heavy the alerts are on those who work with them, after EEMUA 191 and ISA-18.2."""
    return console_of(request).backend.load()


@get("/api/v1/deliveries/failed", sync_to_thread=False)
def dead_letters(request: AppRequest) -> list[DeliveryRecord]:
    """Deliveries given up of late, newest first, each with its reason."""
    return console_of(request).backend.dead_letters()


@get("/api/v1/refusals")
async def refusals(
    request: AppRequest, limit: Annotated[int, QueryParameter(ge=1, le=REFUSALS_SHOWN)] = 100
) -> list[RefusalView]:
    """What was refused, from whom and why, newest first."""
    return await console_of(request).backend.refusals(limit)


@get("/api/v1/unassigned")
async def unassigned(
    request: AppRequest, limit: Annotated[int, QueryParameter(ge=1, le=REFUSALS_SHOWN)] = 100
) -> list[UnassignedView]:
    """Devices that report and that nobody carries, the one heard last first."""
    return await console_of(request).backend.unassigned(limit)


@get("/api/v1/basemap", sync_to_thread=False, media_type=GEOJSON)
def basemap(request: AppRequest) -> Response[bytes]:
    """Streets, water and parks as GeoJSON; 204 when this site has none."""
    found = console_of(request).backend.basemap()
    if found is None:
        return Response(b"", status_code=204, media_type=GEOJSON)
    return Response(found, media_type=GEOJSON)


@get("/api/v1/session", sync_to_thread=False)
def session(request: AppRequest) -> SessionView:
    """Who is signed in."""
    return SessionView(operator=request.state[OPERATOR], build=console_of(request).hub.build)


@get("/api/v1/stream")
async def stream(request: AppRequest, last: FromQuery[str] = "") -> Stream:
    """Live news as server-sent events: `hello`, `alert`, `plan`, `positions`, `service`, `beat`.

    On a `hello` that is not `resumed`, on `plan` and on `resync`, fetch the picture. `last` does what
    the Last-Event-ID header does, for a client that cannot set the header.
    """
    console = console_of(request)
    console.hub.require_room()
    note_look(request, "map")
    last_event_id = request.headers.get("last-event-id") or last
    session_id = session_id_of(request, console.access)
    return Stream(
        _frames(console, session_id, last_event_id, request.headers.get(PURPOSE, "")),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _frames(
    console: Console, session_id: str, last_event_id: str, purpose: str
) -> AsyncGenerator[bytes]:
    """The subscription's frames for as long as the session lives; recorded every hour that it does."""
    subscription = console.hub.subscribe(last_event_id)
    async with aclosing(subscription.frames()) as frames:
        async for data in frames:
            who = console.access.who(session_id)
            if who is None:
                return
            console.backend.her.look(who, "map", EVERYBODY, role=ROLE, purpose=purpose)
            yield data


def _health(health: Health, *, good: bool) -> Response[Health]:
    return Response(health, status_code=200 if good else 503)


@get("/healthz", opt={NO_SESSION: True, ANY_HOST: True}, sync_to_thread=False)
def healthz(request: AppRequest) -> Response[Health]:
    """Whether the process lives. A supervisor restarts it when this fails."""
    health = console_of(request).backend.health()
    return _health(health, good=health.live)


@get("/readyz", opt={NO_SESSION: True, ANY_HOST: True}, sync_to_thread=False)
def readyz(request: AppRequest) -> Response[Health]:
    """Whether the service does its work; reasons say what is missing."""
    health = console_of(request).backend.health()
    return _health(health, good=health.ready)


@get(
    "/metrics",
    opt={NO_SESSION: True, ANY_HOST: True},
    sync_to_thread=False,
    media_type=PROMETHEUS_TEXT,
    include_in_schema=False,
)
def metrics_text(request: AppRequest) -> Response[bytes]:
    """Counters for Prometheus. No personal data."""
    return Response(console_of(request).metrics(), media_type=PROMETHEUS_TEXT)
