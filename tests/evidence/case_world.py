"""A case as it comes to court: an order, two people near each other, an alert that ends, all sealed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg

from devices.caseload import Caseload
from devices.instants import to_iso
from devices.reports import FIX_DTYPE, Batch, Event, Message, Receipt
from devices.store import CaseloadStore
from evidence.export import Exported, Signers, export
from evidence.selection import Asked, Window
from evidence.store import Store
from geofence.levels import Level
from tests.evidence.custody import custody
from tests.evidence.samples import (
    NOW_US,
    anomaly_of,
    change_of,
    command_of,
    decision_of,
    delivery_of,
    gap_of,
    health_of,
)
from tests.evidence.sealing_world import log_keys, sealer_of
from tests.evidence.test_store import alert_entries

SECOND_US = 1_000_000
FROM_US, TO_US = NOW_US, NOW_US + 3_600 * SECOND_US
HERS = [(515_000_017 + 1_009 * n, -1_300_013 - 1_013 * n) for n in range(8)]
"""Her positions: in no digits the same as his."""
HIS = [(515_931_271 + 911 * n, -1_177_717 - 919 * n) for n in range(8)]
_clock = itertools.count(TO_US, SECOND_US)
CENTRE = (51.5012345, -0.1312345)
"""Of the zone around where she lives."""


def caseload() -> Caseload:
    day_ago = to_iso(NOW_US - 86_400 * SECOND_US)
    return msgspec.convert(
        {
            "agencies": [{"id": "centre", "name": "Monitoring centre"}],
            "people": [
                {"id": "w1", "role": "wearer", "name": "Case 26/118"},
                {"id": "p1", "role": "protected", "name": "P."},
            ],
            "devices": [{"id": "tag-1", "kind": "tag"}, {"id": "handset-1", "kind": "handset"}],
            "assignments": [
                {"device": "tag-1", "person": "w1", "from": day_ago},
                {"device": "handset-1", "person": "p1", "from": day_ago},
            ],
            "orders": [
                {
                    "id": "o1",
                    "agency": "centre",
                    "wearer": "w1",
                    "valid_from": day_ago,
                    "conditions": [
                        {"type": "proximity", "id": "c1", "protected": "p1", "alert_m": 500},
                        {
                            "type": "exclusion",
                            "id": "c2",
                            "name": "her home",
                            "circle": {"lat": CENTRE[0], "lon": CENTRE[1], "radius_m": 300},
                        },
                    ],
                }
            ],
        },
        Caseload,
    )


def payload_of(lat_e7: int, lon_e7: int) -> bytes:
    """A fix as a device writes it."""
    return f'{{"lat": {lat_e7 / 1e7:.7f}, "lon": {lon_e7 / 1e7:.7f}}}'.encode()


def batch(number: int, device: str, places: Sequence[tuple[int, int]], **rows: Any) -> Batch:
    fixes = np.zeros(len(places), FIX_DTYPE)
    messages = []
    for index, (lat_e7, lon_e7) in enumerate(places):
        fixes[index]["message"] = index
        fixes[index]["seq"] = 100 * number + index
        fixes[index]["time_us"] = NOW_US + (60 * index + number) * SECOND_US
        fixes[index]["lat_e7"], fixes[index]["lon_e7"] = lat_e7, lon_e7
        fixes[index]["accuracy_cm"] = 650
        fixes[index]["satellites"] = 9
        at_us = int(fixes[index]["time_us"]) + SECOND_US
        messages.append(Message(at_us, f"cordon/v1/{device}/fix", payload_of(lat_e7, lon_e7)))
    return Batch(
        gateway="gw0-test",
        number=number,
        received_us=NOW_US + number * SECOND_US,
        messages=(*messages, *rows.pop("messages", ())),
        devices=(device,),
        fixes=fixes,
        **rows,
    )


async def build(store: Store, dsn: str, folder: Path, *witnesses: Any) -> None:
    """Store and seal the case."""
    orders = CaseloadStore(dsn)
    await orders.migrate()
    await orders.save(caseload())
    await orders.close()
    heard = Message(NOW_US + SECOND_US, "cordon/v1/tag-1/event", b'{"peer": "handset-1"}')
    beacon = Event(len(HIS), "tag-1", 900, NOW_US + SECOND_US, "beacon_seen", "handset-1", {})
    await store.write_journal([(1, batch(1, "tag-1", HIS, messages=(heard,), events=(beacon,)))])
    told = Message(NOW_US + SECOND_US, "cordon/v1/handset-1/receipt", b"{}")
    receipt = Receipt(len(HERS), "handset-1", "d1", "shown", NOW_US + 90 * SECOND_US, None)
    await store.write_journal(
        [(2, batch(2, "handset-1", HERS, messages=(told,), receipts=(receipt,)))]
    )
    await store.write_decisions(
        [
            (1, [decision_of(1), decision_of(2, previous=Level.ALERT, level=Level.CLEAR)]),
            (2, [anomaly_of(1)]),
            (3, [health_of(1)]),
            (4, [gap_of(1)]),
            (5, [command_of(1, reason="near")]),
        ]
    )
    await store.write_alerts(alert_entries(*enumerate(_alerts(), 1)))
    sealer = sealer_of(dsn, folder, *witnesses)
    await sealer.turn()
    await sealer.turn()


def _alerts() -> list[bytes]:
    steps = [
        ("raised", {}),
        ("acknowledged", {"acknowledged_by": "Kim", "acknowledged_at": to_iso(NOW_US + 9)}),
        ("returned", {"state": "returned"}),
        ("resolved", {"resolved_by": "Kim", "outcome": "breach", "note": "=seen; +on CCTV"}),
    ]
    found = []
    for version, (kind, changes) in enumerate(steps, 1):
        change = change_of(version)
        alert = msgspec.structs.replace(
            change.data, order_id="o1", distance_m=412.25, watch="c1/tag-1/handset-1", **changes
        )
        actor = "system" if kind in {"raised", "returned"} else "Kim"
        found.append(
            msgspec.json.encode(
                msgspec.structs.replace(
                    change, type=f"cordon.alert.{kind}", data=alert, actor=actor
                )
            )
        )
    found += [msgspec.json.encode(delivery_of(1, state)) for state in ("sent", "received", "shown")]
    return found


async def pack(
    dsn: str,
    folder: Path,
    side: str = "court",
    *,
    withheld_us: tuple[Window, ...] = (),
    charged: frozenset[str] = frozenset(),
    witness_keys: Sequence[Any] = (),
) -> Exported:
    """Export the case for a side."""
    asked = Asked(custody("o1", FROM_US, TO_US, side), "", withheld_us, charged)
    return await pack_as(dsn, folder, asked, witness_keys)


async def pack_as(
    dsn: str, folder: Path, asked: Asked, witness_keys: Sequence[Any] = ()
) -> Exported:
    """Export what is asked for."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        signers = Signers(log_keys(), list(witness_keys), min(2, len(witness_keys)))
        return await export(connection, asked, folder, signers, _clock.__next__)
