"""Whether the broker is set up so that nothing is lost and nobody waits: checks for the operator.

Each check is a function of what the broker says about itself. `broker_checks` runs all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, DiscardPolicy, RetentionPolicy, StorageType, StreamInfo
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from cordon.settings import Settings
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
_FAILURES = (nats.errors.Error, JetStreamError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Check:
    """What was found.

    Attributes:
        ok: Nothing is to be done.
        meaning: What it is, and what follows from it.
        advice: What to do; empty when it is well.
    """

    name: str
    ok: bool
    meaning: str
    advice: str = ""


async def session_exists(js: JetStreamContext, _settings: Settings) -> Check:
    """The broker keeps messages for the gateway only from the moment that its sessions exist."""
    found = await _consumers(js)
    if len(found) >= SUBSCRIPTIONS:
        return Check("sessions", True, f"the gateway's sessions hold {len(found)} subscriptions")
    return Check(
        "sessions",
        False,
        f"the gateway's sessions hold {len(found)} subscriptions of {SUBSCRIPTIONS}: what devices "
        "send on the others, the broker acknowledges and throws away",
        "start the service and wait until it is ready before any device connects",
    )


async def ack_wait(js: JetStreamContext, _settings: Settings) -> Check:
    """How late a message in flight to a dead gateway comes again."""
    waits_s = [one.config.ack_wait or 0.0 for one in await _consumers(js)]
    if not waits_s:
        return Check("ack_wait", True, _NO_SESSION)
    worst_s = max(waits_s)
    return Check(
        "ack_wait",
        worst_s <= ACK_WAIT_MOST_S,
        f"what was on its way to a service that died comes again after {worst_s:g} s",
        ""
        if worst_s <= ACK_WAIT_MOST_S
        else 'set ack_wait: "2s" in the mqtt block of nats-server, then delete the sessions: they '
        "keep what they were made with",
    )


async def max_ack_pending(js: JetStreamContext, _settings: Settings) -> Check:
    """How long alerts go on while the journal stalls."""
    windows = [one.config.max_ack_pending or 0 for one in await _consumers(js)]
    if not windows:
        return Check("max_ack_pending", True, _NO_SESSION)
    least = min(windows)
    return Check(
        "max_ack_pending",
        least >= PENDING_LEAST,
        f"while the journal stalls, alerts go on for {least} messages of a session",
        ""
        if least >= PENDING_LEAST
        else "set max_ack_pending: 10000 in the mqtt block of nats-server, then delete the sessions",
    )


async def message_store(js: JetStreamContext, _settings: Settings) -> Check:
    """Where the broker keeps what it has acknowledged to devices."""
    try:
        config = (await js.stream_info(MESSAGES)).config
    except NotFoundError:
        return Check(
            "message store",
            False,
            "the broker has not kept a QoS 1 message yet",
            "is the MQTT listener on? it makes the store with the first session",
        )
    kept = config.storage == StorageType.FILE
    by_interest = config.retention in {RetentionPolicy.INTEREST, RetentionPolicy.LIMITS}
    return Check(
        "message store",
        kept and by_interest,
        f"what is acknowledged to devices is kept in {MESSAGES} ({config.storage}, {config.retention})"
        + (
            ", for as long as the gateway's session wants it"
            if config.retention == RetentionPolicy.INTEREST
            else f", for {config.max_age or 0:g} s"
        ),
        "" if kept and by_interest else f"{MESSAGES} must be on file; do not change it by hand",
    )


async def streams(js: JetStreamContext, _settings: Settings) -> Check:
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
    return Check(
        "streams",
        not wrong,
        "; ".join(wrong) or f"all {len(STREAMS)} streams stand, on file, for a week",
        "start the service: it makes them and sets them right" if wrong else "",
    )


async def room(js: JetStreamContext, settings: Settings) -> Check:
    """Whether the streams meet their own limits before the disk meets its."""
    infos = [await _info(js, name) for name in STREAMS]
    reserved = sum(info.config.max_bytes or 0 for info in infos if info)
    used = sum(info.state.bytes for info in infos if info)
    home = Path(settings.state_directory) / "broker"
    if settings.broker.nats_url or not home.exists():
        return Check("room", True, f"the streams may grow from {used} to {reserved} bytes")
    free = shutil.disk_usage(home).free
    fits = free > settings.broker.store_bytes - used
    return Check(
        "room",
        fits,
        f"the broker may grow to {settings.broker.store_bytes} bytes; {free} are free",
        ""
        if fits
        else "make room, or lower broker.store_bytes: a broker that meets a full disk stops taking "
        "messages",
    )


async def sync_interval(_js: JetStreamContext, settings: Settings) -> Check:
    """What a power cut may cost."""
    if settings.broker.nats_url:
        return Check(
            "sync_interval",
            True,
            "the broker does not say how often it forces its files to disk",
            "",
        )
    return Check(
        "sync_interval",
        True,
        f"files are forced to disk every {settings.broker.sync_interval}: a power cut costs at most "
        "that, a killed process nothing",
    )


CHECKS: Sequence[Callable[[JetStreamContext, Settings], Awaitable[Check]]] = (
    session_exists,
    ack_wait,
    max_ack_pending,
    message_store,
    streams,
    room,
    sync_interval,
)


async def broker_checks(js: JetStreamContext, settings: Settings) -> list[Check]:
    """Run every check. One that cannot be run says so instead."""
    found = []
    for check in CHECKS:
        try:
            found.append(await check(js, settings))
        except _FAILURES as error:
            found.append(
                Check(
                    check.__name__,
                    False,
                    f"the broker did not answer ({type(error).__name__})",
                    "is it running, and JetStream on? look at its log",
                )
            )
    return found


async def _info(js: JetStreamContext, name: str) -> StreamInfo | None:
    try:
        return await js.stream_info(name)
    except NotFoundError:
        return None


async def _consumers(js: JetStreamContext) -> list[ConsumerInfo]:
    """Of the message store, those that belong to the gateway's sessions."""
    try:
        found = await js.consumers_info(MESSAGES)
    except NotFoundError:
        return []
    filters = {f"$MQTT.msgs.cordon.v1.*.{kind}" for kind in ("fix", "event", "status", "receipt")}
    return [one for one in found if one.config.filter_subject in filters]
