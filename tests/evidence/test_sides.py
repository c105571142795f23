"""Who is shown what: rules as a table, and raw messages by what was made of them."""

from __future__ import annotations

import secrets
from typing import get_args

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from evidence import sides
from evidence.case_records import keep_caseload
from evidence.records import Record
from evidence.selection import Asked, Case
from evidence.sides import Messages, Role, Side
from tests.evidence.conftest import Probe
from tests.evidence.custody import custody

KEYS = st.tuples(st.sampled_from(["tag-1", "tag-2"]), st.integers(1, 2), st.integers(0, 2))
MADE = ("fix", "event", "status", "receipt", "refusal")


def row(kind: str, key: tuple[str, int, int]) -> Record:
    device, position, index = key
    values = {"journal_position": position, "item" if kind == "message" else "message": index}
    return Record(kind, device, 0, values)


@given(
    st.lists(st.tuples(st.sampled_from(MADE), KEYS, st.booleans()), max_size=12),
    st.sets(KEYS, max_size=3),
    KEYS,
    st.booleans(),
)
def test_bytes_are_never_shown_with_what_is_not(
    made: list[tuple[str, tuple[str, int, int], bool]],
    outside: set[tuple[str, int, int]],
    key: tuple[str, int, int],
    strict: bool,  # noqa: FBT001 - drawn
) -> None:
    messages = Messages(outside, strict=strict)
    for kind, of, shown in made:
        messages.note(row(kind, of), shown=shown)
    mine = [(kind, shown) for kind, of, shown in made if of == key]
    whole = all(shown for _, shown in mine) and key not in outside
    vouched = any(shown and kind != "refusal" for kind, shown in mine)
    assert messages.shows(row("message", key)) == (whole and (vouched or not strict))


@pytest.mark.parametrize("kind", sides.OF_DEVICE)
def test_nobody_is_shown_the_others_device(kind: str) -> None:
    sides_and_roles: list[tuple[Side, Role]] = [("wearer", "protected"), ("protected", "wearer")]
    for side, other in sides_and_roles:
        assert sides.of_device(side, other, kind) == "absent"
        assert sides.of_entry(side, "device", other) == "absent"
    for role in get_args(Role):
        assert sides.of_device("court", role, kind) == "shown"


@pytest.mark.parametrize("side", ["wearer", "protected"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_device_that_both_carried_is_for_neither(side: Side, order: int) -> None:
    asked = Asked(custody("o1", 1_000_000, 9_000_000, side))
    assignments = [
        {"person": "w1", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:05Z"},
        {"person": "p1", "from": "1970-01-01T00:00:05Z", "to": None},
    ][::order]
    condition = {"protected": "p1", "order": "o1"}
    case = Case.of(
        asked,
        {
            "order/o1": [{"kind": "order", "document": {"wearer": "w1"}}],
            "condition/c1": [{"kind": "condition", "document": condition}],
            "device/home-1": [{"kind": "device", "document": {"assignments": assignments}}],
        },
    )
    assert sides.of_device(side, case.roles["home-1"], "fix") == "absent"


def test_what_follows_from_her_is_not_for_him() -> None:
    assert sides.of_decisions("wearer") == "absent"
    assert sides.of_alert("wearer", charged=False) == "absent"
    assert sides.of_alert("wearer", charged=True) == "withheld"
    assert sides.of_entry("wearer", "condition") == "withheld"
    assert sides.of_device("wearer", "wearer", "command") == "withheld"


@pytest.mark.usefixtures("store")
@pytest.mark.usefixtures("store")
async def test_a_sealer_that_may_not_read_the_caseload_goes_on(probe: Probe) -> None:
    role = sql.Identifier(f"apart_{secrets.token_hex(4)}")
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS caseload")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS caseload.caseload_version (version bigint)"
        )
        await connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            await connection.execute(sql.SQL("GRANT USAGE ON SCHEMA evidence TO {}").format(role))
            await connection.execute(sql.SQL("SET ROLE {}").format(role))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("SELECT * FROM caseload.caseload_version")
            await keep_caseload(connection)
            await connection.execute("RESET ROLE")
        finally:
            await connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            await connection.execute(sql.SQL("DROP ROLE {}").format(role))
