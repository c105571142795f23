"""Whose a fix is: a device goes from one case to another, and fixes come late from before."""

from __future__ import annotations

import msgspec
import psycopg
import pytest

from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from devices.instants import to_datetime
from devices.problems import CaseloadError
from devices.reports import Event
from devices.store import CaseloadStore
from evidence.reader import HistoryUnavailableError, Reader
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of

SINCE_US = NOW_US - 20 * DAY_US
SWAP_US = NOW_US - 10 * DAY_US
WINDOW = (SINCE_US, NOW_US + DAY_US)


def assignment(device: str, person: str, from_us: int, to_us: int | None = None) -> Assignment:
    return Assignment(
        device=device,
        person=person,
        from_=to_datetime(from_us),
        to=None if to_us is None else to_datetime(to_us),
    )


def caseload(*assignments: Assignment) -> Caseload:
    return Caseload(
        agencies=(Agency(id="centre", name="Centre"),),
        people=(
            Person(id="he-1", role="wearer"),
            Person(id="he-2", role="wearer"),
            Person(id="she-1", role="protected"),
        ),
        devices=tuple(Device(id=name, kind="tag") for name in ("tag-1", "tag-2")),
        assignments=assignments,
        orders=(
            Order(
                id="order-1",
                agency="centre",
                wearer="he-1",
                valid_from=to_datetime(SINCE_US),
                conditions=(Proximity(id="near", protected="she-1", alert_m=200),),
            ),
        ),
    )


SWAPPED = caseload(
    assignment("tag-1", "he-1", SINCE_US, SWAP_US),
    assignment("tag-1", "he-2", SWAP_US),
    assignment("tag-2", "he-2", SINCE_US, SWAP_US),
    assignment("tag-2", "he-1", SWAP_US),
)
"""Two tags that change places."""


async def save(database: Database, wanted: Caseload) -> None:
    caseloads = CaseloadStore(database.dsn)
    await caseloads.migrate()
    await caseloads.save(wanted)
    await caseloads.close()


async def track(database: Database, person: str) -> list[tuple[str, int]]:
    found = await Reader(database.dsn).person_track(person, *WINDOW)
    return [(fix.device, fix.seq) for fix in found]


async def drill(store: Store) -> None:
    """Each tag reports every day; the last days before the swap come after everything else."""
    days = {day: SWAP_US + day * DAY_US for day in range(-8, 8)}
    prompt = [(f"tag-{n}", 100 + day, at) for day, at in days.items() for n in (1, 2) if day >= -3]
    late = [(f"tag-{n}", 100 + day, at) for day, at in days.items() for n in (1, 2) if day < -3]
    await store.write_journal([(1, batch_of(1, prompt)), (2, batch_of(2, late))])


def history(before: str, after: str) -> list[tuple[str, int]]:
    return [(before if day < 0 else after, 100 + day) for day in range(-8, 8)]


async def test_the_history_of_each_case_holds_exactly_its_own(
    store: Store, database: Database, probe: Probe
) -> None:
    await save(database, SWAPPED)
    await drill(store)
    assert await track(database, "he-1") == history("tag-1", "tag-2")
    assert await track(database, "he-2") == history("tag-2", "tag-1")
    whose = "SELECT evidence.bearer_at('tag-1', %s)"
    bearers = [probe.value(whose, to_datetime(SWAP_US + d)) for d in (-1, 0, 1)]
    assert bearers == ["he-1", "he-2", "he-2"]
    assert probe.value(whose, to_datetime(SINCE_US - 1)) is None


async def test_an_assignment_corrected_late_corrects_the_history(
    store: Store, database: Database
) -> None:
    """It was written down as a swap; in truth tag-1 lay in a drawer for two days first."""
    await save(database, SWAPPED)
    await drill(store)
    drawer_us = SWAP_US - 2 * DAY_US
    corrected = tuple(
        msgspec.structs.replace(one, to=to_datetime(drawer_us))
        if (one.device, one.person) == ("tag-1", "he-1")
        else one
        for one in SWAPPED.assignments
    )
    await save(database, msgspec.structs.replace(SWAPPED, assignments=corrected))
    assert await track(database, "he-1") == [
        one for one in history("tag-1", "tag-2") if one not in {("tag-1", 98), ("tag-1", 99)}
    ]
    assert await track(database, "he-2") == history("tag-2", "tag-1")


async def test_events_belong_to_whoever_carried_the_device(
    store: Store, database: Database, probe: Probe
) -> None:
    await save(database, SWAPPED)
    batch = batch_of(1, [("tag-1", 1, SWAP_US)])
    events = tuple(
        Event(0, "tag-1", seq, SWAP_US + seq * DAY_US, "no_motion", None, {}) for seq in (-1, 0, 1)
    )
    await store.write_journal([(1, msgspec.structs.replace(batch, events=events))])
    window = [to_datetime(at_us) for at_us in WINDOW]
    for person, seqs in (("he-1", [(-1,)]), ("he-2", [(0,), (1,)]), ("she-1", [])):
        query = "SELECT seq FROM evidence.events_of(%s, %s, %s)"
        assert probe.ask(query, person, *window) == seqs


@pytest.mark.parametrize(
    ("from_us", "to_us"),
    [(SINCE_US, None), (SWAP_US - 1, SWAP_US), (SWAP_US, SWAP_US + 1), (NOW_US, None)],
)
async def test_one_device_is_never_two_peoples_at_once(
    database: Database, from_us: int, to_us: int | None
) -> None:
    """Not by the rules of the caseload, and not past them in the database either."""
    await save(database, SWAPPED)
    twice = assignment("tag-1", "she-1", from_us, to_us)
    with pytest.raises(CaseloadError):
        await save(database, msgspec.structs.replace(SWAPPED, assignments=(twice,)))
    insert = (
        "INSERT INTO caseload.assignment (device_no, person_no, valid_from, valid_to)"
        " SELECT device_no, person_no, %s, %s FROM caseload.device d, caseload.person p"
        " WHERE d.id = 'tag-1' AND p.id = 'he-1'"
    )
    moment = to_datetime(from_us + (1 if from_us in {SINCE_US, SWAP_US} else 0))
    end = None if to_us is None else to_datetime(to_us + 1)
    with psycopg.connect(database.dsn) as connection:
        connection.execute(insert, (moment, end))
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.commit()


@pytest.mark.usefixtures("store")
async def test_without_a_caseload_it_says_so(empty_database: Database) -> None:
    with pytest.raises(HistoryUnavailableError):
        await track(empty_database, "he-1")
