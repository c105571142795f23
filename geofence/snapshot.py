"""The engine's state as bytes, by the names of devices and watches rather than by index."""

from __future__ import annotations

import msgspec
import numpy as np

from geofence.anomaly_state import ANOMALY_DTYPE, AnomalyArray
from geofence.companions import COMPANION_DTYPE, CompanionArray
from geofence.fingerprint import Fingerprints
from geofence.levels import Level
from geofence.track import TRACK_DTYPE, TrackArray
from geofence.watch import WATCH_DTYPE, WatchArray

_FORMAT = b"CE3"  # Cordon engine, layout 3
_LAYOUT = f"{TRACK_DTYPE.descr}{WATCH_DTYPE.descr}{ANOMALY_DTYPE.descr}{COMPANION_DTYPE.descr}"


class SnapshotError(ValueError):
    """Bytes that are not a snapshot this version can continue from."""


class Retired(msgspec.Struct, frozen=True, array_like=True):
    """What must be remembered of a watch that is in the plan no more, should it come back.

    A curfew comes and goes every day under the same key; its transitions go on counting, and no
    two of its episodes may have the same onset.
    """

    number: int
    onset_us: int
    level: Level

    def closed(self) -> Retired:
        """After the transition that ended its episode."""
        return Retired(self.number + 1, self.onset_us, Level.CLEAR)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to go on, apart from its plan and rules.

    Attributes:
        layout: Fields of the arrays, to refuse the bytes of another version.
        track_ids, tracks: (T,) device ids and the bytes of `TRACK_DTYPE` rows.
        watch_keys, watches: (W,) watch keys and the bytes of `WATCH_DTYPE` rows.
        asked: Bytes of the (W,) fingerprints of what they asked.
        retired: By watch key.
        anomalies: Bytes of the (T,) `ANOMALY_DTYPE` rows of the same devices.
        companion_keys, companions: (C,) pairs of device ids and the bytes of `COMPANION_DTYPE`
            rows.
    """

    layout: str = _LAYOUT
    track_ids: tuple[str, ...]
    tracks: bytes
    watch_keys: tuple[str, ...]
    watches: bytes
    asked: bytes
    retired: dict[str, Retired]
    anomalies: bytes
    companion_keys: tuple[tuple[str, str], ...]
    companions: bytes

    def track_array(self) -> TrackArray:
        """The tracks, as an array of its own."""
        return np.frombuffer(self.tracks, TRACK_DTYPE).copy()

    def fingerprints(self) -> Fingerprints:
        """The fingerprints, as an array."""
        return np.frombuffer(self.asked, np.uint64)

    def watch_array(self) -> WatchArray:
        """The watches, as an array of its own."""
        return np.frombuffer(self.watches, WATCH_DTYPE).copy()

    def anomaly_array(self) -> AnomalyArray:
        """The anomalies of the devices, as an array."""
        return np.frombuffer(self.anomalies, ANOMALY_DTYPE)

    def companion_array(self) -> CompanionArray:
        """The pairs of companions, as an array."""
        return np.frombuffer(self.companions, COMPANION_DTYPE)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Three bytes of format, then MessagePack."""
    return _FORMAT + _encoder.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `encode_snapshot` wrote.

    Raises:
        SnapshotError: Damaged, or written by a version with another state. The engine can then
            be started afresh and fed the newest part of the journal.
    """
    if data[:3] != _FORMAT:
        raise SnapshotError(f"unknown engine snapshot {data[:3]!r}; this version reads {_FORMAT!r}")
    try:
        snapshot = _decoder.decode(memoryview(data)[3:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"damaged engine snapshot: {error}") from error
    if snapshot.layout != _LAYOUT:
        raise SnapshotError("engine snapshot of another version: its state has other fields")
    whole = (
        len(snapshot.tracks) == len(snapshot.track_ids) * TRACK_DTYPE.itemsize
        and len(snapshot.watches) == len(snapshot.watch_keys) * WATCH_DTYPE.itemsize
        and len(snapshot.asked) == len(snapshot.watch_keys) * np.uint64().itemsize
        and len(snapshot.anomalies) == len(snapshot.track_ids) * ANOMALY_DTYPE.itemsize
        and len(snapshot.companions) == len(snapshot.companion_keys) * COMPANION_DTYPE.itemsize
    )
    if not whole:
        raise SnapshotError("damaged engine snapshot: names and rows do not match")
    return snapshot
