"""Time stamps of an authority that is OpenSSL's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psycopg
import pytest

from evidence.export import Signers, export
from evidence.keys import Guard
from evidence.sealer import Sealer
from evidence.store import Store
from evidence.timestamps import Authority, Stamper, StampError
from tests.evidence.authority import authority, openssl
from tests.evidence.conftest import Probe
from tests.evidence.custody import of_device
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import ORIGIN, SEEDS, Ticking, log_keys, store_some
from tests.evidence.test_export import NOT_WITNESSED, verify

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs OpenSSL")


def test_stamps_hold_over_what_was_stamped_and_nothing_else(tmp_path: Path) -> None:
    with authority(tmp_path / "one") as one, authority(tmp_path / "two") as two:
        stamp = one.stamp(b"a head")
        assert one.checked(stamp.response, b"a head") == stamp
        for who, answer, data in [
            (one, stamp.response, b"another head"),
            (two, stamp.response, b"a head"),
            (one, stamp.response[:-1], b"a head"),
            (one, b"", b"a head"),
        ]:
            with pytest.raises(StampError, match="does not hold"):
                who.checked(answer, data)
        with pytest.raises(StampError, match="does not hold"):
            one.checked(stamp.response, b"a head", nonce=5)
    with pytest.raises(StampError, match="cannot be reached"):
        one.stamp(b"a head")


async def test_heads_are_stamped_now_and_then_and_exported(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    with authority(tmp_path / "tsa") as stamps:
        gone = Authority("http://127.0.0.1:9", stamps.roots)
        sealer = Sealer(
            probe.dsn,
            Guard(tmp_path / "log.signed", SEEDS),
            (),
            Ticking(),
            origin=ORIGIN,
            quorum=0,
            interval_s=1,
            program="cordon test",
            stamper=Stamper([stamps, gone], interval_s=600),
        )
        for number in range(1, 4):
            await store_some(store, number)
            await sealer.turn()
    assert (sealer.counts.stamps, sealer.counts.stamp_failures) == (1, 1)
    assert probe.ask("SELECT size, authority FROM evidence.seal_stamp") == [(1, stamps.url)]
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        asked = of_device("tag-1", NOW_US + 1_000_000, NOW_US + 2_000_000)
        signers = Signers(log_keys(), [], 0)
        await export(connection, asked, tmp_path / "out", signers, lambda: NOW_US)
    proof = json.loads((tmp_path / "out" / "proof.json").read_text())
    assert proof["logs"][0]["checkpoint"].startswith((tmp_path / "out" / "head-0.txt").read_text())
    files = "-in head-0-0.tsr -data head-0.txt"
    checked = openssl(tmp_path / "out", f"ts -verify {files} -CAfile {tmp_path / 'tsa/root.pem'}")
    assert b"Verification: OK" in checked.stdout + checked.stderr
    code, _ = verify(tmp_path / "out")
    assert code == NOT_WITNESSED
