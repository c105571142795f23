"""Who asks about many people is recorded, as every reading is; who does not say so is not answered."""

from __future__ import annotations

import psycopg
import pytest

from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry
from evidence.looks import QUERY, values
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US

ABOUT = About("hand-over", ["*"], NOW_US, NOW_US + 1)


@pytest.mark.usefixtures("store")
async def test_an_inquiry_is_a_reading_that_she_sees(probe: Probe) -> None:
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        await note_inquiry(connection, Inquiry("DC Roe", "burglary\0", "26/4711"), ABOUT, NOW_US)
        cursor = await connection.execute(QUERY, values("she", NOW_US, NOW_US + 1, 10))
        [row] = await cursor.fetchall()
    assert row[1:] == (
        *(NOW_US, "DC Roe", "command line", "burglary\N{REPLACEMENT CHARACTER}", "*", "26/4711"),
        *("hand-over", NOW_US, NOW_US + 1),
    )


@pytest.mark.parametrize("lacking", ["actor", "purpose", "case"])
@pytest.mark.usefixtures("store")
async def test_what_does_not_say_why_is_refused(probe: Probe, lacking: str) -> None:
    said = {"actor": "a", "purpose": "p", "case": "c"} | {lacking: " "}
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        with pytest.raises(InquiryError, match=lacking):
            await note_inquiry(connection, Inquiry(**said), ABOUT, NOW_US)
    assert probe.count("access") == 0
