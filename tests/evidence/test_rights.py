"""Every role against every table, partition, chunk and function that the catalogue knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import conninfo, errors, sql

from devices.choices import Choices
from devices.course import CourseStep, Mark
from devices.credential_store import CredentialStore
from devices.store import CaseloadStore
from evidence.conduct import KeptAct, lock, replace_acts, subjects
from evidence.states import erased_places
from evidence.store import Store
from evidence.told import add_state
from tests.alerts.conduct_stories import SUBJECT, act
from tests.conftest import Database
from tests.evidence.access_world import caseload
from tests.evidence.her_samples import choice, digest, look
from tests.evidence.rights import APPENDED, CASELOAD, CONDITIONS, FUNCTIONS, ROLES, TABLES, Rights
from tests.evidence.samples import NOW_US, batch_of
from tests.evidence.sealing_world import sealer_of
from tests.evidence.test_store import alert_entries

REFUSED = (
    errors.InsufficientPrivilege,
    errors.WrongObjectType,  # views are not truncated,
    errors.ObjectNotInPrerequisiteState,  # nor deleted from,
    errors.FeatureNotSupported,  # nor the data of continuous aggregates
)
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text, c.relispartition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('evidence', 'caseload', '_timescaledb_internal')
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""
CHUNKS = """
    SELECT format('%s.%s', c.chunk_schema, c.chunk_name),
        format('%s.%s', c.hypertable_schema, c.hypertable_name)
    FROM timescaledb_information.chunks c
"""


@pytest.fixture
async def owner(store: Store, database: Database) -> AsyncIterator[psycopg.Connection]:
    """The owner of a database that holds a little of everything, in several pieces."""
    caseloads = CaseloadStore(database.dsn)
    await caseloads.migrate()
    await caseloads.close()
    day_us = 86_400_000_000
    for number in range(1, 4):
        late = NOW_US - number * 3 * day_us
        await store.write_journal([(number, batch_of(number, [("tag-1", number, late)]))])
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        if database.has_timescale:
            connection.execute(
                "ALTER TABLE evidence.fix SET (timescaledb.enable_columnstore,"
                " timescaledb.segmentby = 'device', timescaledb.orderby = 'time')"
            )
            connection.execute(
                "SELECT compress_chunk(c) FROM show_chunks('evidence.fix') c LIMIT 1"
            )
        yield connection


def expected(name: str, kind: str, parents: dict[str, str], *, partition: bool) -> Rights | None:
    """What has been decided about a relation; None: nothing."""
    if name.startswith("caseload."):
        rights = CONDITIONS if name == "caseload.condition" else CASELOAD
        return rights if kind == "r" else {}
    if partition:
        return {}
    if name in parents:
        return TABLES.get(parents[name])
    if name.startswith("_timescaledb_internal."):
        return APPENDED  # compressed data of a chunk: at most what its table has
    return TABLES.get(name)


def test_every_relation_is_decided_and_as_decided(owner: psycopg.Connection) -> None:
    extension = owner.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    pieces = owner.execute(CHUNKS).fetchall() if extension else []
    parents: dict[str, str] = dict(pieces)
    found = owner.execute(RELATIONS).fetchall()
    assert len(found) > 50, "tables, and their pieces"
    wrong = []
    for schema, table, kind, partition in found:
        name = f"{schema}.{table}"
        decided = expected(name, kind, parents, partition=partition)
        assert decided is not None, (
            f"{name} is new: decide in tests/evidence/rights.py who may do what"
        )
        for role in ("public", *ROLES):
            has = granted(owner, role, schema, table, kind)
            if has - decided.get(role, frozenset()) or (
                (name in TABLES or schema == "caseload") and has != decided.get(role, frozenset())
            ):
                wrong.append((name, role, has))
    assert wrong == []


def granted(owner: psycopg.Connection, role: str, schema: str, table: str, kind: str) -> set[str]:
    """Privileges that a role has on a relation, or on any of its columns."""
    wanted = ("SELECT", "UPDATE", "USAGE") if kind == "S" else PRIVILEGES
    if role == "public":
        rows = owner.execute(
            "SELECT a.privilege_type FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,"
            " aclexplode(c.relacl) a WHERE a.grantee = 0 AND (n.nspname, c.relname) = (%s, %s)",
            (schema, table),
        )
        return {row[0] for row in rows}
    function = "has_sequence_privilege" if kind == "S" else "has_table_privilege"
    relation = sql.Identifier(schema, table).as_string(owner)
    query = f"SELECT p FROM unnest(%s::text[]) p WHERE {function}(%s, %s, p)"
    return {row[0] for row in owner.execute(query.encode(), (list(wanted), role, relation))}


@pytest.mark.usefixtures("store")
def test_the_newest_migration_has_set_the_rights(database: Database) -> None:
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM unnest(%s::text[]) t WHERE NOT "
            "has_table_privilege('cordon_writer', t, 'SELECT')",
            ([name for name, rights in TABLES.items() if "cordon_writer" in rights],),
        ).fetchone()
    assert row == (0,)


def test_trying_it_is_refused(owner: psycopg.Connection) -> None:
    """Privileges say so; the server itself has to, too: by every name that a piece has."""
    tried = 0
    relations = [row for row in owner.execute(RELATIONS).fetchall() if row[2] in {"r", "p", "v"}]
    for role in ROLES:
        owner.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        for schema, table, _, _ in relations:
            name = sql.Identifier(schema, table)
            decided = TABLES.get(f"{schema}.{table}", {}).get(role, frozenset())
            if schema == "caseload" or (
                schema == "_timescaledb_internal" and role in {"cordon_writer", "cordon_sealer"}
            ):
                continue
            attempts = {
                "SELECT": "SELECT 1 FROM {} LIMIT 1",
                "DELETE": "DELETE FROM {}",
                "TRUNCATE": "TRUNCATE {}",
                "copy": "COPY (SELECT * FROM {}) TO STDOUT",
            }
            for privilege, attempt in attempts.items():
                if privilege in decided or (privilege == "copy" and "SELECT" in decided):
                    continue
                with pytest.raises(REFUSED):
                    owner.execute(sql.SQL(attempt).format(name))
                tried += 1
        owner.execute("RESET SESSION AUTHORIZATION")
    assert tried > 1_000


def test_every_function_is_decided_and_as_decided(owner: psycopg.Connection) -> None:
    rows = owner.execute(
        "SELECT p.oid::int8, p.proname, p.prosecdef, coalesce(p.proconfig, '{}') FROM pg_proc p "
        "WHERE p.pronamespace = 'evidence'::regnamespace AND p.prokind = 'f'"
    ).fetchall()
    for oid, name, definer, config in rows:
        assert name in FUNCTIONS, (
            f"{name} is new: decide in tests/evidence/rights.py who may call it"
        )
        may = {
            role
            for role in ROLES
            if owner.execute(
                "SELECT has_function_privilege(%s, %s::oid, 'EXECUTE')", (role, oid)
            ).fetchone()
            == (True,)
        }
        assert may == FUNCTIONS[name], name
        if definer:
            assert "search_path=pg_catalog, pg_temp" in config, name


def test_views_hide_rows_from_functions_of_their_readers(owner: psycopg.Connection) -> None:
    views = owner.execute(
        "SELECT relname, coalesce(reloptions, '{}') FROM pg_class "
        "WHERE relnamespace = 'evidence'::regnamespace AND relkind = 'v'"
    ).fetchall()
    open_to_readers = {"hold_in_force", "break_glass_waiting"}
    assert open_to_readers <= {name for name, _ in views}
    for name, options in views:
        assert name not in open_to_readers or "security_barrier=true" in options


def test_who_may_read_hypertables_may_not_drop_their_chunks(
    owner: psycopg.Connection, database: Database
) -> None:
    if not database.has_timescale:
        pytest.skip("plain PostgreSQL has no chunks")
    [[chunk]] = owner.execute(
        "SELECT c::text FROM show_chunks('evidence.fix') c LIMIT 1"
    ).fetchall()
    attempts = (
        "SELECT drop_chunks('evidence.fix', older_than => now())",
        f"SELECT _timescaledb_functions.drop_chunk('{chunk}')",
        f"DROP TABLE {chunk}",
    )
    for role in ("cordon_writer", "cordon_sealer", "cordon_investigator"):
        owner.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        for attempt in attempts:
            with pytest.raises(psycopg.Error, match=r"must be owner|permission denied"):
                owner.execute(attempt.encode())
        owner.execute("RESET SESSION AUTHORIZATION")


async def test_the_order_in_which_the_schemas_are_made_does_not_matter(
    empty_database: Database,
) -> None:
    """Either is made by whoever comes first: the service, `cordon caseload`, `cordon device`."""
    async with CredentialStore(empty_database.dsn).open():
        pass
    store = Store(empty_database.dsn)
    await store.migrate()
    await store.close()
    with psycopg.connect(empty_database.dsn, autocommit=True) as owner:
        caseload_first = rights_on_caseload(owner)
        owner.execute("DROP SCHEMA caseload CASCADE")
        async with CredentialStore(empty_database.dsn).open():
            pass
        assert rights_on_caseload(owner) == caseload_first
    assert "caseload.person" in caseload_first


def rights_on_caseload(owner: psycopg.Connection) -> dict[str, set[str]]:
    tables = [row[:3] for row in owner.execute(RELATIONS).fetchall() if row[0] == "caseload"]
    return {
        f"{schema}.{table}": granted(owner, "cordon_writer", schema, table, kind)
        for schema, table, kind in tables
        if kind == "r"
    }


@pytest.mark.usefixtures("owner")
async def test_a_service_that_owns_nothing_can_write_and_seal(
    database: Database, tmp_path: Path
) -> None:
    """Also into a day that has no partition yet, and through the staging table."""
    as_writer = conninfo.make_conninfo(database.dsn, options="-c role=cordon_writer")
    store = Store(as_writer)
    assert await store.migrate() == []
    far = NOW_US + 40 * 86_400_000_000
    written = await store.write_journal([(9, batch_of(9, [("tag-2", 1, far), ("tag-2", 2, far)]))])
    assert written.fixes == 2
    await store.write_journal([(10, batch_of(10, [("tag-2", 1, far)]))])  # again: its rest is kept
    hers = (choice(1, Choices()), digest(), look(1, "she"))
    documents = [msgspec.json.encode(entry) for entry in hers]
    await store.write_alerts(alert_entries(*enumerate(documents, 1)))
    await store.write_decisions([(1, [CourseStep(run_us=far, number=1, kind="live", at_us=far)])])
    await store.close()
    orders = CaseloadStore(as_writer)
    await orders.save(caseload())
    await orders.close()
    async with await psycopg.AsyncConnection.connect(as_writer, autocommit=True) as connection:
        async with connection.transaction():
            assert await erased_places(connection) == {}
            await add_state(connection, Mark(run_us=far, steps=1, ticked_us=far), "b", b"x")
        await replace_acts(
            connection, SUBJECT, (), [KeptAct(act("approach", 1), from_tracks=False)]
        )
        await replace_acts(connection, SUBJECT, [act("approach", 1)], ())
        assert await subjects(connection, 0, far)
        await lock(connection)
    sealer = sealer_of(
        conninfo.make_conninfo(database.dsn, options="-c role=cordon_sealer"), tmp_path
    )
    await sealer.turn()
    entries = 2 * 2 + 3  # orders, conditions and devices of the caseload
    assert sealer.counts.rows == 3 * 3 + 5 + 2 + 1 + 3 + 1 + entries
