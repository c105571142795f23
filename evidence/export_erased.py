"""What was erased of the chains of an export: which batches lost leaves, by whose erasure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from evidence.erasures import Erasure, erasures_of
from evidence.log.leaves import chain_of
from evidence.seal_store import Connection
from evidence.selection import Chosen, Window


async def erasures_for(
    connection: Connection, chosen: Iterable[Chosen], between: Mapping[tuple[int, int], set[UUID]]
) -> list[Erasure]:
    """The erasures that took something out of what was chosen, oldest first.

    Args:
        connection: In a transaction.
        chosen: The chains, with the windows that are wanted of them.
        between: What `evidence.erasures.erased_between` found between their places.
    """
    within = {erasure_id for found in between.values() for erasure_id in found}
    by_window: dict[Window, list[bytes]] = {}
    for one in chosen:
        by_window.setdefault(one.window, []).append(chain_of(one.kind, one.subject))
    found: dict[UUID, Erasure] = {}
    for (start_us, end_us), chains in by_window.items():
        for erasure in await erasures_of(connection, chains):
            in_window = erasure.from_us < end_us and erasure.to_us > start_us
            if in_window or erasure.erasure_id in within:
                found[erasure.erasure_id] = erasure
    return sorted(found.values(), key=lambda one: (one.erased_us, one.erasure_id))
