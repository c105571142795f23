"""What a batch says to the command desk."""

from __future__ import annotations

import numpy as np

from devices.command_changes import CommandChange
from devices.command_desk import CommandDesk
from devices.reports import Batch
from devices.wearing import Wearing


def take_answers(desk: CommandDesk, batch: Batch, wearing: Wearing) -> list[CommandChange]:
    """Let the desk know who has come online, who has answered, and where devices are.

    Of each device the newest place counts; one from before its present bearer's time is none of
    his.
    """
    now_us = batch.received_us
    for status in batch.statuses:
        if status.online:
            desk.online(status.device, now_us)
    changes = [one for receipt in batch.receipts for one in desk.answered(receipt, now_us)]
    fixes = batch.fixes
    newest = np.full(len(batch.devices), -1, np.int64)
    worn = (
        np.flatnonzero(wearing.tracks_of(batch.devices, fixes) >= 0) if len(fixes) else newest[:0]
    )
    ordered = worn[np.argsort(fixes["time_us"][worn], kind="stable")]
    newest[fixes["device"][ordered]] = ordered
    for index in newest[newest >= 0].tolist():
        row = fixes[index]
        desk.at(batch.devices[row["device"]], int(row["lat_e7"]), int(row["lon_e7"]), now_us)
    return changes
