"""The doctor where there is nothing to look at: it says so, and does not wait for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.connections import Endpoints
from cordon.doctor_command import examine
from cordon.embedded.ports import free_port
from cordon.errors import CordonError
from cordon.settings import Settings


@pytest.mark.parametrize("system", ["none", "nobody", "no address at all"])
async def test_a_broker_that_is_not_there_is_said_to_be_away(system: str, tmp_path: Path) -> None:
    nobody = f"nats://127.0.0.1:{free_port()}"
    system_url = {"none": "", "nobody": nobody, "no address at all": "nats://a:1,nats://b:2"}[
        system
    ]
    ends = Endpoints(
        nats_url=nobody,
        system_url=system_url,
        mqtt_host="127.0.0.1",
        mqtt_port=free_port(),
        dsn=f"host=127.0.0.1 port={free_port()} dbname=nothing",
    )
    found = {one.name: one for one in await examine(Settings(state_directory=str(tmp_path)), ends)}
    assert found["broker"].state == "fail"
    assert "Connect call failed" in found["broker"].meaning


def test_health_of_devices_where_no_broker_answers_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDON_BROKER_NATS_URL", f"nats://127.0.0.1:{free_port()}")
    asked = CliRunner().invoke(cordon, ["--state", str(tmp_path), "device", "health"])
    assert isinstance(asked.exception, CordonError)
    assert "does not answer" in str(asked.exception)
    assert "Start the service first" in str(asked.exception)
