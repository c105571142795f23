"""What open alerts take away from protection, kept as they change: nobody has to look at them all."""

from __future__ import annotations

from typing import Literal

from alerts.model import Alert
from devices.instants import from_iso

_Kind = Literal["doubt", "outage"]
_Key = tuple[_Kind, str]


class Weakening:
    """Since when nearness to a person cannot be excluded, and since when very many are silent."""

    def __init__(self) -> None:
        self._onsets: dict[_Key, dict[str, int]] = {}

    def change(self, before: Alert | None, after: Alert | None) -> None:
        """An alert has come, gone, or changed. `before` is as it was given last."""
        old, new = _key_of(before), _key_of(after)
        if before is not None and old is not None and old != new:
            onsets = self._onsets[old]
            del onsets[before.alert_id]
            if not onsets:
                del self._onsets[old]
        if after is not None and new is not None:
            self._onsets.setdefault(new, {})[after.alert_id] = from_iso(after.onset)

    def doubt_us(self, person: str) -> int | None:
        """Since when nearness to a protected person cannot be excluded; None: it can."""
        return self._since_us(("doubt", person))

    def outage_us(self, agency: str) -> int | None:
        """Since when very many of an agency's devices are silent at once; None: they are not."""
        return self._since_us(("outage", agency))

    def _since_us(self, key: _Key) -> int | None:
        return min(self._onsets.get(key, {}).values(), default=None)


def _key_of(alert: Alert | None) -> _Key | None:
    if alert is None or alert.state != "active":
        return None
    if alert.health == "fleet_silent":
        return "outage", alert.agency
    return ("doubt", alert.protected) if alert.protected and alert.level == "unknown" else None
