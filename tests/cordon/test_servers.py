"""Servers for one run: where they may live, and that somebody brings them back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

import cordon.servers
from cordon.connections import Endpoints
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError, ServerStartError
from cordon.servers import Servers, running_servers
from cordon.settings import Settings


class Dead:
    """A server that has died, and can be started only at the second try."""

    def __init__(self) -> None:
        self.tries = 0
        self.back = asyncio.Event()

    def revive(self) -> bool:
        self.tries += 1
        if self.tries == 1:
            raise ServerStartError("no memory for another process")
        self.back.set()
        return True


async def test_a_server_that_cannot_be_started_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cordon.servers, "ALIVE_EVERY_S", 0.01)
    dead = Dead()
    endpoints = Endpoints(nats_url="", mqtt_host="", mqtt_port=0, dsn="")
    servers = Servers(endpoints, None, cast("EmbeddedPostgres", dead))
    keeping = asyncio.create_task(servers.keep_alive())
    await asyncio.wait_for(dead.back.wait(), 10)
    keeping.cancel()


def test_a_state_directory_that_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(state_directory=str(tmp_path / "file" / "state"))
    with (
        pytest.raises(CordonError, match="cannot be used: Not a directory"),
        running_servers(settings, lambda _step: None),
    ):
        pass
