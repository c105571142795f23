"""One request over HTTP, and its answer: bounded in time and size. Blocks; for threads."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from typing import Literal

ANSWER_LIMIT_S = 5.0
ANSWER_LIMIT_BYTES = 64 * 1024


def exchange(
    method: Literal["GET", "POST"], url: str, body: bytes | None = None, kind: str = "text/plain"
) -> tuple[int, bytes]:
    """Send a request.

    Args:
        method: What is done.
        url: HTTP or HTTPS.
        body: What is sent.
        kind: Its content type.

    Returns:
        Status, and as much of the answer as `ANSWER_LIMIT_BYTES` allow.

    Raises:
        OSError: Nobody answers in time, or the address is none.
    """
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise OSError(f"{url} is no HTTP address")
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S) as answer:  # noqa: S310
            return int(answer.status), bytes(answer.read(ANSWER_LIMIT_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(ANSWER_LIMIT_BYTES)
    except (ValueError, EOFError) as error:  # http.client's: an answer that is no HTTP
        raise OSError(f"{url} does not answer in HTTP") from error
