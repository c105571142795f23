"""Pages that say one thing to a person who cannot see the console yet."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.enums import MediaType

SIGN_IN_TEXT = (
    """Open the sign-in address that Cordon printed when it started; it ends in
    <code>/enter?token=…</code>. If you have none, ask your administrator for it.""",
    """A session ends after twelve hours and whenever the service restarts: then open the address
    again.""",
    """If you have just signed in by following a link from another site, <a href="/">go on to the
    console</a>.""",
)
"""A browser keeps the new cookie back on a journey that began at another site, hence the link."""


def notice_page(
    status: int, title: str, paragraphs: tuple[str, ...], headers: dict[str, str] | None = None
) -> Response[Any]:
    """A page that says one thing. Title and paragraphs are our own markup, never a visitor's."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title} - Cordon</title>"
        '<link rel="icon" href="/static/icon.svg">'
        '<link rel="stylesheet" href="/static/console.css">'
        f'<body class="notice"><main><h1>{title}</h1>{body}</main></body></html>'
    )
    return Response(page, status_code=status, media_type=MediaType.HTML, headers=headers or {})
