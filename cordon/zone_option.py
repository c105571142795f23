"""A time zone as an option of a command."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cordon.errors import CordonError


def zone_named(name: str) -> ZoneInfo:
    """The time zone of a name.

    Raises:
        CordonError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CordonError(f"There is no time zone {name!r}. Write one as Europe/Madrid.") from error
