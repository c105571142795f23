"""The embedded servers: they start, keep their data, and never outlive Cordon."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nats
import psycopg
import pytest

from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.child import Child
from cordon.embedded.ports import accepts_connections, free_port
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import ServerStartError

LIMIT_S = 20.0


def gone(pid: int) -> bool:
    """Whether a process has ended (one that nobody has waited for yet counts as ended)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def wait_for(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.02)


async def test_broker_keeps_streams_and_ports_over_kill(broker: EmbeddedBroker) -> None:
    connection = await nats.connect(broker.nats_url)
    stream = connection.jetstream()
    await stream.add_stream(name="KEEP", subjects=["keep"])
    await stream.publish("keep", b"kept")
    await connection.close()
    ports = broker.port, broker.mqtt_port
    broker.kill()
    assert not accepts_connections(broker.host, broker.port)
    broker.start()
    assert (broker.port, broker.mqtt_port) == ports
    connection = await nats.connect(broker.nats_url)
    message = await connection.jetstream().get_msg("KEEP", 1)
    assert message.data == b"kept"
    await connection.close()


def test_postgres_keeps_what_was_committed_over_kill(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (42)")
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.dsn)
    postgres.start()
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("select n from kept").fetchone() == (42,)


def test_postgres_does_not_listen_on_the_network(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_postgres_under_root_runs_as_a_user_without_rights(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_servers_follow_a_killed_parent_and_start_again(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from cordon.embedded.broker import EmbeddedBroker\n"
        "from cordon.embedded.postgres import EmbeddedPostgres\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "broker, postgres = EmbeddedBroker(home / 'b'), EmbeddedPostgres(home / 'p')\n"
        "broker.start(); postgres.start()\n"
        "print(broker.pid, postgres.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    # At once, while the old servers may still be closing their files.
    postgres = EmbeddedPostgres(tmp_path / "p")
    postgres.start()
    for pid in pids:
        wait_for(lambda pid=pid: gone(pid), "the servers of the killed parent end")
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    postgres.stop()
    shutil.rmtree(postgres.directory)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    child = Child("sh", ["/bin/sh", "-c", "echo no room at the inn; exit 3"], tmp_path / "log")
    child.start()
    with pytest.raises(ServerStartError, match=r"(?s)code 3.*no room at the inn"):
        child.wait_until(lambda: False, limit_s=LIMIT_S)


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match="cannot be started"):
        Child("ghost", [str(tmp_path / "ghost")], tmp_path / "log").start()


def test_a_child_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = Child(
        "stubborn", ["/bin/sh", "-c", f"trap '' TERM; : > {ready}; sleep 600"], tmp_path / "log"
    )
    child.start()
    child.wait_until(ready.exists, limit_s=LIMIT_S)
    pid = child.pid
    assert pid is not None
    child.stop(signal.SIGTERM, limit_s=0.1)
    assert gone(pid)


def test_free_port_prefers_the_one_it_had() -> None:
    port = free_port()
    assert free_port(preferred=port) == port
    assert free_port(preferred=port, other_than={port}) != port


def test_a_port_is_not_one_that_an_outgoing_connection_may_be_given() -> None:
    first, last = map(
        int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    )  # what the system gives out
    assert not any(first <= free_port() <= last for _ in range(50))


def test_a_port_taken_before_the_first_start_is_changed_for_another(tmp_path: Path) -> None:
    server = EmbeddedBroker(tmp_path / "broker")
    with socket.socket() as stranger:
        stranger.bind((server.host, server.mqtt_port))
        stranger.listen()
        server.start()
        try:
            assert server.mqtt_port != stranger.getsockname()[1]
            assert accepts_connections(server.host, server.mqtt_port)
        finally:
            server.stop()


def test_a_port_taken_later_is_not_changed_behind_the_clients_back(tmp_path: Path) -> None:
    server = EmbeddedBroker(tmp_path / "broker")
    server.start()
    server.kill()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((server.host, server.mqtt_port))
        stranger.listen()
        with pytest.raises(ServerStartError, match="address already in use"):
            server.start()
    server.start()
    server.stop()
