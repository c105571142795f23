"""Batches, decisions and alert changes to store: plain ones, and as odd as they can get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from alerts.decisions import AnomalyDecision, Decision, GapDecision, HealthDecision
from alerts.deliveries import DeliveryRecord, DeliveryState
from alerts.model import Alert, AlertChange
from devices.health_changes import HealthChange
from devices.instants import to_iso
from devices.reports import (
    ALTITUDE_MISSING,
    FIX_DTYPE,
    MISSING,
    Batch,
    Event,
    Message,
    Receipt,
    Refusal,
    Status,
)
from devices.sequence_changes import GapChange, GapState
from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_state import Anomaly
from geofence.levels import UNKNOWN_TIME_US, Level, Transition

NOW_US = 1_795_000_000_123_457  # November 2026, on purpose not a whole millisecond
DAY_US = 86_400_000_000


def batch_of(
    number: int,
    fixes: Sequence[tuple[str, int, int]] = (),
    *,
    gateway: str = "gw0-test",
    received_us: int | None = None,
    **rows: Any,
) -> Batch:
    """A batch with one message per (device, seq, time_us), received a second apart."""
    at_us = NOW_US + number * 1_000_000 if received_us is None else received_us
    devices = tuple(dict.fromkeys(device for device, _, _ in fixes))
    table = np.zeros(len(fixes), FIX_DTYPE)
    for index, (device, seq, time_us) in enumerate(fixes):
        table[index]["message"] = index
        table[index]["device"] = devices.index(device)
        table[index]["seq"] = seq
        table[index]["time_us"] = time_us
        table[index]["lat_e7"] = 515_074_000 + seq
        table[index]["lon_e7"] = -1_278_000
        table[index]["accuracy_cm"] = MISSING
        table[index]["altitude_dm"] = ALTITUDE_MISSING
    messages = tuple(
        Message(at_us, f"cordon/v1/{device}/fix", b'{"seq": %d}' % seq) for device, seq, _ in fixes
    )
    return Batch(
        gateway=gateway,
        number=number,
        received_us=at_us,
        messages=messages + rows.pop("messages", ()),
        devices=devices,
        fixes=table,
        **rows,
    )


def decision_of(number: int, **changes: Any) -> Decision:
    transition = Transition(
        watch="c1/tag-1/handset-1",
        number=number,
        previous=Level.CLEAR,
        level=Level.ALERT,
        onset_us=NOW_US,
        decided_at_us=NOW_US + number,
        distance_m=412.25,
        distance_low_m=400.0,
        distance_high_m=430.0,
        probability=0.987654321,
        time_to_contact_s=float("inf"),
        fix_time_a_us=NOW_US - 1,
        fix_time_b_us=UNKNOWN_TIME_US,
        swept=False,
    )
    return Decision(
        transition=msgspec.structs.replace(transition, **changes),
        condition_id="c1",
        order_id="o1",
        agency="centre",
        wearer="w1",
        protected="p1",
        tag="tag-1",
        handset="handset-1",
        rules="r1",
        build="b1",
        caseload_version="v1",
        after_position=number,
    )


def anomaly_of(number: int, *, began: bool = True, **changes: Any) -> AnomalyDecision:
    change = AnomalyChange(
        track="tag-1",
        kind=Anomaly.CLONE,
        began=began,
        onset_us=NOW_US - 60_000_000,
        decided_at_us=NOW_US + number,
        quantity=51_234.5,
        count=7,
        number=number,
    )
    return AnomalyDecision(
        change=msgspec.structs.replace(change, **changes),
        person="w1",
        role="wearer",
        agency="centre",
        rules="r1",
        build="b1",
        caseload_version="v1",
        after_position=number,
    )


def health_of(number: int, *, began: bool = True, **changes: Any) -> HealthDecision:
    change = HealthChange(
        device="tag-1",
        kind="silent",
        began=began,
        onset_us=NOW_US - 240_000_000,
        decided_at_us=NOW_US + number,
        cause="offline",
        quantity=240.0,
        number=number,
    )
    return HealthDecision(
        change=msgspec.structs.replace(change, **changes),
        person="w1",
        role="wearer",
        agency="centre",
        build="b1",
        caseload_version="v1",
        after_position=number,
    )


def gap_of(number: int, state: GapState = "opened", **changes: Any) -> GapDecision:
    change = GapChange(
        device="tag-1",
        number=number,
        first_seq=4712,
        last_seq=4719,
        state=state,
        missing=8,
        opened_us=NOW_US - 60_000_000,
        decided_at_us=NOW_US + number,
    )
    return GapDecision(
        change=msgspec.structs.replace(change, **changes), build="b1", after_position=number
    )


def change_of(version: int, *, alert_id: str = "a1", note: str = "") -> AlertChange:
    at = to_iso(NOW_US + version)
    alert = Alert(
        alert_id=alert_id,
        episode_id="e1",
        condition_id="c1",
        condition="proximity",
        tier=1,
        level="alert",
        agency="centre",
        wearer="w1",
        protected="p1",
        decided_at=at,
        rules="r1",
        build="b1",
        version=version,
        highest_level="alert",
        state="active",
        onset=at,
        raised_at=at,
        note=note,
    )
    return AlertChange(
        id=f"{alert_id}/{version}",
        source="cordon/test",
        type="cordon.alert.raised" if version == 1 else "cordon.alert.level",
        subject=alert_id,
        time=at,
        data=alert,
        actor="system",
    )


def delivery_of(version: int, state: DeliveryState, *, alert_id: str = "a1") -> DeliveryRecord:
    return DeliveryRecord(
        id=f"d{version}/{state}",
        type=f"cordon.delivery.{state}",
        time=to_iso(NOW_US + version),
        delivery_id=f"d{version}",
        alert_id=alert_id,
        change_id=f"{alert_id}/{version}",
        channel="handset",
        recipient="handset-1",
        state=state,
    )


# On few days, so that few partitions are made, and often equal, so that duplicates are common.
instants = st.builds(
    lambda days, us: NOW_US - days * DAY_US - us,
    st.sampled_from([0, 1, 30, 399]),
    st.integers(0, 3) | st.integers(0, DAY_US),
)
device_ids = st.sampled_from(["tag-1", "handset-1", "T" * 64])
text = st.text(max_size=20) | st.just("\0 and \ud800")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def batches(draw: st.DrawFn, number: int = 1) -> Batch:
    """A batch of every kind of row, with the values at the ends of their ranges."""
    messages = draw(st.lists(_messages(), min_size=1, max_size=4))
    which = st.integers(0, len(messages) - 1)
    devices = draw(st.lists(device_ids, min_size=1, max_size=3, unique=True))
    rows = draw(st.lists(_fix_rows(len(messages), len(devices)), max_size=6))
    return Batch(
        gateway=draw(st.sampled_from(["gw0-1a2b3c", "gw1.a"])),
        number=number,
        received_us=NOW_US,
        messages=tuple(messages),
        devices=tuple(devices),
        fixes=np.array(rows, FIX_DTYPE),
        events=tuple(draw(st.lists(_events(which), max_size=3))),
        receipts=tuple(draw(st.lists(_receipts(which), max_size=2))),
        statuses=tuple(draw(st.lists(_statuses(which), max_size=2))),
        refusals=tuple(draw(st.lists(_refusals(which), max_size=2))),
    )


def _messages() -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        received_us=st.integers(NOW_US - 1_000_000, NOW_US),
        topic=text,
        payload=st.binary(max_size=40),
    )


def _fix_rows(messages: int, devices: int) -> st.SearchStrategy[tuple[Any, ...]]:
    int16 = st.integers(-(2**15), 2**15 - 1)
    int8 = st.integers(-(2**7), 2**7 - 1)
    return st.tuples(
        st.integers(0, messages - 1),
        st.integers(0, devices - 1),
        st.integers(0, 2) | int64,
        instants,
        *[int32] * 6,
        int16,
        int16,
        st.integers(0, 255),
        int8,
        int8,
        st.integers(0, 1),
    )


def _events(which: st.SearchStrategy[int]) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        message=which,
        device=device_ids,
        seq=st.integers(0, 2) | int64,
        time_us=instants,
        type=st.sampled_from(["panic", "strap_cut"]),
        peer=st.none() | text,
        detail=st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    )


def _receipts(which: st.SearchStrategy[int]) -> st.SearchStrategy[Receipt]:
    return st.builds(
        Receipt,
        message=which,
        device=device_ids,
        command_id=text,
        state=text,
        time_us=instants,
        answer=st.none() | text,
    )


def _statuses(which: st.SearchStrategy[int]) -> st.SearchStrategy[Status]:
    return st.builds(
        Status, message=which, device=device_ids, online=st.booleans(), time_us=instants
    )


def _refusals(which: st.SearchStrategy[int]) -> st.SearchStrategy[Refusal]:
    return st.builds(
        Refusal,
        message=which,
        device=text,
        code=st.sampled_from(["not_json", "out_of_range"]),
        reason=text,
        item=st.none() | st.integers(0, 500),
        size_bytes=st.integers(0, 2**40),
        sha256=st.binary(min_size=32, max_size=32),
    )
