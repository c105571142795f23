"""What is told of many batches at once is what is told of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from devices.health import Health
from devices.health_reports import take_reports
from devices.latest import latest_of
from devices.reports import FIX_DTYPE, MISSING, Batch
from devices.sequences import Sequences
from devices.together import Together
from devices.watches import Bearer

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US
NAMES = ("tag-1", "tag-2", "phone-1")

ROWS = st.tuples(
    st.integers(0, 2),
    st.sampled_from([1, 1, 1, 1, 2, 5, -1]),
    st.sampled_from([0, 0, 1, 5, 200]),
    st.sampled_from([0, 0, 1, 3]),
    st.sampled_from([MISSING, 5, 15, 80]),
    st.sampled_from([MISSING, 0, 1]),
)
BATCHES = st.lists(
    st.tuples(
        st.sampled_from([1, 10, 100, 400]), st.permutations(NAMES), st.lists(ROWS, max_size=9)
    ),
    min_size=1,
    max_size=8,
)


def made(drawn: list[Any]) -> list[Batch]:
    batches, now_us = list[Batch](), START_US
    counts = dict.fromkeys(NAMES, 0)
    for number, (after_s, names, rows) in enumerate(drawn):
        now_us += after_s * SECOND_US
        fixes = np.zeros(len(rows), FIX_DTYPE)
        for fix, (device, step, ago_s, kind, pct, charging) in zip(fixes, rows, strict=True):
            counts[names[device]] += step
            fix["device"], fix["seq"] = device, counts[names[device]] if step > 0 else -1
            fix["time_us"], fix["kind"] = now_us - ago_s * SECOND_US, kind
            fix["lat_e7"], fix["lon_e7"] = number, ago_s
            fix["battery_pct"], fix["charging"] = pct, charging
        batches.append(
            Batch(
                gateway="gw",
                number=number,
                received_us=now_us,
                messages=(),
                devices=tuple(names),
                fixes=fixes,
            )
        )
    return batches


def bearers() -> dict[str, Bearer]:
    return {
        name: Bearer(
            device=name,
            kind="tag",
            person="he",
            role="wearer",
            fix_interval_s=10.0,
            agencies=("a",),
        )
        for name in NAMES[:2]
    }


@given(BATCHES)
def test_it_is_what_each_batch_says(drawn: list[Any]) -> None:
    batches = made(drawn)
    singly, together = Sequences(), Sequences()
    heard, known = Health(START_US), Health(START_US)
    for sequences, health in ((singly, heard), (together, known)):
        sequences.plan(NAMES[:2])
        health.plan(bearers(), START_US)
    for batch, said in zip(batches, Together(batches).said(), strict=True):
        assert list(said.latest.items()) == list(latest_of(batch).items())
        assert together.take(batch, said.runs) == singly.take(batch)
        assert together.snapshot() == singly.snapshot()
        found = repr(take_reports(known, batch, said.latest))
        expected = repr(_heard_singly(heard, batch))
        assert found == expected
        assert known.snapshot() == heard.snapshot()


def _heard_singly(health: Health, batch: Batch) -> list[Any]:
    """Word by word."""
    now_us = batch.received_us
    changes, latest = health.advance(now_us), latest_of(batch)
    for name in latest:
        changes += health.hear(name, now_us)
    for name, one in latest.items():
        if one.told_us > 0:
            changes += health.battery(name, one.battery_pct, one.charging, one.told_us, now_us)
        if one.place_us > 0:
            changes += health.position(name, one.place_us, now_us)
    return changes
