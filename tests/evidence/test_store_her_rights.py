"""What she has chosen, what was held back, and who looked: stored once, asked for any instant."""

from __future__ import annotations

from alerts.deliveries import Entry, encode_entry
from devices.choices import Choices, Quiet
from devices.instants import to_datetime
from evidence.covered import stored_rows
from evidence.database import Database as EvidenceDatabase
from evidence.decided import read_alert_entry
from evidence.reader import Reader
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.her_samples import choice, digest, look
from tests.evidence.samples import NOW_US

NIGHT = Choices(quiet=Quiet(from_="22:00", to="07:00"), zone="Europe/Madrid")


async def store_all(store: Store, *entries: Entry, first: int = 1) -> None:
    group = [read_alert_entry(first + n, encode_entry(one)) for n, one in enumerate(entries)]
    await store.write_alerts(group)


async def test_what_applied_at_every_instant_can_be_asked(store: Store, probe: Probe) -> None:
    entries = (choice(1, NIGHT), choice(2, None, "shape"), choice(3, Choices()))
    await store_all(store, *entries)
    await store_all(store, *entries, first=9)  # the stream was set up anew
    assert probe.count("choice") == 3
    ask = "SELECT evidence.choices_at(%s, %s)"
    assert probe.value(ask, "she", to_datetime(NOW_US)) is None
    assert probe.value(ask, "she", to_datetime(NOW_US + 1))["quiet"] == {
        "from": "22:00",
        "to": "07:00",
    }
    assert probe.value(ask, "she", to_datetime(NOW_US + 2))["zone"] == "Europe/Madrid"
    assert probe.value(ask, "she", to_datetime(NOW_US + 3))["quiet"] is None
    assert probe.value(ask, "he", to_datetime(NOW_US + 3)) is None
    rows = probe.ask("SELECT actor, way, accepted FROM evidence.choice ORDER BY time")
    assert rows == [
        ("she", "handset", True),
        ("Kim", "console", False),
        ("Kim", "console", True),
    ]


async def test_the_history_of_choices_is_read_newest_first(
    store: Store, database: Database
) -> None:
    await store_all(store, choice(1, NIGHT), choice(2, Choices()))
    found = await Reader(database.dsn).choices("she")
    assert [(one.version, one.actor) for one in found] == [(2, "Kim"), (1, "she")]


async def test_who_looked_is_kept_once_and_read_for_her(
    store: Store, probe: Probe, database: Database
) -> None:
    entries = (look(1, "*"), look(2, "she"), look(3, "other"))
    await store_all(store, *entries)
    await store_all(store, *entries, first=9)
    assert probe.count("access") == 3
    found = await Reader(database.dsn).looks("she", 0, NOW_US + 10)
    assert [(one.subject, one.who, one.at_us) for one in found] == [
        ("she", "Kim", NOW_US + 2),
        ("*", "Kim", NOW_US + 1),
    ]
    assert await Reader(database.dsn).looks("she", 0, NOW_US + 1) == []


async def test_digests_are_kept_and_all_of_it_is_covered_by_the_log(
    store: Store, probe: Probe, database: Database
) -> None:
    await store_all(store, choice(1, NIGHT), digest(), look(1, "she"))
    assert probe.ask("SELECT person, items FROM evidence.digest") == [("she", 1)]
    reading = EvidenceDatabase(database.dsn)
    try:
        async with reading.session() as connection, connection.transaction():
            rows = await stored_rows(connection, (0, 2**62))
    finally:
        await reading.close()
    assert len(rows) == 3
