"""What is decided, with whom it concerns and what it was made with: the form that is kept."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.decisions import AnomalyDecision, Decision, GapDecision, HealthDecision
from devices.health_changes import HealthChange
from devices.sequence_changes import GapChange
from devices.watches import Bearer, Watch
from geofence.anomaly_changes import AnomalyChange
from geofence.levels import Transition


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What stands in every record.

    Attributes:
        rules: Version of the engine's rules.
        build: Version of the code.
        caseload_version: `Plan.version` in force.
        after_position: Journal position of the newest batch that was taken in.
    """

    rules: str
    build: str
    caseload_version: str
    after_position: int


def decision_record(transition: Transition, watch: Watch, made: MadeWith) -> Decision:
    """The record of a change of level."""
    return Decision(
        transition=transition,
        condition_id=watch.condition_id,
        order_id=watch.order_id,
        agency=watch.agency,
        wearer=watch.wearer,
        protected=watch.protected,
        tag=watch.tag,
        handset=watch.handset,
        rules=watch.decided_by(made.rules),
        build=made.build,
        caseload_version=made.caseload_version,
        after_position=made.after_position,
    )


def anomaly_record(change: AnomalyChange, bearer: Bearer, made: MadeWith) -> AnomalyDecision:
    """The record of an anomaly that begins or ends."""
    return AnomalyDecision(
        change=change,
        person=bearer.person,
        role=bearer.role,
        agency=bearer.agencies[0] if bearer.agencies else "",
        rules=made.rules,
        build=made.build,
        caseload_version=made.caseload_version,
        after_position=made.after_position,
    )


def health_record(change: HealthChange, bearer: Bearer, made: MadeWith) -> HealthDecision:
    """The record of a trouble with the health of devices that begins or ends."""
    return HealthDecision(
        change=change,
        person=bearer.person,
        role=bearer.role,
        agency=change.agency or (bearer.agencies[0] if bearer.agencies else ""),
        build=made.build,
        caseload_version=made.caseload_version,
        after_position=made.after_position,
    )


def gap_record(change: GapChange, made: MadeWith) -> GapDecision:
    """The record of missing numbers, or of their end."""
    return GapDecision(change=change, build=made.build, after_position=made.after_position)
