"""Telling her how well she is protected: what goes to which handset when, and what was confirmed.

A status holds until an instant that it carries; the handset then shows that nothing is known. So it is
repeated while it lasts, and nothing that stops the repetition, a dead service, a dead broker, a lost
network, can leave an old "you are protected" standing. Pure: time is given, nothing is sent here.

Changes and confirmations are kept in the alerts stream; repetitions are not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container
from dataclasses import dataclass

import msgspec

from alerts.deliveries import PROTECTION, DeliveryRecord, DeliveryState, new_record
from alerts.profile import Profiles
from alerts.protection import LONGEST_US, OF_HER_HANDSET, Status, status_words
from devices.choices import EVERYTHING_NOW, Choices, Topic, is_quiet
from devices.commands import ProtectionStatus, StatusReason
from devices.instants import to_iso
from devices.reports import Receipt
from devices.watches import Bearer

REPEAT_SHARE = 0.5
"""A status is told again when so much of the time has passed for which it holds: one lost message
leaves no gap."""

ASK_AGAIN_US = 10_000_000
"""Without a receipt for a change it is sent again after so long, and each time after twice as long, up to
the time after which it is told again anyway: many handsets that are away must not fill the way of alerts."""

PAUSES = 10
"""So often a pause doubles: longer than any status holds."""

ANSWERABLE = 8
"""Of the statuses sent that say the same, so many of the newest can be answered; a receipt for an older
one is a stray one."""

REASONS_SHOWN = 5

STATUSES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:protection-status")

_SHOWN: frozenset[DeliveryState] = frozenset({"shown", "answered"})


@dataclass(frozen=True, slots=True)
class Assurance:
    """One status on its way to one handset.

    Attributes:
        changed: It says something else than what this handset is known to have been told last.
    """

    device: str
    command: ProtectionStatus
    changed: bool


@dataclass(slots=True)
class _Told:
    """What one handset was told last."""

    content: tuple[object, ...]
    command_ids: tuple[str, ...]  # of those that say the same, the oldest first
    made_us: int
    until_us: int
    confirmed: bool = False
    unanswered: int = 0  # repetitions since it was said first, or since the handset was there
    lost: bool = False  # it may not have arrived
    recorded: bool = True  # that it was told is kept, or will be when it has been sent


class Assurances:
    """What each handset was told.

    Holds one entry for each handset that `keep` names.

    Args:
        profiles: Have the words.
        choices_of: What a person has chosen.
    """

    def __init__(
        self, profiles: Profiles, choices_of: Callable[[str], Choices] = lambda _: EVERYTHING_NOW
    ) -> None:
        self._profiles = profiles
        self._choices_of = choices_of
        self._told: dict[str, _Told] = {}

    def __len__(self) -> int:
        return len(self._told)

    def due(self, status: Status, now_us: int) -> list[Assurance]:
        """What has to be sent now to the handsets of one person; it counts as sent."""
        found = []
        until_us = min(status.until_us, now_us + LONGEST_US)
        for bearer in status.handsets:
            content = (status.person, bearer.language, status.reasons)
            told = self._told.get(bearer.device)
            differs = told is not None and told.content != content
            if told is not None and not differs and not _is_due(told, until_us, now_us):
                continue
            changed = told is None or differs or not told.recorded
            command = msgspec.structs.replace(
                self._command(status, bearer, until_us, now_us),
                confirm=told is None or differs or not told.confirmed,
                aloud=changed and self._is_aloud(status, now_us, differs=differs),
            )
            same = None if differs else told
            self._told[bearer.device] = _told(content, command.id, now_us, until_us, same)
            found.append(Assurance(bearer.device, command, changed))
        return found

    def _is_aloud(self, status: Status, now_us: int, *, differs: bool) -> bool:
        """Whether a change is announced. That she is not protected always is.

        Whatever else it is, only where it differs from what was told before: what she was told before a
        start of the service is not known here, and every start would sound all handsets at once.
        """
        if status.state == "not_working":
            return True
        if not differs:
            return False
        choices = self._choices_of(status.person)
        own = bool(status.reasons) and status.reasons[0][0] in OF_HER_HANDSET
        topic: Topic = "device" if own else "outage"
        return choices.how(topic) == "now" and not is_quiet(choices, now_us)

    def _command(
        self, status: Status, bearer: Bearer, until_us: int, now_us: int
    ) -> ProtectionStatus:
        shown = status._replace(handsets=(bearer,)).in_words(self._profiles)
        after = status_words(self._profiles, [bearer], "unknown")
        reasons = []
        for one in shown.reasons[:REASONS_SHOWN]:
            words = status_words(self._profiles, [bearer], one.code)
            if words is not None:
                reasons.append(StatusReason(one.code, one.since, words.title, words.text))
        return ProtectionStatus(
            id=str(uuid.uuid5(STATUSES, f"{bearer.device}>{now_us}")),
            time=to_iso(now_us),
            expires=to_iso(until_us),
            state=shown.state,
            since=shown.since,
            verified_at=shown.verified_at,
            title=shown.title,
            text=shown.what_to_do,
            reasons=tuple(reasons),
            after_title="" if after is None else after.title,
            after_text="" if after is None else after.text,
        )

    def keep(self, devices: Container[str]) -> None:
        """Forget all handsets but these."""
        for device in [one for one in self._told if one not in devices]:
            del self._told[device]

    def unsent(self, assurance: Assurance) -> None:
        """It could not be sent, or nobody knows; that it was told is to be kept still."""
        told = self._told.get(assurance.device)
        if told is not None:
            told.lost = True
            told.recorded = told.recorded and not assurance.changed

    def lost(self, device: str) -> None:
        """The handset may not have what it was told: it has connected anew."""
        if device in self._told:
            self._told[device].lost = True

    def answered(self, receipt: Receipt, now_us: int) -> DeliveryRecord | None:
        """Take in a receipt. The record to be kept; None when it is for nothing that is told now."""
        told = self._told.get(receipt.device)
        if told is None or receipt.command_id not in told.command_ids or told.confirmed:
            return None
        if receipt.state not in _SHOWN:
            return None
        told.confirmed = True
        return _record(receipt.device, receipt.command_id, "shown", now_us, receipt.time_us)

    def is_own(self, receipt: Receipt) -> bool:
        """Whether a receipt is for a status that says what its device was told last."""
        told = self._told.get(receipt.device)
        return told is not None and receipt.command_id in told.command_ids


def sent_record(assurance: Assurance, now_us: int) -> DeliveryRecord:
    """That a handset was told something else than before. It names reasons, and no place."""
    command = assurance.command
    codes = ", ".join(reason.code for reason in command.reasons)
    reason = f"protection {command.state}" + (f": {codes}" if codes else "")
    return _record(assurance.device, command.id, "sent", now_us, reason=reason)


def _told(
    content: tuple[object, ...], command_id: str, made_us: int, until_us: int, same: _Told | None
) -> _Told:
    """What a handset is told now; `same`: what it was told before, where that says the same."""
    if same is None:
        return _Told(content, (command_id,), made_us, until_us)
    return _Told(
        content,
        (*same.command_ids, command_id)[-ANSWERABLE:],
        made_us,
        until_us,
        confirmed=same.confirmed,
        unanswered=0 if same.lost else same.unanswered + 1,
    )


def _record(
    device: str,
    command_id: str,
    state: DeliveryState,
    now_us: int,
    device_us: int | None = None,
    *,
    reason: str = "",
) -> DeliveryRecord:
    """A status belongs to no alert: its record has an empty `alert_id`."""
    return new_record(
        command_id,
        state,
        now_us,
        alert_id="",
        change_id=PROTECTION,
        channel="handset",
        recipient=device,
        device_time=None if device_us is None else to_iso(device_us),
        reason=reason,
    )


def _is_due(told: _Told, until_us: int, now_us: int) -> bool:
    """Whether the same is to be told again: it runs out, was lost, or was not answered."""
    if told.lost:
        return True
    rested_us, repeat_us = now_us - told.made_us, REPEAT_SHARE * (told.until_us - told.made_us)
    if not told.confirmed:
        pause_us = ASK_AGAIN_US << min(told.unanswered, PAUSES)
        if rested_us >= min(pause_us, max(repeat_us, ASK_AGAIN_US)):
            return True
    return until_us > told.until_us and rested_us >= repeat_us
