"""What a batch says to the command desk."""

from __future__ import annotations

from collections.abc import Mapping

from devices.command_changes import CommandChange
from devices.command_desk import CommandDesk
from devices.latest import Latest
from devices.reports import Batch
from devices.wearing import Wearing


def take_answers(
    desk: CommandDesk, batch: Batch, latest: Mapping[str, Latest], wearing: Wearing
) -> list[CommandChange]:
    """Let the desk know who has come online, who has answered, and where devices are.

    Of each device the newest place counts; one from before its present bearer's time is none of
    his.
    """
    now_us = batch.received_us
    for status in batch.statuses:
        if status.online:
            desk.online(status.device, now_us)
    for device, one in latest.items():
        if one.place_us >= max(wearing.bearer(device).since_us, 0):
            desk.at(device, one.lat_e7, one.lon_e7, now_us)
    return [one for receipt in batch.receipts for one in desk.answered(receipt, now_us)]
