"""``cordon evidence`` with all its commands, which stand in several modules."""

from __future__ import annotations

from cordon.access_commands import COMMANDS as ACCESS_COMMANDS
from cordon.approaches_command import approaches_command
from cordon.close_command import close_command
from cordon.evidence_commands import evidence
from cordon.handover_commands import hand_over_command, import_command
from cordon.near_command import near_command
from cordon.overlay_commands import overlay
from cordon.overlay_compare_command import compare_command
from cordon.pack_commands import COMMANDS as PACK_COMMANDS
from cordon.retention_commands import COMMANDS as RETENTION_COMMANDS
from cordon.timeline_command import timeline_command

__all__ = ["evidence"]

overlay.add_command(compare_command)
for command in (
    *ACCESS_COMMANDS,
    *PACK_COMMANDS,
    *RETENTION_COMMANDS,
    approaches_command,
    close_command,
    hand_over_command,
    import_command,
    near_command,
    overlay,
    timeline_command,
):
    evidence.add_command(command)
