"""Acts that the streams tell of: spells of a watch, and what was done to a tag.

Only what was measured is an act. That nearness cannot be excluded, that he is predicted to come, or
that a device fell silent, is for the alert; it is nothing he was seen to do. Each spell of a watch
gives acts of one kind: approaches where he came into the alert ring or the zone, else loitering
where he stayed, else probing. So one evening is not counted twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from alerts.conduct import MINUTE_US, Act, ActKind, Rest, act_id
from alerts.conduct_rules import ConductRules
from alerts.decisions import AnomalyDecision, Decision
from alerts.episodes import alert_id, event_episode_id, watch_episode_id
from alerts.model import NOTHING_HAPPENED, Alert
from alerts.spells import anomaly_alert_ids
from devices.instants import from_iso
from devices.reports import Event
from geofence.anomaly_state import Anomaly
from geofence.levels import Cause, Level

TAMPERING_EVENTS = frozenset({"strap_cut", "case_open", "gnss_jammed"})
TAMPERING_ANOMALIES = frozenset({Anomaly.CLONE, Anomaly.STAYS_BEHIND})
"""His place is made to look other than it is. Other anomalies are faults as often as not."""

RESTS_KEPT = 20
"""Decisions named for one act: the first ones and the last."""

_MEASURED = frozenset({Cause.POSITION, Cause.PATH, Cause.BEACON})
_INSIDE = frozenset({Level.ALERT, Level.CONTACT})


Alerts = Mapping[str, Alert]
"""The newest state of alerts, by alert id."""


class WatchAct(NamedTuple):
    """An act of a watch, and towards whom; None for a zone that guards nobody by name."""

    protected: str | None
    act: Act


class Told(NamedTuple):
    """What the streams tell of one wearer, each entry once, in any order.

    Attributes:
        decisions: Of the watches on him.
        anomalies: Of his devices.
        events: Of his devices.
    """

    decisions: Sequence[Decision]
    anomalies: Sequence[AnomalyDecision]
    events: Sequence[Event]


def alert_ids_of(told: Told, wearer: str) -> set[str]:
    """The ids that the alerts about all this have, if there are such: names are derived."""
    ids = {
        name
        for one in told.decisions
        if one.transition.previous is Level.CLEAR
        for name in _ids_of_spell(one)
    }
    for event in _tampering_events(told):
        ids |= {alert_id(event_episode_id(event)), alert_id(event_episode_id(event, wearer))}
    for anomaly in _tampering_anomalies(told):
        ids.update(anomaly_alert_ids(anomaly.change))
    return ids


def acts_of_watches(told: Told, alerts: Alerts, rules: ConductRules, now_us: int) -> list[WatchAct]:
    """The acts that decisions tell of.

    Args:
        told: See `Told`.
        alerts: Those of `alert_ids_of`. A spell without one is not counted: it has not been
            told yet.
        rules: What is long enough to be loitering.
        now_us: Spells that go on last until now.
    """
    ordered = sorted(told.decisions, key=_place)
    found = []
    for _, of_watch in groupby(ordered, key=lambda one: one.transition.watch):
        for spell in _spells(of_watch):
            alert = _first(alerts, _ids_of_spell(spell[0]))
            # From an inclusion zone he goes away; nobody is approached by that.
            if alert is not None and alert.condition != "inclusion":
                acts = _acts_of_spell(spell, alert, rules, now_us)
                found += [WatchAct(spell[0].protected, act) for act in acts]
    return found


def acts_of_tampering(told: Told, alerts: Alerts) -> list[Act]:
    """The acts of tampering with a wearer's devices.

    A repetition of an event is taken into the alert that is open and makes none of its own; here
    it is an act of its own.
    """
    of_events = [_act_of_event(one, alerts) for one in _tampering_events(told)]
    return of_events + [_act_of_anomaly(one, alerts) for one in _tampering_anomalies(told)]


def _tampering_events(told: Told) -> list[Event]:
    return [one for one in told.events if one.type in TAMPERING_EVENTS]


def _tampering_anomalies(told: Told) -> list[AnomalyDecision]:
    return [
        one
        for one in told.anomalies
        if one.change.began and one.role == "wearer" and one.change.kind in TAMPERING_ANOMALIES
    ]


def _ids_of_spell(first: Decision) -> tuple[str, str]:
    """Of the alert of a spell: two may begin at one fix, and then the second is numbered."""
    change = first.transition
    return (
        alert_id(watch_episode_id(change.watch, change.onset_us, change.number)),
        alert_id(watch_episode_id(change.watch, change.onset_us)),
    )


def _first(alerts: Alerts, ids: Iterable[str]) -> Alert | None:
    return next((alerts[name] for name in ids if name in alerts), None)


def _place(decision: Decision) -> tuple[str, int, int]:
    change = decision.transition
    return change.watch, change.decided_at_us, change.number


def _spells(of_watch: Iterable[Decision]) -> Iterator[list[Decision]]:
    """Decisions from leaving clear to coming back, that one included; what began before is left."""
    spell: list[Decision] = []
    for decision in of_watch:
        change = decision.transition
        if change.previous is Level.CLEAR:
            if spell:
                yield spell
            spell = [decision]
        elif spell:
            spell.append(decision)
        if change.level is Level.CLEAR and spell:
            yield spell
            spell = []
    if spell:
        yield spell


def _acts_of_spell(
    spell: Sequence[Decision], alert: Alert, rules: ConductRules, now_us: int
) -> list[Act]:
    inside = list(_inside(spell))
    if inside:
        return [_act("approach", part, alert, spell) for part in inside]
    if not any(_enters(one, Level.PRE_ALERT) for one in spell):
        return []
    kind: ActKind = "probing"
    if _near_us(spell, now_us) >= rules.loiter_min * MINUTE_US:
        kind = "loitering"
    return [_act(kind, spell, alert, spell)]


def _inside(spell: Sequence[Decision]) -> Iterator[list[Decision]]:
    """The parts of a spell within the alert ring or the zone, each with the decision that ends it."""
    part: list[Decision] = []
    for decision in spell:
        level = decision.transition.level
        if part:
            part.append(decision)
            if level not in _INSIDE:
                yield part
                part = []
        elif level in _INSIDE and decision.transition.cause in _MEASURED:
            part = [decision]
    if part:
        yield part


def _enters(decision: Decision, level: Level) -> bool:
    change = decision.transition
    return change.level is level and change.cause in _MEASURED


def _near_us(spell: Sequence[Decision], now_us: int) -> int:
    """How long he was known to be in the outer ring or buffer."""
    ends = [one.transition.decided_at_us for one in spell[1:]] + [now_us]
    return sum(
        end - one.transition.decided_at_us
        for one, end in zip(spell, ends, strict=True)
        if one.transition.level is Level.PRE_ALERT
    )


def _act(kind: ActKind, part: Sequence[Decision], alert: Alert, spell: Sequence[Decision]) -> Act:
    """Part of a spell as an act; it rests on the decision that began the spell as well."""
    first, last = part[0].transition, part[-1].transition
    over = last.level not in _INSIDE if kind == "approach" else last.level is Level.CLEAR
    told = part if part[0] is spell[0] else (spell[0], *part)
    rests = [
        Rest("decision", f"{one.watch}#{one.number}", one.decided_at_us)
        for one in (decision.transition for decision in told)
    ]
    if len(rests) > RESTS_KEPT:
        rests = [*rests[: RESTS_KEPT - 1], rests[-1]]
    return Act(
        id=act_id(first.watch, first.decided_at_us),
        kind=kind,
        began_us=first.decided_at_us,
        ended_us=last.decided_at_us if over else None,
        closest_m=_closest_m(part),
        explained=_explained(alert),
        rests=(_rest(alert), *rests),
    )


def _closest_m(part: Sequence[Decision]) -> float | None:
    changes = [decision.transition for decision in part]
    known = [
        value
        for change in changes
        for value in (change.distance_m, change.closest_m)
        if math.isfinite(value)
    ]
    return min(known, default=None)


def _act_of_event(event: Event, alerts: Alerts) -> Act:
    open_then = [
        alert
        for alert in alerts.values()
        if alert.device == event.device
        and alert.level == event.type
        and from_iso(alert.onset) <= event.time_us
        and (alert.resolved_at is None or from_iso(alert.resolved_at) >= event.time_us)
    ]
    alert = max(open_then, key=lambda one: from_iso(one.onset), default=None)
    name = f"{event.device}/{event.type}#{event.seq}"
    return _tampering(name, event.time_us, Rest("event", name, event.time_us), alert)


def _act_of_anomaly(decision: AnomalyDecision, alerts: Alerts) -> Act:
    change = decision.change
    name = f"{change.key}#{change.number}"
    rest = Rest("anomaly", name, change.decided_at_us)
    alert = _first(alerts, anomaly_alert_ids(change))
    return _tampering(name, change.decided_at_us, rest, alert)


def _tampering(name: str, at_us: int, rest: Rest, alert: Alert | None) -> Act:
    return Act(
        id=act_id(name, at_us),
        kind="tampering",
        began_us=at_us,
        ended_us=at_us,
        explained="" if alert is None else _explained(alert),
        rests=(rest,) if alert is None else (_rest(alert), rest),
    )


def _rest(alert: Alert) -> Rest:
    return Rest("alert", alert.alert_id, from_iso(alert.raised_at))


def _explained(alert: Alert) -> str:
    """The outcome, where it holds nothing against him."""
    outcome = alert.outcome or ""
    return outcome if outcome in NOTHING_HAPPENED else ""
