"""How alerts are begun, changed and ended: every change is made here, and taken into the book.

The rules by which they change stand in `alerts.desk` (what engine, devices and time do) and in
`alerts.steps` (what people do).
"""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.book import Book, Entry
from alerts.desk_counts import DeskCounts
from alerts.model import EVENT_TYPE_PREFIX, SYSTEM, Alert, AlertChange, Ask, ChangeKind
from alerts.profile import Profiles
from devices.instants import to_iso
from devices.synthetic import is_synthetic

OPEN_LIMIT = 200_000
"""Open alerts. When so many are open, a new one first closes one that has returned and matters no
more than itself; where there is none, tiers 1 and 2 are raised all the same, 3 and 4 are not."""

_NEVER_REFUSED = 2


class Making:
    """The book of open alerts, and the making of its changes.

    Args:
        profiles: Whom to tell.
        made_by: Fields that every new alert has: the versions of rules and code.
        source: CloudEvents source of the changes.
        open_limit: See `OPEN_LIMIT`.
    """

    def __init__(
        self, profiles: Profiles, made_by: dict[str, Any], *, source: str, open_limit: int
    ) -> None:
        self.counts = DeskCounts()
        self.book = Book()
        self._profiles = profiles
        self._made_by = made_by
        self._source = source
        self._open_limit = open_limit

    def begin(self, fields: dict[str, Any], now_us: int) -> list[AlertChange]:
        """Raise an alert. Nothing where there is no room for it."""
        room = self._make_room(fields["tier"], now_us)
        if room is None:
            self.counts.refused += 1
            return []
        self.counts.raised += 1
        marks = {"synthetic": is_synthetic(fields["agency"])}
        asks = {"asks_since": to_iso(now_us), "version": 0, "state": "active"}
        alert = Alert(**(self._made_by | fields | asks | marks))
        return [*room, self.change(self.by_profile(alert, now_us), "raised", now_us)]

    def _make_room(self, tier: int, now_us: int) -> list[AlertChange] | None:
        if len(self.book) < self._open_limit:
            return []
        victim = self.book.oldest_returned(tier)
        if victim is None:
            return [] if tier <= _NEVER_REFUSED else None
        self.counts.displaced += 1
        note = "closed unseen to make room: too many alerts are open"
        return [self.close(victim.current(), now_us, note=note)]

    def by_profile(self, alert: Alert, now_us: int) -> Alert:
        """The alert before a change of its level, with what the profile says of that level."""
        profile = self._profiles.of_alert(alert)
        fields: dict[str, Any] = {"procedure": profile.procedure(alert)}
        if alert.notify and profile.tells(alert):
            fields |= {"told": True, "told_at": to_iso(now_us), "told_version": alert.version + 1}
        return msgspec.structs.replace(alert, **fields)

    def end(self, entry: Entry, fields: dict[str, Any], now_us: int) -> list[AlertChange]:
        """What the alert is about is over."""
        alert = msgspec.structs.replace(entry.current(), **fields, state="returned")
        return self.and_close(self.change(alert, "returned", now_us), now_us)

    def and_close(self, change: AlertChange, now_us: int) -> list[AlertChange]:
        """The change, and that it closes by itself where nothing is left to be said."""
        if change.kind == "resolved" or not change.data.is_done:
            return [change]
        return [change, self.close(change.data, now_us)]

    def retire(self, entry: Entry, now_us: int) -> list[AlertChange]:
        """What the alert is about is watched no more."""
        note = "no longer watched: the caseload has changed"
        fields = {"decided_at": to_iso(now_us), "note": note}
        if entry.alert.watch:
            fields["level"] = "clear"
        return self.end(entry, fields, now_us)

    def merge(self, entry: Entry, into: str, now_us: int) -> AlertChange:
        """Another alert goes on with what this one is about."""
        alert = msgspec.structs.replace(entry.current(), merged_into=into)
        return self.close(alert, now_us, note=f"goes on as alert {into}")

    def close(self, alert: Alert, now_us: int, note: str | None = None) -> AlertChange:
        """It closes by itself."""
        fields = {"resolved_by": SYSTEM, "resolved_at": to_iso(now_us)}
        fields |= {} if note is None else {"note": note}
        return self.change(msgspec.structs.replace(alert, **fields), "resolved", now_us)

    def change(
        self,
        alert: Alert,
        kind: ChangeKind,
        now_us: int,
        actor: str = SYSTEM,
        asked: tuple[Ask, ...] = (),
    ) -> AlertChange:
        """The next version of an alert, taken into the book."""
        data = msgspec.structs.replace(alert, version=alert.version + 1)
        change = AlertChange(
            id=f"{data.alert_id}/{data.version}",
            source=self._source,
            type=EVENT_TYPE_PREFIX + kind,
            subject=data.alert_id,
            time=to_iso(now_us),
            data=data,
            actor=actor,
            asked=asked,
        )
        self.book.apply(change)
        self.counts.changes += 1
        return change
