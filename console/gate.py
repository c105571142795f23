"""What every request passes before a handler sees it, and what every response carries."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any

from litestar import Request, Response
from litestar.datastructures import MutableScopeHeaders, State
from litestar.enums import MediaType, ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from console.access import Access
from console.notices import SIGN_IN_TEXT, notice_page
from console.views import Problem

AnyRequest = Request[Any, Any, State]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Only what this server itself sends may load or run; MapLibre needs no exception."""

SECURITY_HEADERS = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

NO_SESSION = "no_session"
"""Handlers with this option are served to everybody."""

ANY_HOST = "any_host"
"""Handlers with this option may be reached under any name: probes come by address."""

OPERATOR = "operator"
"""Where the name of the operator stands in the request's state."""


def session_id_of(request: AnyRequest, access: Access) -> str:
    """The session id the browser sent, or nothing. A damaged cookie is no cookie."""
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    morsel = cookies.get(access.cookie_name(request.headers.get("host", "")))
    return morsel.value if morsel is not None else ""


async def add_headers(message: Message, scope: Scope) -> None:
    """Adds the security headers, and forbids storing unless a handler allowed it."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")


class Gate(ASGIMiddleware):
    """Refuses a foreign host name, a foreign page's request, and whoever is not signed in."""

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    def __init__(self, access: Access) -> None:
        self.access = access

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request pass, or answer it."""
        request: AnyRequest = Request(scope, receive, send)
        response = self._refusal(request)
        if response is None:
            await next_app(scope, receive, send)
            return
        answer = response.to_asgi_response(None, request)
        await answer(scope, receive, send)

    def _refusal(self, request: AnyRequest) -> Response[Any] | None:
        options = request.route_handler.opt
        headers = request.headers
        host = headers.get("host")
        if not options.get(ANY_HOST) and not self.access.host_allowed(host):
            return _plain(
                403,
                "The console does not answer to this host name.",
                "Open it by 127.0.0.1 or localhost, or add the name to the allowed hosts in "
                "Cordon's settings.",
            )
        own = self.access.same_origin(
            request.method,
            host,
            headers.get("origin"),
            headers.get("sec-fetch-site"),
        )
        if not own:
            return _plain(
                403,
                "The request did not come from the console's own pages.",
                "Do it from the console. A program sends an Origin header with the console's "
                "address.",
            )
        if options.get(NO_SESSION):
            return None
        operator = self.access.who(session_id_of(request, self.access))
        if operator is None:
            return _sign_in(request)
        request.state[OPERATOR] = operator
        return None


def _plain(status: int, error: str, what_to_do: str) -> Response[Any]:
    problem = Problem(error=error, what_to_do=what_to_do)
    return Response(problem, status_code=status, media_type=MediaType.JSON)


def _sign_in(request: AnyRequest) -> Response[Any]:
    """A page for a person, JSON for the page's own requests."""
    if request.scope["path"].startswith("/api/"):
        return _plain(
            401,
            "You are not signed in, or your session has ended.",
            "Open the sign-in address that Cordon printed when it started, or that your "
            "administrator gave you.",
        )
    return notice_page(401, "You are not signed in", SIGN_IN_TEXT)
