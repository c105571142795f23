"""What speaks against: everything in the shown records that may exonerate, or weaken a conclusion.

Looked for always, and said also where nothing was found: who reads a report must not have to
wonder whether it was looked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from evidence.export_gaps import silences
from evidence.views.facts import Facts, Fix
from geofence.anomaly_state import Anomaly
from geofence.levels import Level

LATE_S = 60.0
"""Between the device's time and receipt: such a position was sent later, or a clock is wrong."""

COARSE_M = 50.0
"""Radius (68 %) from which a position is called coarse here."""

PROBABLE = 0.95
"""Below it, a decision was made on a probability that leaves more than one chance in twenty."""

_IN_FAVOUR = ("no_breach", "device_at_fault", "pressed_by_mistake", "not_determined", "test")


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that was looked for: what it means, and what was found."""

    question: str
    found: str
    meaning: str


def doubts(facts: Facts) -> list[Doubt]:
    """All of them, in a fixed order."""
    return [*_of_positions(facts), *_of_devices(facts), *_of_decisions(facts)]


def _counted(count: int, whole: int) -> str:
    return f"{count} of {whole}" if whole else "none"


def _of_positions(facts: Facts) -> list[Doubt]:
    fixes = [fix for track in facts.tracks.values() for fix in track]

    def count(text: str, meaning: str, holds: list[Fix]) -> Doubt:
        return Doubt(text, _counted(len(holds), len(fixes)), meaning)

    late = [f for f in fixes if abs(f.received_us - f.time_us) > LATE_S * 1e6]
    return [
        count(
            "Positions of unknown accuracy",
            "The device did not say how far off it may be. Nothing follows from a single one.",
            [f for f in fixes if f.accuracy_m is None],
        ),
        count(
            f"Positions with a stated radius above {COARSE_M:.0f} m",
            "The person may have been anywhere in the circle, and in one case of three outside it.",
            [f for f in fixes if f.accuracy_m is not None and f.accuracy_m > COARSE_M],
        ),
        count(
            "Positions not from satellites",
            "From networks or beacons, or a last known one sent again.",
            [f for f in fixes if f.kind != "gnss"],
        ),
        count(
            f"Positions received more than {LATE_S:.0f} s from their own time",
            "Sent from a buffer, or the clock of the device was wrong. No live alert rests on them.",
            late,
        ),
    ]


def _of_devices(facts: Facts) -> list[Doubt]:
    records = [record for found in facts.other.values() for record in found]
    quiet = list(silences(records))
    steps = [r for r in facts.other.get("sequence_step", ()) if r.values["state"] == "opened"]
    missing = sum(record.values["missing"] for record in steps)
    anomalies = Counter(
        Anomaly(r.values["kind"]).label for r in facts.other.get("anomaly", ()) if r.values["began"]
    )
    health = Counter(
        r.values["kind"] for r in facts.other.get("device_health", ()) if r.values["began"]
    )
    events = facts.other.get("event", ())
    doubted = sum(bool(record.values.get("time_doubted")) for record in events)
    refused = len(facts.other.get("refusal", ()))
    return [
        Doubt(
            "Silences of five minutes or more",
            str(len(quiet) or "none"),
            "Where the person was then, the record does not say. gaps.csv lists them.",
        ),
        Doubt(
            "Reports that a device counted and that never came",
            str(missing or "none"),
            "They may have held positions that speak for either side.",
        ),
        Doubt(
            "Faults in a device's own positions",
            _listed(anomalies),
            "Frozen or jumping positions, clocks, damaged numbers, or a tag that is not worn.",
        ),
        Doubt(
            "Faults of devices",
            _listed(health),
            "Flat batteries, lost reception, silence, missing permissions.",
        ),
        Doubt(
            "Events whose own time cannot be right",
            _counted(doubted, len(events)),
            "For these, the time of receipt counts.",
        ),
        Doubt(
            "Reports that were refused",
            str(refused or "none"),
            "Kept with the reason; what they said was not used.",
        ),
    ]


def _of_decisions(facts: Facts) -> list[Doubt]:
    decisions = facts.other.get("decision", ())
    risen = [r for r in decisions if r.values["level"] not in {Level.CLEAR, Level.UNKNOWN}]
    weak = [r for r in risen if r.values["probability"] < PROBABLE]
    outcomes = Counter(
        record.document["data"].get("outcome")
        for story in facts.alerts
        for record in story.steps[-1:]
    )
    favour = Counter({name: outcomes[name] for name in _IN_FAVOUR if outcomes[name]})
    closed = sum(count for name, count in outcomes.items() if name)
    return [
        Doubt(
            f"Decisions on a probability below {PROBABLE:.0%}",
            _counted(len(weak), len(risen)),
            "Alarms are raised early on purpose; a conclusion needs more than an alarm.",
        ),
        Doubt(
            "Alerts that people closed as no breach, a fault, a mistake or not determined",
            f"{_listed(favour)} of {closed} closed" if favour else _counted(0, closed),
            "What those who dealt with them found.",
        ),
    ]


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"
