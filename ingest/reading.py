"""What is made of messages: rows and refusals, gathered message by message.

Every adapter in `ingest.formats` is handed a `Reading` and tells it what the message says, in the
common units of `ingest.native`. What all formats share stands here once: which times can be
believed, how a report without a number gets one, and that an urgent event is never lost for a
formality.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from devices.reports import URGENT, Event, Message, Receipt, Refusal, Status
from ingest import native
from ingest.refusals import Code, Explanation, Refused, explain
from ingest.rows import believable_us, derived_seq, fix_row
from ingest.signatures import NOT_SIGNED

NO_TIME = "$.time: missing, or no instant that can be read."


class Draft:
    """A batch in the making."""

    def __init__(self) -> None:
        self.devices: dict[str, int] = {}
        self.rows: list[tuple[int, ...]] = []
        self.events: list[Event] = []
        self.receipts: list[Receipt] = []
        self.statuses: list[Status] = []
        self.refusals: list[Refusal] = []


class Reading:
    """One message on its way into a draft.

    Args:
        draft: Where rows go.
        index: Of the message in its batch.
        message: As received.
        device: Whose it is, from the topic; empty where only the payload says it.
        must_sign: By device id, whether it has to sign what it sends.

    Attributes:
        device, received_us: Of the message.
        verified: False for a message that its signature, or the lack of one, says nobody has to
            believe: of its urgent events only the type and the arrival are used.
        seq: Number of its first report where a signature carries one; the reports behind it count
            up from there.
    """

    __slots__ = (
        *("_draft", "_index", "_message", "_must_sign", "_refused", "_reports"),
        *("device", "seq", "verified"),
    )

    def __init__(
        self,
        draft: Draft,
        index: int,
        message: Message,
        device: str,
        must_sign: Callable[[str], bool],
    ) -> None:
        self.device = device
        self.seq: int | None = None
        self.verified = True
        self._must_sign = must_sign
        self._draft = draft
        self._index = index
        self._message = message
        self._reports = 0
        self._refused: list[tuple[int | None, Explanation]] = []

    @property
    def received_us(self) -> int:
        """When the message arrived."""
        return self._message.received_us

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come of the message yet, not even a refusal."""
        return not self._reports and not self._refused

    @property
    def has_reports(self) -> bool:
        """Whether a row has come of the message."""
        return self._reports > 0

    @property
    def reasons(self) -> list[str]:
        """Why parts of it, or all, were refused so far."""
        return [explanation.reason for _, explanation in self._refused]

    def speak_for(self, device: str) -> bool:
        """The payload says whose it is. False: it must not speak for this device, which signs.

        Urgent events are taken all the same; the refusal is written down.
        """
        self.device = device
        if self._must_sign(device):
            self.verified = False
            self.refuse(NOT_SIGNED)
        return self.verified

    def add_fix(self, fix: native.Fix, place: int = 0) -> None:
        """A position; `place` is that in its array.

        Raises:
            Refused: Its time cannot be right.
        """
        row = fix_row(self.device, fix, self._message.received_us, self._given_seq(place))
        devices = self._draft.devices
        number = devices.setdefault(self.device, len(devices))
        self._draft.rows.append((self._index, number, *row))
        self._reports += 1

    def add_event(
        self,
        kind: str,
        time_us: int | None,
        *,
        seq: int | None = None,
        peer: str | None = None,
        detail: dict[str, Any] | None = None,
        raw_detail: bytes = b"",
    ) -> None:
        """Something the device noticed.

        An urgent one whose time is missing or cannot be right is taken all the same, with the
        time of its arrival, and is marked so; what was wrong with the time is kept beside it. So is
        one of a message that is not verified, of which nothing but its kind is used: its own time
        and number might be chosen so that a true event looks like a repetition of it.

        Args:
            kind: One of `devices.reports.EventType`.
            time_us: When; None if it cannot be read.
            seq: Its number; None takes the signature's, or derives one from the content.
            peer: The other device.
            detail: Checked already.
            raw_detail: The same as received, from which a number is derived.

        Raises:
            Refused: The time cannot be right, and the event is not urgent.
        """
        doubted = not self.verified
        if doubted:
            if kind not in URGENT:
                return  # the message is refused already
            time_us, seq, peer, detail = self.received_us, None, None, None
        try:
            if time_us is None:
                raise Refused(Code.BAD_TIME, NO_TIME)  # noqa: TRY301 -- one place decides about it
            time_us = believable_us(time_us, self.received_us)
        except Refused as refused:
            if kind not in URGENT:
                raise
            if time_us is not None or not self._refused:  # else it is said already
                self.refuse(refused)
            time_us, doubted = self.received_us, True
        if seq is None:
            seq = self._given_seq(0)
        if seq is None:
            # A doubted time is that of the arrival, which differs when the broker repeats it.
            content = self._message.payload if doubted else raw_detail
            seq = derived_seq(self.device, 0 if doubted else time_us, kind, peer or "", content)
        self._draft.events.append(
            Event(self._index, self.device, seq, time_us, kind, peer, detail or {}, doubted)
        )
        self._reports += 1

    def add_receipt(self, command_id: str, state: str, time_us: int, answer: str | None) -> None:
        """What became of a command.

        Raises:
            Refused: Its time cannot be right.
        """
        time_us = believable_us(time_us, self.received_us)
        receipt = Receipt(self._index, self.device, command_id, state, time_us, answer)
        self._draft.receipts.append(receipt)
        self._reports += 1

    def add_status(self, *, online: bool, time_us: int) -> None:
        """The device came or went.

        Raises:
            Refused: Its time cannot be right.
        """
        time_us = believable_us(time_us, self.received_us)
        self._draft.statuses.append(Status(self._index, self.device, online, time_us))
        self._reports += 1

    def refuse(self, error: BaseException, item: int | None = None) -> None:
        """The message, the part of it that the error names, or one item of its array is refused.

        Args:
            error: A `Refused`, or one of `DECODE_ERRORS`.
            item: Place in the array.
        """
        self._refused.append((item, explain(error)))

    def close(self) -> None:
        """Writes down what was refused."""
        if not self._refused:
            return
        self._draft.refusals.extend(
            _refusals(self._index, self.device, self._message, self._refused)
        )

    def _given_seq(self, place: int) -> int | None:
        return None if self.seq is None else self.seq + place


def _refusals(
    index: int, device: str, message: Message, reasons: Sequence[tuple[int | None, Explanation]]
) -> list[Refusal]:
    sha256 = hashlib.sha256(message.payload).digest()
    size_bytes = len(message.payload)
    return [
        Refusal(index, device, code.value, reason, item, size_bytes, sha256)
        for item, (code, reason) in reasons
    ]
