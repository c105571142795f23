"""Metrics of the record: how full the database is, and what waits for people."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from cordon.record_watch import RecordWatch


def of_record(watch: RecordWatch) -> Iterator[Metric]:
    """None of a figure that is not known at present."""
    figures: dict[str, tuple[str, float | None]] = {}
    if watch.capacity is not None:
        capacity = watch.capacity
        figures |= {
            "database_bytes": ("Size of the database", capacity.used_bytes),
            "database_growth_bytes_per_day": (
                "Over the last week",
                capacity.growth_bytes_per_day,
            ),
            "database_free_bytes": ("What is left for it", capacity.free_bytes),
            "database_days_left": ("Until it is full, at that growth", capacity.days_left),
        }
    if watch.waiting is not None:
        waiting = watch.waiting
        figures |= {
            "break_glass_waiting": ("Read in an emergency, not reviewed", len(waiting.glass)),
            "break_glass_overdue": ("The same for more than a day", waiting.glass_overdue),
            "holds_in_force": ("Legal holds", waiting.holds),
            "holds_to_review": ("Of these to be looked at again", waiting.holds_due),
        }
    for name, (text, value) in figures.items():
        if value is not None:
            yield GaugeMetricFamily(f"cordon_{name}", text, float(value))
