"""Is the broker there, and set up as the service needs it?"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import msgspec
from nats.js.errors import NotFoundError

from cordon.checks.findings import Check, Finding, Patient
from ingest.streams import STREAMS

ANSWER_S = 5.0
GB = 1e9


class _Config(msgspec.Struct, frozen=True):
    max_storage: int = 0
    store_dir: str = ""
    sync_interval: int = 0
    sync_always: bool = False


class _JetStream(msgspec.Struct, frozen=True):
    config: _Config = _Config()


class _Data(msgspec.Struct, frozen=True):
    jetstream: _JetStream = _JetStream()


class _Answer(msgspec.Struct, frozen=True):
    data: _Data = _Data()


async def reachable(patient: Patient) -> Finding:
    """Does the broker answer the service's name and password?"""
    if patient.broker is None:
        return Finding(
            "broker",
            "fail",
            f"The broker does not answer: {patient.unreachable}. Devices keep their reports; there "
            "are no alerts.",
            "Is nats-server (or `cordon serve`) running? Are broker.nats_url, user and password right?",
        )
    version = patient.broker.connected_server_version
    return Finding(
        "broker", "ok", f"nats-server {version.major}.{version.minor}.{version.patch} answers."
    )


async def room_in_streams(patient: Patient) -> Finding:
    """Is there room left in the streams?"""
    if patient.broker is None:
        return _unknown("room")
    js = patient.broker.jetstream()
    full = []
    for name in STREAMS:
        try:
            info = await js.stream_info(name)
        except NotFoundError:
            continue  # another check says so
        limit = info.config.max_bytes or 0
        if limit > 0 and info.state.bytes > 0.8 * limit:
            full.append(f"{name} {info.state.bytes / limit:.0%}")
    if full:
        return Finding(
            "room",
            "warn",
            f"Nearly full: {', '.join(full)}. A full journal takes nothing more; devices keep it.",
            "Is the database behind? Raise broker.store_bytes if the disk allows it.",
        )
    return Finding("room", "ok", "The streams have room.")


async def forced_to_disk(patient: Patient) -> Finding:
    """How often the broker forces to disk what it has acknowledged."""
    config = await _config(patient)
    if config is None:
        return _unknown("sync_interval")
    seconds = config.sync_interval / 1e9
    if config.sync_always:
        return Finding("sync_interval", "ok", "Every message is forced to disk before its PUBACK.")
    if seconds > 2:
        return Finding(
            "sync_interval",
            "warn",
            f"A power cut may cost {seconds:.0f} s of what devices were told is safe.",
            'Set sync_interval to "1s" or always in the jetstream block of nats-server.',
        )
    return Finding("sync_interval", "ok", f"A power cut may cost {seconds:g} s, a kill nothing.")


async def room_on_disk(patient: Patient) -> Finding:
    """Is the broker's limit below what the disk has? It does not recover by itself from a full one."""
    config = await _config(patient)
    if config is None:
        return _unknown("disk")
    sizes = await asyncio.to_thread(_sizes, Path(config.store_dir))
    if sizes is None:
        return _unknown("disk", "The broker's store is not on this machine.")
    total, free, used = sizes
    needed = config.max_storage - used
    if free < needed:
        return Finding(
            "disk",
            "fail" if free < 0.05 * total else "warn",
            f"The broker may still take {needed / GB:.1f} GB, the disk has {free / GB:.1f} GB.",
            "Make room or lower broker.store_bytes: from a full disk nats-server does not recover "
            "without a restart.",
        )
    return Finding("disk", "ok", f"{free / GB:.1f} GB free, the broker may take {needed / GB:.1f}.")


def _sizes(store: Path) -> tuple[int, int, int] | None:
    """Bytes: of the disk, free on it, and what the broker has on it."""
    if not store.is_dir():
        return None
    used = 0
    for file in store.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the broker removes some meanwhile
            used += file.stat().st_size if file.is_file() else 0
    usage = shutil.disk_usage(store)
    return usage.total, usage.free, used


async def _config(patient: Patient) -> _Config | None:
    if patient.system is None:
        return None
    answer = await patient.system.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout=ANSWER_S)
    return msgspec.json.decode(answer.data, type=_Answer).data.jetstream.config


def _unknown(name: str, why: str = "There is no connection to ask.") -> Finding:
    advice = "Bring the broker back; for a server of yours set broker.system_url."
    return Finding(name, "warn", f"Not known. {why}", advice)


CHECKS: tuple[Check, ...] = (reachable, room_in_streams, forced_to_disk, room_on_disk)
