"""What devices write is what the service reads: two programs, one contract."""

from __future__ import annotations

import math
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_datetime, to_iso
from devices.reports import EventType
from ingest import native
from simulators import wire
from simulators.device import SimulatedDevice
from simulators.outbox import Item
from simulators.recording import SPEED_LIMIT_MPS, WORST_ACCURACY_M
from tests.simulators.pretend import START_US

INSTANTS = st.integers(START_US, START_US + 10**15)
OR_UNKNOWN = st.just(float("nan"))


def said(device: SimulatedDevice) -> Item:
    parcel = device.outbox.take()
    assert parcel is not None
    return parcel.items[0]


def new_device() -> SimulatedDevice:
    return SimulatedDevice("tag-1", wire.Broker(), clock=lambda: START_US)


@given(
    INSTANTS,
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.floats(0.01, WORST_ACCURACY_M) | OR_UNKNOWN,
    st.floats(0, 10 * SPEED_LIMIT_MPS) | OR_UNKNOWN,
    st.floats(0, 360) | OR_UNKNOWN,
)
def test_fixes(
    time_us: int, lat: float, lon: float, accuracy_m: float, speed: float, course: float
) -> None:
    device = new_device()
    seq = device.fix(time_us, lat, lon, accuracy_m=accuracy_m, speed_mps=speed, course_deg=course)
    fix = msgspec.json.decode(said(device).body, type=native.Fix)
    assert fix.seq == seq
    assert from_datetime(fix.time) == time_us
    assert fix.lat == pytest.approx(lat, abs=6e-8)
    assert fix.lon == pytest.approx(lon, abs=6e-8)
    assert (fix.accuracy_m is None) == math.isnan(accuracy_m)
    assert fix.accuracy_m is None or fix.accuracy_m == pytest.approx(accuracy_m, abs=0.006)
    assert (fix.speed_mps is not None) == (speed <= SPEED_LIMIT_MPS)
    assert (fix.course_deg is None) == math.isnan(course)
    assert fix.buffered


@given(INSTANTS, st.sampled_from(get_args(EventType)))
def test_events(time_us: int, kind: str) -> None:
    device = new_device()
    device.event(kind, time_us, peer="phone-1")
    event = msgspec.json.decode(said(device).body, type=native.Event)
    assert (event.type, from_datetime(event.time), event.peer) == (kind, time_us, "phone-1")


def test_status_and_receipts() -> None:
    status = msgspec.json.decode(wire.status(False, START_US), type=native.Status)
    assert (status.online, from_datetime(status.time)) == (False, START_US)
    message = wire.ReceiptMessage(id="c", state="shown", time=to_iso(START_US))
    receipt = msgspec.json.decode(wire.encode(message), type=native.Receipt)
    assert (receipt.id, receipt.state) == ("c", "shown")


@pytest.mark.parametrize("kind", native.KINDS)
def test_topics(kind: native.Kind) -> None:
    assert wire.topic("tag-1", kind) == native.topic("tag-1", kind)
