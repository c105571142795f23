"""Is the broker set up so that nothing is lost and nobody waits? Asked of what it says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, DiscardPolicy, RetentionPolicy, StorageType
from nats.js.errors import NotFoundError

from cordon.checks.findings import Check, Finding, Patient
from ingest.streams import JOURNAL, MAX_AGE_S, STREAMS

MESSAGES = "$MQTT_msgs"
"""The stream in which nats-server keeps QoS 1 messages."""

SUBSCRIPTIONS = 4
"""Of the gateway's sessions: positions, events, status, receipts."""

ACK_WAIT_MOST_S = 5.0
"""Above it, what was on its way to a service that died comes again too late."""

PENDING_LEAST = 1_000
"""Below it, a journal that stalls for a second stops alerts."""

_NO_SESSION = "not known before the gateway's sessions exist"


def _judged(name: str, meaning: str, advice: str, *, well: bool) -> Finding:
    return Finding(name, "ok" if well else "fail", meaning, "" if well else advice)


async def session_exists(js: JetStreamContext) -> Finding:
    """The broker keeps messages for the gateway only from the moment that its sessions exist."""
    found = await _consumers(js)
    if len(found) >= SUBSCRIPTIONS:
        return Finding("sessions", "ok", f"the gateway's sessions hold {len(found)} subscriptions")
    return Finding(
        "sessions",
        "fail",
        f"the gateway's sessions hold {len(found)} subscriptions of {SUBSCRIPTIONS}: what devices "
        "send on the others, the broker acknowledges and throws away",
        "start the service and wait until it is ready before any device connects",
    )


async def ack_wait(js: JetStreamContext) -> Finding:
    """How late a message in flight to a dead gateway comes again."""
    waits_s = [one.config.ack_wait or 0.0 for one in await _consumers(js)]
    if not waits_s:
        return Finding("ack_wait", "ok", _NO_SESSION)
    worst_s = max(waits_s)
    return _judged(
        "ack_wait",
        f"What was on its way to a service that died comes again after {worst_s:g} s.",
        'Set ack_wait: "2s" in the mqtt block of nats-server, then delete the sessions: they keep '
        "what they were made with.",
        well=worst_s <= ACK_WAIT_MOST_S,
    )


async def max_ack_pending(js: JetStreamContext) -> Finding:
    """How long alerts go on while the journal stalls."""
    windows = [one.config.max_ack_pending or 0 for one in await _consumers(js)]
    if not windows:
        return Finding("max_ack_pending", "ok", _NO_SESSION)
    least = min(windows)
    return _judged(
        "max_ack_pending",
        f"While the journal stalls, alerts go on for {least} messages of a subscription.",
        "Set max_ack_pending: 10000 in the mqtt block of nats-server, then delete the sessions.",
        well=least >= PENDING_LEAST,
    )


async def message_store(js: JetStreamContext) -> Finding:
    """Where the broker keeps what it has acknowledged to devices."""
    try:
        config = (await js.stream_info(MESSAGES)).config
    except NotFoundError:
        return Finding(
            "message store",
            "fail",
            "The broker has not kept a QoS 1 message yet.",
            "Is the MQTT listener on? It makes the store with the first session.",
        )
    kept = config.storage == StorageType.FILE
    by_interest = config.retention in {RetentionPolicy.INTEREST, RetentionPolicy.LIMITS}
    while_ = (
        "as long as the gateway's session wants it"
        if config.retention == RetentionPolicy.INTEREST
        else f"{config.max_age or 0:g} s"
    )
    return _judged(
        "message store",
        f"What is acknowledged to devices is kept in {MESSAGES} ({config.storage}) for {while_}.",
        f"{MESSAGES} must be on file; do not change it by hand.",
        well=kept and by_interest,
    )


async def streams(js: JetStreamContext) -> Finding:
    """Whether the streams stand, on file, and the journal refuses rather than forgets."""
    wrong = []
    for name in STREAMS:
        try:
            config = (await js.stream_info(name)).config
        except NotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if config.storage != StorageType.FILE:
            wrong.append(f"{name} is kept in memory")
        if name == JOURNAL and config.discard != DiscardPolicy.NEW:
            wrong.append(f"{name} forgets its oldest when it is full")
        if (config.max_age or 0) < MAX_AGE_S:
            wrong.append(f"{name} forgets after {config.max_age or 0:g} s")
    return _judged(
        "streams",
        "; ".join(wrong) or f"All {len(STREAMS)} streams stand, on file, for a week.",
        "Start the service: it makes them and sets them right.",
        well=not wrong,
    )


QUESTIONS: tuple[Callable[[JetStreamContext], Awaitable[Finding]], ...] = (
    session_exists,
    ack_wait,
    max_ack_pending,
    message_store,
    streams,
)


async def broker_settings(patient: Patient) -> Sequence[Finding]:
    """Is everything set that losing nothing rests on?"""
    if patient.broker is None:
        return []  # said already
    js = patient.broker.jetstream()
    return [await asked(js) for asked in QUESTIONS]


async def _consumers(js: JetStreamContext) -> list[ConsumerInfo]:
    """Of the message store, those that belong to the gateway's sessions."""
    try:
        found = await js.consumers_info(MESSAGES)
    except NotFoundError:
        return []
    filters = {f"$MQTT.msgs.cordon.v1.*.{kind}" for kind in ("fix", "event", "status", "receipt")}
    return [one for one in found if one.config.filter_subject in filters]


CHECKS: tuple[Check, ...] = (broker_settings,)
