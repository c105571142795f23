"""A pack goes out after a second person has approved exactly it: enforced by the database, proven by the pack."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.instants import to_iso
from evidence import approvals
from evidence.approvals import ApprovalError, Connection
from evidence.case_records import record_disclosure
from evidence.selection import ExportError
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import login
from tests.evidence.approving import REFUGE, approved, used, wanted
from tests.evidence.case_world import FROM_US, TO_US, build, pack, pack_as
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import sealer_of
from tests.evidence.test_case_pack import everything_in, shown_by_kind
from tests.evidence.test_export import ALTERED, NOT_WITNESSED, verify
from tests.evidence.test_report import said, words_of


async def test_what_is_made_is_what_another_person_approved(connection: Connection) -> None:
    made = await approvals.request(connection, wanted(charged=frozenset({"a2", "a1"})))
    with pytest.raises(ApprovalError, match="Nobody has approved this request yet"):
        await used(connection, made)
    for same in ("Sgt Kim", " sgt  KIM", "SgtKim"):
        with pytest.raises(ApprovalError, match="Nobody decides about their own request"):
            await approvals.decide(connection, made, same, "", approved=True)
    await approvals.decide(connection, made, "Insp Okafor", "", approved=True)
    with pytest.raises(ApprovalError, match="It is decided already"):
        await approvals.decide(connection, made, "Insp Okafor", "", approved=False)
    asked = await used(connection, made)
    custody = asked.custody
    assert (custody.case, custody.side, custody.from_us, custody.to_us) == (
        *("o1", "court", FROM_US, TO_US),
    )
    assert (custody.actor, custody.recipient, custody.purpose) == (
        *("Sgt Kim", "Crown Court", "disclosure: trial 26/118"),
    )
    assert (asked.withheld_us, asked.charged, asked.device) == (
        *((REFUGE,), frozenset({"a1", "a2"}), ""),
    )
    with pytest.raises(ApprovalError, match="good for one pack"):
        await used(connection, made)
    with pytest.raises(ApprovalError, match="There is no request"):
        await used(connection, uuid4())
    [one] = await approvals.requests(connection)
    assert (one.request_id, one.state(one.requested_us)) == (made, "used")


async def later(connection: Connection, days: int) -> None:
    """Let days go by: what was written becomes older."""
    for table, column in (("pack_request", "requested_at"), ("pack_decision", "decided_at")):
        query = f"UPDATE evidence.{table} SET {column} = {column} - make_interval(days => %s)"
        await connection.execute(query.encode(), (days,))


STEPS = st.lists(
    st.sampled_from(
        ["approve", "refuse", "by oneself", "use", "use and fail", "three days", "five days"]
    ),
    min_size=1,
    max_size=8,
)


class Model:
    """What may happen to a request, as it is documented."""

    def __init__(self) -> None:
        self.decided: bool | None = None
        self.used = False
        self.days = 0

    def takes(self, step: str) -> bool:
        """Whether a step is allowed; then it is taken."""
        if step in {"three days", "five days"}:
            self.days += 3 if step == "three days" else 5
            return True
        if step == "by oneself":
            return False
        if step in {"approve", "refuse"}:
            allowed = self.decided is None and self.days < 7
            if allowed:
                self.decided, self.days = step == "approve", 0
            return allowed
        allowed = bool(self.decided) and self.days < 7 and not self.used
        self.used = self.used or (allowed and step == "use")
        return allowed


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_every_course_of_a_request_is_the_documented_one(
    connection: Connection, steps: list[str]
) -> None:
    made = await approvals.request(connection, wanted())
    model = Model()
    for step in steps:
        allowed = model.takes(step)
        try:
            await _step(connection, made, step)
            assert allowed, (steps, step)
        except ApprovalError:
            assert not allowed, (steps, step)


async def _step(connection: Connection, made: UUID, step: str) -> None:
    if step.endswith("days"):
        await later(connection, 3 if step == "three days" else 5)
    elif step in {"approve", "refuse"}:
        await approvals.decide(connection, made, "Insp Okafor", "n", approved=step == "approve")
    elif step == "by oneself":
        await approvals.decide(connection, made, "Sgt Kim", "n", approved=True)
    else:
        asked = await used(connection, made)
        if step == "use and fail":
            await record_disclosure(connection, asked.custody, "failed", NOW_US)


async def test_logins_speak_for_themselves(connection: Connection, database: Database) -> None:
    """Who may not name others is who is signed in, and may do what the role may."""
    async with (
        login(database.dsn, "cordon_investigator") as asks,
        login(database.dsn, "cordon_owner") as decides,
        login(database.dsn, "cordon_writer") as makes,
    ):
        async with asks.connected() as as_asker:
            with pytest.raises(ApprovalError, match="names another person"):
                await approvals.request(as_asker, wanted())
            await approvals.request(connection, wanted())
            made = await approvals.request(as_asker, wanted(by=""))
            [seen] = await approvals.requests(as_asker)  # their own alone
            assert seen.request_id == made
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="ermission denied"):
                await as_asker.execute("SELECT evidence.decide_pack(%s, '', true, '')", (made,))
        async with decides.connected() as as_owner:
            with pytest.raises(ApprovalError, match="names another person"):
                await approvals.decide(as_owner, made, "Insp Okafor", "", approved=True)
            assert len(await approvals.requests(as_owner)) == 2
            own = await approvals.request(as_owner, wanted(by=""))
            with pytest.raises(ApprovalError, match="their own request"):
                await approvals.decide(as_owner, own, "", "", approved=True)
            await approvals.decide(as_owner, made, "", "seen", approved=True)
            with pytest.raises(ApprovalError, match="ermission denied"):
                await used(as_owner, made)
        async with makes.connected() as as_service:
            for table in ("pack_request", "pack_decision", "pack_use"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await as_service.execute(
                        f"INSERT INTO evidence.{table} DEFAULT VALUES".encode()
                    )
            with pytest.raises(ApprovalError, match="ermission denied"):
                await used(as_service, made)
        asked = await used(connection, made)  # as the owner of the tables
        assert asked.custody.actor == asks.name
        rows = await connection.execute(
            "SELECT r.login, d.login, u.login, u.used_by FROM evidence.pack_request r "
            "JOIN evidence.pack_decision d USING (request_id) JOIN evidence.pack_use u USING (request_id)"
        )
        [row] = await rows.fetchall()
        assert (row[0], row[1], row[3]) == (asks.name, decides.name, asks.name)
        assert row[2] not in {asks.name, decides.name, makes.name}


async def test_a_pack_proves_who_approved_it(
    store: Store, probe: Probe, connection: Connection, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    made = await approved(connection)
    with pytest.raises(ExportError, match="it is not used up"):
        await pack_as(probe.dsn, tmp_path / "early", await used(connection, made))
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    asked = await used(connection, made)
    await pack_as(probe.dsn, tmp_path / "out", asked)
    code, found = verify(tmp_path / "out")
    assert code == NOT_WITNESSED, found
    approval = found["approval"]
    assert (approval["by"], approval["requested_by"]) == ("Insp Okafor", "Sgt Kim")
    assert (approval["recipient"], approval["purpose"]) == (
        "Crown Court",
        "disclosure: trial 26/118",
    )
    text = (tmp_path / "out" / "custody.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["what"] for line in lines if line["what"].startswith("pack")] == [
        *("pack_request", "pack_decision", "pack_use"),  # the one that failed
    ]
    assert lines[-1]["what"] == "this pack"
    assert "Approved by Insp Okafor" in lines[-1]["approval"]
    text = words_of((tmp_path / "out" / "report.pdf").read_bytes())
    for wanted_text in ("Approved by Insp Okafor", "asked for by Sgt Kim", "case file seen"):
        assert said(wanted_text) in text
    again = await approved(connection, by="DC Roe")
    await sealer.turn()
    await pack_as(probe.dsn, tmp_path / "again", await used(connection, again))
    assert verify(tmp_path / "again")[0] == NOT_WITNESSED
    kinds = shown_by_kind(tmp_path / "again")
    assert (kinds["pack_request"], kinds["pack_decision"]) == ((2, 0), (2, 0))
    assert (kinds["pack_use"], kinds["disclosure"]) == ((2, 0), (4, 0))
    text = words_of((tmp_path / "again" / "report.pdf").read_bytes())
    assert said("Earlier packs of this case") in text


async def test_what_cannot_be_begun_uses_nothing_up(
    connection: Connection, database: Database, tmp_path: Path
) -> None:
    made = await approved(connection)
    asked = await used(connection, made)
    nobody = replace(asked, custody=msgspec.structs.replace(asked.custody, recipient=" "))
    with pytest.raises(ExportError, match="name the recipient"):
        await pack_as(database.dsn, tmp_path / "out", nobody)
    assert (await approvals.find(connection, made)).used_us is None


async def test_a_pack_that_nobody_approved_says_so(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await build(store, probe.dsn, tmp_path)
    await pack(probe.dsn, tmp_path / "out")
    assert verify(tmp_path / "out")[1]["approval"] is None
    text = words_of((tmp_path / "out" / "report.pdf").read_bytes())
    assert said("No second person approved this pack.") in text


@pytest.mark.parametrize("side", ["wearer", "protected"])
async def test_a_side_is_told_who_approved_its_pack_and_of_no_other(
    store: Store, probe: Probe, connection: Connection, tmp_path: Path, side: str
) -> None:
    await build(store, probe.dsn, tmp_path)
    await approved(connection, by="DC Roe", recipient="another recipient")
    made = await approved(connection, side=side, recipient="counsel")
    await approved(connection, by="DC Roe", recipient="another recipient")
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack_as(probe.dsn, tmp_path / "out", await used(connection, made))
    code, found = verify(tmp_path / "out")
    assert (code, found["approval"]["recipient"]) == (NOT_WITNESSED, "counsel")
    kinds = shown_by_kind(tmp_path / "out")
    assert kinds["pack_decision"][0] == 1
    assert kinds["pack_request"][0] == 0, "it says when she was in a refuge"
    whole = everything_in(tmp_path / "out")
    assert b"another recipient" not in whole
    assert b"DC Roe" not in whole
    for instant in REFUGE:
        assert to_iso(instant).encode() not in whole


@pytest.mark.parametrize("name", ["removed", "claimed by another window", "not claimed"])
async def test_an_approval_that_is_taken_out_is_missed(
    store: Store, probe: Probe, connection: Connection, tmp_path: Path, name: str
) -> None:
    await build(store, probe.dsn, tmp_path)
    made = await approved(connection)
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack_as(probe.dsn, tmp_path / "out", await used(connection, made))
    proof_file = tmp_path / "out" / "proof.json"
    proof = json.loads(proof_file.read_text())
    if name == "removed":
        [run] = [n for n, one in enumerate(proof["runs"]) if one["kind"] == "pack_decision"]
        records = tmp_path / "out" / "records.jsonl"
        lines = [json.loads(line) for line in records.read_text().splitlines()]
        for line in lines:
            if line[0] == run:  # its place stays, so every tree is right
                content = b"\x02" + bytes.fromhex(line[4]) + bytes.fromhex(line[5])
                line[4:] = [sha256(content).hexdigest()]
        records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    elif name == "claimed by another window":
        proof["window_us"][1] += 1
    else:
        proof["approval"] = str(uuid4())
    proof_file.write_text(json.dumps(proof))
    assert verify(tmp_path / "out")[0] == ALTERED


async def test_an_earlier_approval_of_less_does_not_cover_a_pack(
    store: Store, probe: Probe, connection: Connection, tmp_path: Path
) -> None:
    """Whoever may make packs alone names an approval that was given, of a part of the window."""
    await build(store, probe.dsn, tmp_path)
    made = await approved(connection, window=REFUGE, withheld_us=())
    await sealer_of(probe.dsn, tmp_path).turn()
    await pack(probe.dsn, tmp_path / "out")
    proof_file = tmp_path / "out" / "proof.json"
    proof = json.loads(proof_file.read_text())
    assert proof["approval"] is None
    proof |= {"approval": str(made), "window_us": list(REFUGE)}
    proof_file.write_text(json.dumps(proof))
    code, found = verify(tmp_path / "out")
    assert (code, found["altered"]) == (
        *(ALTERED, "a position is shown of a time that is not of the window that was approved"),
    )
