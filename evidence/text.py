"""Text and JSON that PostgreSQL can hold.

Its text type cannot hold the character NUL, nor half a surrogate pair. Such characters are
replaced in decoded columns; the message as received holds them as they were.
"""

from __future__ import annotations

import json


def clean(text: str) -> str:
    """The text as PostgreSQL can hold it: NUL and half surrogate pairs are replaced."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def clean_optional(text: str | None) -> str | None:
    """The same for text that may be missing."""
    return None if text is None else clean(text)


def json_text(value: object) -> str:
    """The value as JSON text for a `json` column, which keeps it to the letter.

    NUL and half surrogate pairs stay as escapes and integers of any size are exact. What JSON
    cannot say (or Python cannot write out) is replaced by a note; the message as received has it.
    """
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return json.dumps({"not_stored": f"cannot be written as JSON: {type(error).__name__}"})
