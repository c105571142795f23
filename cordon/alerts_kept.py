"""Taking over what a checkpoint holds of alerts, deliveries and choices."""

from __future__ import annotations

from alerts.desk import Desk
from alerts.errors import DeskStateError
from cordon.checkpoint import Checkpoint
from cordon.outgoing import Outgoing


def load_alerts(
    checkpoint: Checkpoint, desk: Desk, outgoing: Outgoing
) -> list[tuple[str, Exception]]:
    """Have desk and outgoing go on from a checkpoint.

    Returns:
        The parts that cannot be read, and why: what was recorded of them has to be read instead.
    """
    refused: list[tuple[str, Exception]] = []
    try:
        desk.load_snapshot(checkpoint.desk)
        outgoing.load(checkpoint.outgoing)
    except DeskStateError as error:
        refused.append(("alerts", error))
    try:
        outgoing.load_choices(checkpoint.choices, choices_only=bool(refused))
    except DeskStateError as error:
        refused.append(("choices", error))
    return refused
