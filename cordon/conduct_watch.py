"""Recognises courses of conduct in the history, again and again, in the back room.

Nothing of it lies in the way of an alert: it reads what is stored, and writes tables of its own. With
the database down it waits; what was missed is in the history when that is back. There is no state but
what was looked at last, so a restart costs a look at everybody and changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import structlog

from alerts.conduct import DAY_US, MINUTE_US, Act, Subject, patterns_of, to_keep
from alerts.conduct_acts import Alerts, Told, acts_of_tampering, acts_of_watches, alert_ids_of
from alerts.conduct_rules import ConductRules
from alerts.conduct_tracks import acts_of_tracks, minute_track
from alerts.errors import ProfileError
from alerts.profile import Profiles, load_profiles
from devices.ending import end_if_told
from devices.instants import Clock
from devices.synthetic import is_synthetic
from evidence import conduct
from evidence.conduct import KeptAct, Order
from evidence.database import SESSION, describe
from evidence.statements import Connection

log = structlog.get_logger("conduct")

LOOK_EVERY_S = 30.0
RETRY_S = 5.0
TOLD_EVERY_US = 10 * MINUTE_US
"""A wearer of whom nothing new was decided is looked at so often: staff may have explained something."""

TRACKS_EVERY_US = 60 * MINUTE_US
"""Tracks are long: they are read so often."""

TRACK_DAYS = 7
"""Places are learnt from so many days."""

NEW_DAYS = 2
"""Acts of so many days, today among them, are made anew of the tracks, for fixes that come late."""

REST_TIMES = 9
LONGEST_REST_S = 1.0
"""After a look at one wearer it rests for so many times as long as the look took, up to the longest: a
start, which looks at everybody, takes a tenth of a core, and alerts have the others."""

CONNECT_LIMIT_S = 5


@dataclass(slots=True)
class ConductCounts:
    """Counted since the start of the process.

    Attributes:
        looks: At one wearer.
        failed: Rounds cut short because the database or a file of policy could not be used.
        unreadable: Looks at one wearer that failed, while those at others went on.
        cut_short: Looks in which a limit of `evidence.conduct` left something out.
        kept: Versions of patterns written.
    """

    looks: int = 0
    failed: int = 0
    unreadable: int = 0
    cut_short: int = 0
    kept: int = 0


@dataclass(slots=True)
class _Looked:
    mark: tuple[Any, ...] = ()
    told_us: int = 0
    tracks_us: int = 0
    failed_us: int = 0


class ConductWatch:
    """Looks at every wearer's conduct.

    Args:
        dsn: The history.
        profiles: Folder of a site's own profiles; None for none.
        clock: The time.
    """

    def __init__(self, dsn: str, profiles: Path | None, clock: Clock) -> None:
        self.counts = ConductCounts()
        self._dsn = dsn
        self._folder = profiles
        self._clock = clock
        self._looked: dict[str, _Looked] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            end_if_told()
            pause_s = LOOK_EVERY_S
            try:
                await self.look()
            except (psycopg.Error, TimeoutError, ProfileError, OSError) as error:
                self.counts.failed += 1
                log.warning("conduct_not_looked_at", reason=describe(error))
                pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def look(self) -> None:
        """One round: everybody of whom something may have changed.

        Raises:
            psycopg.Error: The database is away, or not set up yet.
            ProfileError, OSError: The site's profiles cannot be used.
        """
        profiles = await asyncio.to_thread(load_profiles, self._folder)
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
        ) as connection:
            await connection.execute(SESSION)
            now_us = self._clock()
            window_us = max(one.conduct.window_days for one in profiles.by_name.values()) * DAY_US
            orders = await conduct.subjects(connection, now_us - window_us, now_us)
            by_wearer: dict[str, list[Order]] = {}
            for order in orders:
                if not is_synthetic(order.wearer):
                    by_wearer.setdefault(order.wearer, []).append(order)
            self._looked = {one: self._looked.get(one, _Looked()) for one in by_wearer}
            for wearer, of_him in by_wearer.items():
                if self._clock() - self._looked[wearer].failed_us >= TOLD_EVERY_US:
                    began_s = time.monotonic()
                    await self._try(connection, wearer, _subjects(of_him), profiles)
                    took_s = time.monotonic() - began_s
                    await asyncio.sleep(min(REST_TIMES * took_s, LONGEST_REST_S))

    async def _try(
        self,
        connection: Connection,
        wearer: str,
        subjects: Sequence[Subject],
        profiles: Profiles,
    ) -> None:
        """Look at one wearer; what cannot be read of him keeps nobody from looking at the others."""
        try:
            async with connection.transaction():
                await conduct.lock(connection)
                await self._look_at(connection, wearer, subjects, profiles)
        except (psycopg.OperationalError, psycopg.ProgrammingError, TimeoutError, OSError):
            raise  # the database is away, or not set up: it concerns everybody
        except Exception as error:  # noqa: BLE001 - whatever it is, it is of this wearer alone
            self.counts.unreadable += 1
            self._looked[wearer].failed_us = self._clock()
            log.error(  # noqa: TRY400 - a traceback may quote what was read
                "conduct_of_a_wearer_not_looked_at",
                wearer=wearer,
                reason=describe(error),
                meaning="his courses of conduct do not change; he is looked at again in ten minutes",
            )

    async def _look_at(
        self,
        connection: Connection,
        wearer: str,
        subjects: Sequence[Subject],
        profiles: Profiles,
    ) -> None:
        now_us, looked = self._clock(), self._looked[wearer]
        mark = await conduct.mark(connection, wearer)
        tracks_due = now_us - looked.tracks_us >= TRACKS_EVERY_US
        told_due = mark != looked.mark or now_us - looked.told_us >= TOLD_EVERY_US
        if not (tracks_due or told_due):
            return
        self.counts.looks += 1
        look = _Look(connection, now_us, profiles, self.counts)
        await look.at(wearer, subjects, tracks=tracks_due)
        looked.mark, looked.told_us = mark, now_us
        if tracks_due:
            looked.tracks_us = now_us


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one wearer."""

    connection: Connection
    now_us: int
    profiles: Profiles
    counts: ConductCounts

    async def at(self, wearer: str, subjects: Sequence[Subject], *, tracks: bool) -> None:
        rules_of = {one: self.profiles.find(one.profile).conduct for one in subjects}
        since_us = self.now_us - max(one.window_days for one in rules_of.values()) * DAY_US
        told = await conduct.told_of(self.connection, wearer, since_us, self.now_us)
        read_us = _read_since_us(told, since_us)
        self.counts.cut_short += read_us > since_us
        since_us = read_us
        kept = {one: await conduct.kept_acts(self.connection, one) for one in subjects}
        # A repeated tamper rests on the alert of the first one, which may be older than the window.
        named = _alerts_named(kept.values(), since_us)
        ids = alert_ids_of(told, wearer) | named.keys()
        alerts = await conduct.alerts_of(self.connection, ids, min([since_us, *named.values()]))
        tampering = acts_of_tampering(told, alerts)
        names = [one.protected for one in subjects]
        for subject, rules in rules_of.items():
            towards = [
                found.act
                for found in acts_of_watches(told, alerts, rules, self.now_us)
                if _whom(found.protected, names) == subject.protected
            ]
            acts = [KeptAct(act, from_tracks=False) for act in (*towards, *tampering)]
            since = {False: since_us}
            if tracks and subject.protected:
                since[True] = self.now_us - self.now_us % DAY_US - (NEW_DAYS - 1) * DAY_US
                of_tracks = await self._of_tracks(subject, rules, since[True])
                acts += [KeptAct(act, from_tracks=True) for act in of_tracks]
            self.counts.cut_short += len(kept[subject]) >= conduct.ACTS_LIMIT
            anew = [one for one in kept[subject] if _is_anew(one, since, alerts)]
            await self._keep(subject, rules, kept[subject], anew, acts)

    async def _of_tracks(self, subject: Subject, rules: ConductRules, since_us: int) -> list[Act]:
        start_us = since_us - (TRACK_DAYS - NEW_DAYS) * DAY_US
        minutes = (self.now_us - start_us) // MINUTE_US + 1
        his, hers = [
            minute_track(
                person,
                start_us,
                minutes,
                await conduct.minutes_of(self.connection, person, start_us, self.now_us),
            )
            for person in (subject.wearer, subject.protected)
        ]
        since_minute = (since_us - start_us) // MINUTE_US
        return await asyncio.to_thread(acts_of_tracks, his, hers, rules, since_minute)

    async def _keep(
        self,
        subject: Subject,
        rules: ConductRules,
        kept: Sequence[KeptAct],
        anew: Sequence[KeptAct],
        acts: Sequence[KeptAct],
    ) -> None:
        """Keep the acts made anew in the place of some of those kept, and what follows."""
        gone = {one.act.id for one in anew}
        before = [one.act for one in kept if one.act.id not in gone]
        stay = {act.id for act in before}
        acts = [one for one in acts if one.act.id not in stay]
        old = [one.act for one in anew if one not in acts]
        new = [one for one in acts if one not in anew]
        await conduct.replace_acts(self.connection, subject, old, new)
        found = patterns_of(subject, [*before, *(one.act for one in acts)], rules, self.now_us)
        known = await conduct.kept_patterns(self.connection, subject)
        changed = to_keep(known, found)
        await conduct.add_patterns(self.connection, changed, self.now_us)
        self.counts.kept += len(changed)


def _read_since_us(told: Told, since_us: int) -> int:
    """Since when everything was read; a limit leaves out what is no newer than the oldest read."""
    read = (
        (conduct.DECISIONS_LIMIT, [one.transition.decided_at_us for one in told.decisions]),
        (conduct.FOUND_LIMIT, [one.change.decided_at_us for one in told.anomalies]),
        (conduct.FOUND_LIMIT, [one.time_us for one in told.events]),
    )
    # Of one instant some may have been read and others not: it counts as left out.
    return max([since_us, *(min(times) + 1 for limit, times in read if len(times) >= limit)])


def _alerts_named(kept: Iterable[Sequence[KeptAct]], since_us: int) -> dict[str, int]:
    """The alerts that kept acts of the window rest on, and when they were raised."""
    acts = (one.act for of_subject in kept for one in of_subject if one.act.began_us >= since_us)
    return {rest.id: rest.at_us for act in acts for rest in act.rests if rest.kind == "alert"}


def _is_anew(one: KeptAct, since: Mapping[bool, int], alerts: Alerts) -> bool:
    """Whether a kept act is made anew: when all that it rests on was read. Else it stays as it is."""
    since_us = since.get(one.from_tracks)
    if since_us is None or one.act.began_us < since_us:
        return False
    return one.from_tracks or all(
        rest.id in alerts if rest.kind == "alert" else rest.at_us >= since_us
        for rest in one.act.rests
    )


def _subjects(orders: Iterable[Order]) -> list[Subject]:
    """Towards whom acts of a wearer are counted.

    A zone that names nobody guards the one protected person there is; with none or several it
    stands for itself.
    """
    listed = list(orders)
    names = [one.protected for one in listed]
    return [
        Subject(
            wearer=one.wearer,
            protected=one.protected,
            agency=one.agency,
            profile=one.profile,
        )
        for one in listed
        if one.protected or _whom(None, names) == ""
    ]


def _whom(protected: str | None, names: Sequence[str]) -> str:
    if protected:
        return protected
    people = [name for name in names if name]
    return people[0] if len(people) == 1 else ""
