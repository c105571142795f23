"""What was refused, as the history tells it: the newest, by reason, and by device."""

from __future__ import annotations

from dataclasses import dataclass

REFUSALS_LIMIT = 500
REFUSAL_CODES_LIMIT = 100
REFUSALS_SCANNED = 10_000
"""The newest refusals that are grouped by device: one that floods us must not slow the reading."""

PREVIEW_BYTES = 200
"""As much of a refused payload as is shown; the whole of it stands in `evidence.message`."""


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message, or one item of it, that was not accepted.

    Attributes:
        item: Position in an array of fixes; None when the whole message was refused.
        size_bytes: Of the payload as received.
        preview: The first `PREVIEW_BYTES` of the payload. May hold positions: for staff only.
    """

    received_us: int
    journal_position: int
    device: str
    topic: str
    code: str
    reason: str
    item: int | None
    size_bytes: int
    sha256: bytes
    preview: bytes


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """How often one reason was met."""

    code: str
    count: int
    devices: int
    newest_us: int


@dataclass(frozen=True, slots=True)
class DeviceRefusals:
    """What is wrong with one device for one reason, among the newest refusals.

    Attributes:
        count: At most `REFUSALS_SCANNED`.
        item: Position in its array of fixes of the newest one; None for a whole message.
    """

    device: str
    code: str
    reason: str
    count: int
    last_us: int
    item: int | None


NEWEST = """
    SELECT evidence.us(r.received_at) AS received_us, r.journal_position, r.device,
        coalesce(m.topic, '') AS topic, r.code, r.reason, r.array_item AS item, r.size_bytes,
        r.sha256, coalesce(substr(m.payload, 1, %(cut)s), '') AS preview
    FROM (
        SELECT * FROM evidence.refusal
        ORDER BY received_at DESC, journal_position DESC, item DESC LIMIT %(limit)s
    ) r
    LEFT JOIN evidence.message m ON m.received_at = r.received_at
        AND m.journal_position = r.journal_position AND m.item = r.message
    ORDER BY r.received_at DESC, r.journal_position DESC, r.item DESC
"""

SUMMARY = """
    SELECT code, count(*) AS count, count(DISTINCT device) AS devices,
        evidence.us(max(received_at)) AS newest_us
    FROM evidence.refusal WHERE received_at >= %(since)s
    GROUP BY code ORDER BY count(*) DESC, code LIMIT %(limit)s
"""

BY_DEVICE = """
    SELECT device, code, reason, count(*) AS count, evidence.us(max(received_at)) AS last_us,
        (array_agg(array_item ORDER BY received_at DESC, journal_position DESC, item DESC))[1]
            AS item
    FROM (
        SELECT * FROM evidence.refusal WHERE code <> ALL (%(ordinary)s)
        ORDER BY received_at DESC, journal_position DESC, item DESC LIMIT %(scanned)s
    ) newest
    GROUP BY device, code, reason
    ORDER BY max(received_at) DESC, device, code, reason LIMIT %(limit)s
"""
