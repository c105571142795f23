"""A case with a wearer and a protected person, what both sent, and logins in each role."""

from __future__ import annotations

import asyncio
import getpass
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from devices.instants import to_datetime
from devices.store import CaseloadStore
from evidence.access import Asking, Connection
from evidence.store import Store
from tests.evidence.samples import DAY_US, NOW_US, batch_of

CASE = "order-1"
OTHER_CASE = "order-2"
WINDOW = (NOW_US - DAY_US, NOW_US + DAY_US)
SINCE_US = NOW_US - 20 * DAY_US


def caseload() -> Caseload:
    people = {"he-1": "tag-1", "he-2": "tag-2", "she-1": "handset-1"}
    return Caseload(
        agencies=(Agency(id="centre", name="Centre"),),
        people=tuple(
            Person(id=person, role="protected" if person == "she-1" else "wearer")
            for person in people
        ),
        devices=tuple(
            Device(id=device, kind="handset" if device == "handset-1" else "tag")
            for device in people.values()
        ),
        assignments=tuple(
            Assignment(device=device, person=person, from_=to_datetime(SINCE_US), to=None)
            for person, device in people.items()
        ),
        orders=tuple(
            Order(
                id=case,
                agency="centre",
                wearer=wearer,
                valid_from=to_datetime(SINCE_US),
                conditions=(Proximity(id=f"near-{wearer}", protected="she-1", alert_m=200),),
            )
            for case, wearer in ((CASE, "he-1"), (OTHER_CASE, "he-2"))
        ),
    )


async def set_up(dsn: str) -> None:
    """All tables, and in them what `fill` says."""
    store = Store(dsn)
    await store.migrate()
    await fill(dsn, store)
    await store.close()


async def fill(dsn: str, store: Store) -> None:
    """The caseload, and two fixes of each device on two days."""
    caseloads = CaseloadStore(dsn)
    await caseloads.migrate()
    await caseloads.save(caseload())
    await caseloads.close()
    fixes = [
        (device, seq, NOW_US + seq) for device in ("tag-1", "tag-2", "handset-1") for seq in (1, 2)
    ]
    early = [(device, 0, NOW_US - 5 * DAY_US) for device in ("tag-1", "handset-1")]
    await store.write_journal([(1, batch_of(1, fixes)), (2, batch_of(2, early))])


def asking(**changes: object) -> Asking:
    values: dict[str, object] = {
        "role": "investigator",
        "case": CASE,
        "subject": "he-1",
        "purpose": "investigation",
        "kinds": ("fix",),
        "from_us": WINDOW[0],
        "to_us": WINDOW[1],
    }
    return Asking(**{**values, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Login:
    """A login of its own, in a group."""

    name: str
    dsn: str

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A session whose session_user is this login."""
        async with await psycopg.AsyncConnection.connect(
            self.dsn, autocommit=True, options="-c timezone=UTC"
        ) as connection:
            await connection.execute(
                sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(self.name))
            )
            yield connection

    async def own_dsn(self) -> str:
        """With which a program signs in as this login: nothing of the superuser's is in it."""
        await asyncio.to_thread(self._make_known)
        own = conninfo.make_conninfo(self.dsn, user=self.name)
        async with asyncio.timeout(RELOAD_LIMIT_S):
            while not await lets_in(own):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
        return own

    def _make_known(self) -> None:
        """The embedded server knows people by their user of the machine; others have no such file."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute("SELECT current_setting('ident_file')").fetchone()
            assert row is not None
            file = Path(row[0])
            if file.exists():
                user = getpass.getuser()
                file.write_text(f'{file.read_text()}cordon "{user}" {self.name}\n')
                connection.execute("SELECT pg_reload_conf()")


async def lets_in(dsn: str) -> bool:
    """Whether the server does so now."""
    try:
        await (await psycopg.AsyncConnection.connect(dsn)).close()
    except psycopg.OperationalError:
        return False
    return True


RELOAD_LIMIT_S = 20.0


@asynccontextmanager
async def login(dsn: str, *groups: str) -> AsyncIterator[Login]:
    """A login in these groups; gone afterwards. The server lets it in by the superuser's way."""
    name = f"person_{secrets.token_hex(4)}"
    plain = conninfo.make_conninfo(dsn)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        for group in groups:
            connection.execute(
                sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name))
            )
    try:
        yield Login(name, plain)
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def control_rows(dsn: str) -> None:
    """One record of everything that is kept about access, holds and erasures."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _CONTROL:
            connection.execute(statement.encode())


_CONTROL = (
    "SELECT evidence.open_access('ana', '', 'investigator', 'c', 's', 'audit', '{fix}', now(), now(), '')",
    (
        "SELECT evidence.revoke_access(evidence.grant_access('chief', 'person', 'ana', 'investigator', 'c',"
        " 's', 'audit', now(), now() + interval '1 day', 'r'), 'chief', 'r')"
    ),
    (
        "SELECT evidence.review_break_glass(evidence.break_glass('ana', 'c', 's', 'an emergency', 1),"
        " 'chief', true, 'n')"
    ),
    (
        "SELECT evidence.release_hold(evidence.place_hold('chief', 'c', '{p}', now(),"
        " now() + interval '1 day', 'r', now()), 'chief', 'r')"
    ),
    (
        "INSERT INTO evidence.hold_device (hold_id, device, from_at, to_at)"
        " SELECT hold_id, 'd', from_at, to_at FROM evidence.hold"
    ),
    (
        "INSERT INTO evidence.erasure VALUES (gen_random_uuid(), now(), 'retention', 'a', 'a', '*', now(),"
        " now(), 'r', 0, 0, sha256(''))"
    ),
    (
        "WITH r AS MATERIALIZED (SELECT evidence.request_pack('ana', 'c', 'court', 'k', 'p', now(),"
        " now() + interval '1 day', '', '', 'investigator', 'c', 'disclosure', '') AS id) INSERT INTO evidence.pack_use (disclosure, request_id,"
        " used_by, \"case\") SELECT 'd', id, 'ana', 'c' FROM r"
    ),
    ("SELECT evidence.decide_pack(request_id, 'chief', true, 'n') FROM evidence.pack_request"),
)
