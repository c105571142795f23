"""From MQTT messages to a batch: every message ends as rows or as refusals, none disappears.

What a payload means is for the adapter of its format (`ingest.formats`) to say. Here stands what
holds for all of them: whose message it is, how large it may be, and that no input whatever makes
the gateway fail. Nothing here reads a clock or does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from devices.reports import FIX_DTYPE, Batch, Message, Signature
from ingest import native
from ingest.formats.contract import Adapter
from ingest.formats.registry import find
from ingest.reading import Draft, Reading
from ingest.refusals import DECODE_ERRORS, Code, Refused
from ingest.signatures import NO_KEYS, Keys, Opened, opened

KEPT_BYTES = 4 * 1024
"""How much of an oversized payload is kept, beside its full length and digest."""


class Decoder:
    """Decodes batches. Remembers nothing of the messages; one serves all.

    Args:
        keys: With what devices sign, where they do.
    """

    def __init__(self, keys: Keys = NO_KEYS) -> None:
        self._keys = keys

    def decode(
        self, messages: Sequence[Message], *, gateway: str, number: int, received_us: int
    ) -> Batch:
        """Decodes everything that arrived in one turn of the gateway.

        Args:
            messages: As received. Topics and payloads may be anything at all.
            gateway: See `Batch.gateway`.
            number: See `Batch.number`.
            received_us: When the batch was closed.

        Returns:
            A batch with the same messages in the same order (oversized payloads cut), in which
            each message stands behind at least one fix, event, receipt, status or refusal.
        """
        draft = Draft()
        kept = [self._message(draft, index, message) for index, message in enumerate(messages)]
        return Batch(
            gateway=gateway,
            number=number,
            received_us=received_us,
            messages=tuple(kept),
            devices=tuple(draft.devices),
            fixes=np.array(draft.rows, FIX_DTYPE),
            events=tuple(draft.events),
            receipts=tuple(draft.receipts),
            statuses=tuple(draft.statuses),
            refusals=tuple(draft.refusals),
        )

    def _message(self, draft: Draft, index: int, message: Message) -> Message:
        """Reads one message into the draft, and returns it as it is to be kept."""
        address = find(message.topic)
        reading = Reading(draft, index, message, address.device, self._must_sign)
        letter = opened(message.topic, message.payload, self._keys.of(address.device))
        if address.refusal is not None or address.adapter is None:
            reading.refuse(address.refusal or _FAILED)
        elif letter.refusal is not None:
            reading.refuse(letter.refusal)
            reading.verified = False
            _rescue(address.adapter, address.kind, reading, letter.body)
        else:
            reading.seq = letter.seq
            _read(address.adapter, address.kind, reading, letter.body)
        reading.close()
        return _kept(message, letter)

    def _must_sign(self, device: str) -> bool:
        keys = self._keys.of(device)
        return keys is not None and keys.required


def _read(adapter: Adapter, kind: str, reading: Reading, payload: bytes) -> None:
    """Has a payload read. Whatever it is, the message ends as rows or as refusals."""
    try:
        _require_size(payload)
        adapter.read(reading, kind, payload)
    except (Refused, *DECODE_ERRORS) as error:
        reading.refuse(error)
        _rescue(adapter, kind, reading, payload)
    except Exception:  # noqa: BLE001 -- one message must not end the gateway, again and again
        reading.refuse(_FAILED)
        _rescue(adapter, kind, reading, payload)
    if reading.is_empty:
        reading.refuse(_FAILED)


def _rescue(adapter: Adapter, kind: str, reading: Reading, payload: bytes) -> None:
    """Has what must not be lost taken from a message that was refused."""
    if reading.has_reports:
        return
    try:
        adapter.rescue(reading, kind, payload)
    except Exception:  # noqa: BLE001 -- as above
        reading.refuse(_FAILED)


_FAILED = Refused(
    Code.ADAPTER_FAILED,
    "The service could not read this, which is a fault of the service: report it with the message.",
)


def _require_size(payload: bytes) -> None:
    if len(payload) > native.MAX_PAYLOAD_BYTES:
        limit = native.MAX_PAYLOAD_BYTES
        raise Refused(Code.TOO_LARGE, f"The payload is larger than {limit} bytes.")
    if not payload:
        raise Refused(Code.EMPTY, "The payload is empty.")


def _kept(message: Message, letter: Opened) -> Message:
    """The message with what became of its signature; cut when what it says is too large."""
    if len(letter.body) > native.MAX_PAYLOAD_BYTES:
        cut = message.payload[:KEPT_BYTES]
        return msgspec.structs.replace(message, payload=cut, signature=letter.signature)
    if letter.signature is Signature.UNSIGNED:
        return message
    return msgspec.structs.replace(message, signature=letter.signature)
