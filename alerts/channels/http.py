"""HTTP as the channels need it: one post, bounded in time, and answers turned into verdicts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache

import httpx

from alerts.errors import NotDeliverable

TIMEOUT_S = 4.0
"""Less than a lane's time for one attempt, so that the reason is the other side's, not ours."""

_GONE = {404, 410}
_TRY_AGAIN = {408, 425, 429}


class ReplyError(Exception):
    """The other side did not take it; it may, later."""


async def post(url: str, content: bytes, headers: Mapping[str, str]) -> None:
    """Post once, over a connection of its own; returns when it was taken (2xx).

    Redirects are not followed: they could lead anywhere.

    Raises:
        NotDeliverable: It will never be taken: refused for good, or the address is gone.
        ReplyError: It may be taken later.
        httpx.HTTPError: There was no answer.
    """
    try:
        async with httpx.AsyncClient(
            timeout=TIMEOUT_S, verify=_trusted(), trust_env=False
        ) as client:
            answer = await client.post(url, content=content, headers=dict(headers))
    except httpx.InvalidURL as error:
        raise NotDeliverable("the address in the contacts file is not one") from error
    status = answer.status_code
    if answer.is_success:
        return
    if status in _GONE:
        raise NotDeliverable(f"the receiver says that the address is gone (HTTP {status})")
    if 400 <= status < 500 and status not in _TRY_AGAIN:
        raise NotDeliverable(f"the receiver refuses it (HTTP {status}); look at its settings")
    raise ReplyError(f"HTTP {status}")


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates takes longer than a post; once is enough."""
    return ssl.create_default_context()
