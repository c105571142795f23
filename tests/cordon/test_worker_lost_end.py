"""The worker over a journal that gives its positions away again."""

from __future__ import annotations

from tests.cordon.running import until
from tests.cordon.test_worker import Site, on_the_desk, site  # noqa: F401 - a fixture


async def test_positions_that_the_journal_gives_away_again_are_read_again(
    site: Site,  # noqa: F811 - the fixture
) -> None:
    async with site.working() as worker:
        for device in ("a", "b", "c"):
            await site.panic(device)
        await until(lambda: worker.partition.position == 3, "it has them")
        for position, device in ((2, "d"), (3, "e")):  # the broker lost its end, and took these
            batch = site.report(device)
            worker.hear(batch.name, batch)
            worker.kept(batch.name, position)
        assert worker.partition.position == 3
        await until(lambda: worker.counts.gaps == 1, "the journal is read again from there")
        await site.panic("f")
        await until(lambda: worker.partition.position == 4, "and goes on")
        assert on_the_desk(worker) == {"a", "b", "c", "d", "e", "f"}
