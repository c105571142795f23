"""Why an alert is there, in plain words, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from devices.instants import to_iso
from geofence.anomaly_state import Anomaly
from geofence.levels import Cause
from tests.console.desk import Desk, lane
from tests.console.fake import NOW_US, alert

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAUSES = {
    Cause.POSITION: "by position",
    Cause.AHEAD: "predicted",
    Cause.PATH: "passed between two fixes",
    Cause.BEACON: "beacon",
    Cause.SILENCE: "silence",
    Cause.CALM: "away for long enough",
    Cause.PLAN: "no longer asks",
}
FOUND: dict[Anomaly, tuple[float, int, str, str]] = {
    Anomaly.FROZEN: (1800.0, 61, "stands still", "the same position for 30 min, in 61 fixes"),
    Anomaly.SPEED: (200.0, 4, "faster than possible", "720 km/h, in 4 fixes in a row"),
    Anomaly.CLONE: (51_234.5, 7, "two places", "51.2\u00a0km apart, 7 changes"),
    Anomaly.CLOCK: (-240.0, 2, "Clock is wrong", "4 min behind"),
    Anomaly.CLOCK_GPS: (18.0, 2, "GPS time", "18 s ahead"),
    Anomaly.MINUTES: (92_000.0, 3, "written wrongly", "92.0\u00a0km off, in 3 fixes"),
    Anomaly.STAYS_BEHIND: (840.0, 0, "phone are apart", "840\u00a0m apart; the tag stands (own-1)"),
}


async def _facts(desk: Desk, **fields: Any) -> str:
    page = await desk.open()
    desk.publish(alert("a1", **fields))
    row = lane(page, "Needs action")
    await row.get_by_role("button").first.click()
    facts = page.get_by_label("Selected").locator("dl")
    await expect(facts).to_contain_text("Decided by")
    return await facts.inner_text()


@pytest.mark.parametrize("cause", Cause)
async def test_every_cause_has_words(desk: Desk, cause: Cause) -> None:
    assert CAUSES[cause] in await _facts(desk, cause=cause.label)


async def test_the_way_between_fixes_says_how_near(desk: Desk) -> None:
    near = {"cause": "path", "closest_m": 87.4, "closest_at": to_iso(NOW_US)}
    assert "passed between two fixes, 87\u00a0m at the nearest, " in await _facts(desk, **near)


async def test_an_alert_of_an_earlier_version_says_nothing_of_it(desk: Desk) -> None:
    assert "Why" not in await _facts(desk)


@pytest.mark.parametrize("kind", Anomaly)
async def test_every_anomaly_has_words(desk: Desk, kind: Anomaly) -> None:
    quantity, count, title, numbers = FOUND[kind]
    fields = {
        "condition": "device",
        "condition_id": "",
        "tier": 4,
        "level": kind.label,
        "highest_level": kind.label,
        "protected": None,
        "watch": "",
        "device": "tag-1",
        "anomaly": kind.label,
        "companion": "own-1" if kind is Anomaly.STAYS_BEHIND else "",
        "quantity": quantity,
        "count": count,
        "distance_m": None,
    }
    assert numbers in await _facts(desk, **fields)
    row = lane(desk.pages[-1], "Needs action")
    await expect(row).to_contain_text(title)
    await expect(row).to_contain_text("tag-1: ")
