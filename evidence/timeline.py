"""Everything that is recorded of a case in a time, as one record in order of what happened.

Each line has two times: when something happened (fix time, or the device's own), and when it was known
here. A report that came an hour late stands where it belongs, and says so.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import psycopg

from devices.instants import to_datetime, to_iso
from evidence.holds import carried
from evidence.selection import FOREVER_US

Connection = psycopg.AsyncConnection

LINES_LIMIT = 100_000


class Line(msgspec.Struct, frozen=True):
    """One thing that is recorded.

    Attributes:
        happened: When, by whoever reports it.
        known: When it was decided or received here.
        kind: Table of the schema `evidence`.
        subject: Watch, device or alert.
        what: In words, without a place.
        row: What names the row there.
    """

    happened: str
    known: str
    kind: str
    subject: str
    what: str
    row: str

    def __str__(self) -> str:
        """For people."""
        late = "" if self.known == self.happened else f" (known {self.known})"
        return f"{self.happened}{late} {self.kind} {self.subject}: {self.what}"


class TooMuchError(ValueError):
    """More lines than one record may have."""


async def read_timeline(
    connection: Connection,
    order: str,
    people: Collection[str],
    from_us: int,
    to_us: int,
) -> list[Line]:
    """Lines of a case, those known from an instant to before another.

    Args:
        connection: To the history.
        order: The case: an order.
        people: Ids of those it is about. Of a device that changed hands, only what is of the time in
            which they carried it belongs to the case.
        from_us: The first instant.
        to_us: The instant behind the last.

    Raises:
        TooMuchError: More than `LINES_LIMIT`.
    """
    worn = await carried(connection, people, (0, FOREVER_US))
    spells = [(device, *spell) for device, some in worn.items() for spell in some]
    values = {
        "order": order,
        "people": list(people),
        "devices": [device for device, _, _ in spells],
        "starts": [to_datetime(start) for _, start, _ in spells],
        "ends": [to_datetime(end) for _, _, end in spells],
        "from": to_datetime(from_us),
        "to": to_datetime(to_us),
        "limit": LINES_LIMIT + 1,
    }
    cursor = await connection.execute(_LINES, values)
    rows = await cursor.fetchall()
    if len(rows) > LINES_LIMIT:
        raise TooMuchError(f"More than {LINES_LIMIT} lines: ask for a shorter time.")
    return [Line(to_iso(happened), to_iso(known), *rest) for happened, known, *rest in rows]


_LINES = """
    WITH carried AS (
        SELECT * FROM unnest(%(devices)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
            AS c (device, start, stop)
    ), of_case AS (
        SELECT DISTINCT alert_id FROM evidence.alert_change
        WHERE document->'data'->>'order_id' = %(order)s
            -- Those of events, anomalies and troubles of devices name no order.
            OR (document->'data'->>'device' = ANY(%(devices)s)
                AND ARRAY[document->'data'->>'wearer', document->'data'->>'protected']
                    && %(people)s::text[])
    ), found AS (
        SELECT coalesce(greatest(fix_time_a, fix_time_b), decided_at) AS happened,
            decided_at AS known, 'decision' AS kind, watch AS subject,
            (ARRAY['clear', 'pre-alert', 'alert', 'contact', 'unknown'])[previous + 1] || ' -> ' ||
            (ARRAY['clear', 'pre-alert', 'alert', 'contact', 'unknown'])[level + 1] ||
            CASE WHEN distance_m = 'NaN' THEN '' ELSE format(', %%s m', round(distance_m::numeric)) END
            AS what, format('%%s number %%s', watch, number) AS row
        FROM evidence.decision
        WHERE order_id = %(order)s AND decided_at >= %(from)s AND decided_at < %(to)s
        UNION ALL
        SELECT coalesce(onset_at, decided_at), decided_at, 'anomaly', device,
            format('kind %%s %%s', kind, CASE WHEN began THEN 'begins' ELSE 'ends' END),
            format('%%s number %%s', device, number)
        FROM evidence.anomaly JOIN carried USING (device)
        WHERE coalesce(onset_at, decided_at) >= start AND coalesce(onset_at, decided_at) < stop
            AND decided_at >= %(from)s AND decided_at < %(to)s
        UNION ALL
        SELECT coalesce(onset_at, decided_at), decided_at, 'device_health', device,
            format('%%s %%s', kind, CASE WHEN began THEN 'begins' ELSE 'ends' END),
            format('%%s number %%s', device, number)
        FROM evidence.device_health JOIN carried USING (device)
        WHERE coalesce(onset_at, decided_at) >= start AND coalesce(onset_at, decided_at) < stop
            AND decided_at >= %(from)s AND decided_at < %(to)s
        UNION ALL
        SELECT time, received_at, 'event', device,
            type || coalesce(' of ' || peer, ''), format('%%s number %%s', device, seq)
        FROM evidence.event JOIN carried USING (device)
        WHERE CASE WHEN time_doubted THEN received_at ELSE time END >= start
            AND CASE WHEN time_doubted THEN received_at ELSE time END < stop
            AND received_at >= %(from)s AND received_at < %(to)s
        UNION ALL
        SELECT time, time, 'alert_change', a.alert_id,
            format('%%s, tier %%s, by %%s', type, tier, actor), format('version %%s', version)
        FROM evidence.alert_change a JOIN of_case USING (alert_id)
        WHERE time >= %(from)s AND time < %(to)s
        UNION ALL
        SELECT time, time, 'delivery', d.alert_id,
            format('%%s to %%s: %%s', channel, recipient, state), delivery_id
        FROM evidence.delivery d JOIN of_case USING (alert_id)
        WHERE time >= %(from)s AND time < %(to)s
    )
    SELECT evidence.us(happened), evidence.us(known), kind, subject, what, row FROM found
    ORDER BY happened, known, kind, subject, row LIMIT %(limit)s
"""
