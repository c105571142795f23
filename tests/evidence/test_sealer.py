"""The sealer on a real database, with real witnesses."""

from __future__ import annotations

from pathlib import Path

from evidence.log.headers import Header
from evidence.log.notes import parse_note
from evidence.log.signing import open_checkpoint, verified
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.sealing_world import ORIGIN, log_keys, sealer_of, store_some, witness_here


async def test_what_is_stored_is_sealed_signed_and_witnessed(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        sealer = sealer_of(probe.dsn, tmp_path, one, two)
        await store_some(store, 1)
        await sealer.turn()
        await sealer.turn()
        await store_some(store, 2)
        await sealer.turn()
        assert (sealer.counts.size, sealer.counts.cosigned_size) == (3, 3)
        note = one.newest(ORIGIN)
        assert note is not None
        assert open_checkpoint(note, log_keys()).size == 3
        assert len(verified(note, one.keys)) == 2
    rows = [
        Header.decode(header).rows
        for [header] in probe.ask("SELECT header FROM evidence.seal_batch ORDER BY number")
    ]
    # 12 fixes, 12 messages, one batch; then nothing; then the same again.
    assert rows == [25, 0, 25]
    for size, text in probe.ask("SELECT size, note FROM evidence.seal_checkpoint ORDER BY size"):
        assert open_checkpoint(parse_note(text.encode()), log_keys()).size == size
    assert probe.count("seal_cosignature") == 6
