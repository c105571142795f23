"""Readings of many records: of everybody whom they are about, recorded first, by grant or broken glass."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import psycopg
import pytest

from devices.caseload import Caseload
from devices.instants import to_datetime
from devices.store import CaseloadStore
from evidence import access
from evidence.access import AccessDeniedError, Connection
from evidence.readings import Claim, Extent, open_reading, people_of_case, people_of_device
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import (
    CASE,
    OTHER_CASE,
    SINCE_US,
    WINDOW,
    Login,
    caseload,
    fill,
    login,
)
from tests.evidence.conftest import Probe
from tests.evidence.granting import grant
from tests.evidence.samples import NOW_US

READINGS = {
    **dict.fromkeys(("near",), ("*",)),
    **dict.fromkeys(("timeline", "approaches", "replay", "export", "conduct"), ("he-1", "she-1")),
    "overlay": (f"case:{CASE}",),
    "overlay compare": ("he-1", f"case:{CASE}"),
}
ANA = Claim("ana", "investigator", CASE, "investigation", "file 1")


@pytest.fixture
async def owner(store: Store, database: Database) -> AsyncIterator[Connection]:
    await fill(database.dsn, store)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        yield connection


def extent(reading: str) -> Extent:
    return Extent(reading, READINGS[reading], *WINDOW)


@pytest.mark.usefixtures("owner")
def test_the_database_knows_the_same_readings(probe: Probe) -> None:
    assert set(probe.value("SELECT evidence.readings()")) == set(READINGS)
    for role in ("investigator", "prosecutor", "agency", "auditor"):
        kinds = set(probe.value("SELECT evidence.kinds_of(%s)", role))
        readings = kinds & set(READINGS)
        assert readings <= READINGS.keys() - ({"near", "export"} if role == "prosecutor" else set())
        assert readings == set() or role in {"investigator", "prosecutor"}
        assert "fix" in kinds or not readings, (
            "who may not see positions may not see them by readings"
        )


async def test_all_of_it_takes_a_grant_of_each_and_every_attempt_is_recorded(
    owner: Connection, probe: Probe
) -> None:
    for reading, subjects in READINGS.items():
        before = probe.count("access")
        with pytest.raises(AccessDeniedError, match="no grant is in force") as refused:
            await open_reading(owner, ANA, extent(reading))
        for subject in subjects:
            words = f"--to ana --role investigator --case {CASE} --subject"
            assert f"{words} {subject}".replace(" *", " '*'") in str(refused.value)
        first, *others = grant(probe.dsn, "ana", CASE, *subjects)
        tickets = await open_reading(owner, ANA, extent(reading))
        assert len(set(tickets)) == len(subjects)
        assert await access.revoke(owner, first, "chief", "moved")
        with pytest.raises(AccessDeniedError, match=f"{subjects[0].replace('*', '.')}: "):
            await open_reading(owner, ANA, extent(reading))
        for one in others:
            await access.revoke(owner, one, "chief", "moved")
        assert probe.count("access") == before + 3 * len(subjects)
    said = probe.ask("SELECT DISTINCT who, what, allowed, note FROM evidence.access")
    assert set(said) == {
        ("ana", what, allowed, "file 1") for what in READINGS for allowed in (True, False)
    }


async def test_another_cases_grant_opens_nothing(owner: Connection, probe: Probe) -> None:
    for reading, subjects in READINGS.items():
        grant(probe.dsn, "ana", OTHER_CASE, *subjects)
        with pytest.raises(AccessDeniedError, match="no grant is in force"):
            await open_reading(owner, ANA, extent(reading))
    # Nor does a grant of somebody whom that order is not about.
    other = Claim("ana", "investigator", OTHER_CASE, "investigation")
    with pytest.raises(AccessDeniedError, match=r"he-1: .* not about this person"):
        await open_reading(owner, other, extent("timeline"))


async def test_a_file_of_another_name_has_whom_its_grants_name(
    owner: Connection, probe: Probe
) -> None:
    claim = Claim("ana", "prosecutor", "26/4711", "prosecution")
    grant(probe.dsn, "ana", "26/4711", "he-1", "he-2", role="prosecutor", purpose="prosecution")
    assert await open_reading(owner, claim, Extent("approaches", ["he-1", "he-2"]))
    for reading in ("near", "export"):
        with pytest.raises(AccessDeniedError, match="does not read all"):
            await open_reading(owner, claim, Extent(reading, ["he-1"]))


async def test_what_is_of_everybody_opens_no_record_of_anybody(
    owner: Connection, probe: Probe
) -> None:
    grant(probe.dsn, "ana", CASE, "*")
    for reading in ("near", "conduct", "replay"):
        assert await open_reading(owner, ANA, Extent(reading, ["*"], *WINDOW))
    for kind in ("timeline", "approaches", "overlay", "overlay compare", "export", "fix"):
        with pytest.raises(AccessDeniedError, match="not of everybody at once"):
            await open_reading(owner, ANA, Extent(kind, ["*"], *WINDOW))
    grant(probe.dsn, "ana", CASE, "he-1")
    with pytest.raises(AccessDeniedError, match="asked of everybody at once"):
        await open_reading(owner, ANA, Extent("near", ["he-1"], *WINDOW))
    with pytest.raises(AccessDeniedError, match="about nobody"):
        await open_reading(owner, ANA, Extent("timeline", [], *WINDOW))


async def test_the_record_stays_whatever_the_reader_does(owner: Connection, probe: Probe) -> None:
    for number, (reading, subjects) in enumerate(READINGS.items()):
        grant(probe.dsn, "ana", CASE, *subjects)
        before = probe.count("access")
        with pytest.raises(ValueError, match="transaction of its own"):
            async with owner.transaction():
                await open_reading(owner, ANA, extent(reading))
        assert probe.count("access") == before, number
        await open_reading(owner, ANA, extent(reading))
        await owner.execute("BEGIN")
        await owner.execute("SELECT count(*) FROM evidence.fix")
        await owner.execute("ROLLBACK")
        assert probe.count("access") == before + len(subjects)


async def test_broken_glass_opens_the_same_readings(owner: Connection) -> None:
    claim = Claim("ana", "investigator", CASE, "emergency", "she does not answer")
    for reading, subjects in READINGS.items():
        with pytest.raises(AccessDeniedError, match="evidence break-glass --case"):
            await open_reading(owner, claim, extent(reading))
        broken = [
            await access.break_glass(owner, "ana", CASE, subject, "she does not answer", 5)
            for subject in subjects
        ]
        assert await open_reading(owner, claim, extent(reading))
        for glass in broken:
            await access.review(owner, glass, "chief", "no call was made", justified=False)
        with pytest.raises(AccessDeniedError, match="no grant is in force"):
            await open_reading(owner, claim, extent(reading))


@pytest.fixture
async def kim(owner: Connection, database: Database) -> AsyncIterator[Login]:
    assert owner.autocommit, "the schema stands"
    async with login(database.dsn, "cordon_investigator") as person:
        yield person


async def test_whoever_is_signed_in_reads_as_themselves(
    owner: Connection, kim: Login, probe: Probe
) -> None:
    grant(probe.dsn, "ana", CASE, "*")
    grant(probe.dsn, kim.name, CASE, "*")
    async with kim.connected() as connection:
        own = Claim("", "investigator", CASE, "investigation")
        assert await open_reading(connection, own, extent("near"))
        with pytest.raises(AccessDeniedError, match="names another person"):
            await open_reading(connection, ANA, extent("near"))
        prosecutor = Claim("", "prosecutor", CASE, "investigation")
        with pytest.raises(AccessDeniedError, match="not in the database role"):
            await open_reading(connection, prosecutor, extent("timeline"))
    async with login(probe.dsn, "cordon_writer") as service, service.connected() as connection:
        assert await open_reading(connection, ANA, extent("near"))
        assert await people_of_case(connection, CASE) == ["he-1", "she-1"]
        [[who, as_login]] = probe.ask(
            "SELECT who, login FROM evidence.access ORDER BY at_us DESC LIMIT 1"
        )
        assert (who, as_login) == ("ana", service.name)
    assert owner.autocommit


async def test_windows(owner: Connection, probe: Probe) -> None:
    grant(probe.dsn, "ana", CASE, "he-1", "she-1")
    people = ["he-1", "she-1"]
    for window in ((None, None), (0, NOW_US), (NOW_US, None)):
        assert await open_reading(owner, ANA, Extent("replay", people, *window))
    for window in ((NOW_US, NOW_US), (NOW_US, 0)):
        with pytest.raises(AccessDeniedError, match="begins before it ends"):
            await open_reading(owner, ANA, Extent("replay", people, *window))
    with pytest.raises(AccessDeniedError, match="begins before it ends"):
        await open_reading(owner, ANA, Extent("fix", people, NOW_US, None))


async def test_whom_a_case_and_a_device_are_about(owner: Connection, database: Database) -> None:
    assert await people_of_case(owner, CASE) == ["he-1", "she-1"]
    assert await people_of_case(owner, "26/4711") == []
    assert await people_of_device(owner, "tag-1", *WINDOW) == ["he-1"]
    assert await people_of_device(owner, "tag-1", 0, SINCE_US) == []
    assert await people_of_device(owner, "tag-9", *WINDOW) == []
    await owner.execute("SELECT evidence.keep_caseload()")
    await owner.execute("DELETE FROM caseload.condition WHERE id = 'near-he-1'")
    assert await people_of_case(owner, CASE) == ["he-1", "she-1"], "as the record has it"
    await owner.execute("DROP SCHEMA caseload CASCADE")
    assert await people_of_device(owner, "tag-1", *WINDOW) == ["he-1"]
    assert await people_of_case(owner, CASE) == ["he-1", "she-1"]
    assert database.dsn


async def test_a_corrected_assignment_takes_nobody_out_of_what_a_device_is_about(
    owner: Connection, database: Database
) -> None:
    """In whatever versions of the record they stand, and before the newest is in it."""
    caseloads = CaseloadStore(database.dsn)
    first = next(one for one in caseload().assignments if one.device == "tag-1")
    for changes in ({"person": "he-2"}, {"person": "he-2", "to": to_datetime(SINCE_US + 1)}):
        await owner.execute("SELECT evidence.keep_caseload()")
        corrected = (msgspec.structs.replace(first, **changes),)
        await caseloads.save(Caseload(assignments=corrected))
        assert await people_of_device(owner, "tag-1", *WINDOW) == ["he-1", "he-2"]
    await caseloads.close()
    assert await people_of_device(owner, "tag-1", SINCE_US, SINCE_US + 1) == ["he-1", "he-2"]
    assert await people_of_device(owner, "tag-1", 0, SINCE_US) == []
    assert await people_of_device(owner, "tag-2", *WINDOW) == ["he-2"]
    await owner.execute("UPDATE evidence.caseload_entry SET document = 'null'")  # no longer there
    assert await people_of_device(owner, "tag-1", *WINDOW) == []
