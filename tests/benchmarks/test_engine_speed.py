from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from benchmarks import engine_peers
from benchmarks.engine_page import draw_curve
from benchmarks.engine_speed import QUICK, CurvePoint, EngineReport, run_engine
from benchmarks.town import ALERT_M, SECOND_US, START_US, VERTICES, Town
from cordon.cli import cordon
from geofence.distance import geodesic_m


def test_small_sizes_give_every_figure() -> None:
    steps: list[str] = []
    report = run_engine(replace(QUICK, batches=(20, 40)), tell=steps.append)
    assert steps
    assert [one.fixes for one in report.ordinary] == [20, 40]
    assert [one.fixes for one in report.worst] == [20, 40]
    assert report.fixes_per_s == report.ordinary[-1].fixes_per_s
    assert all(one.fixes_per_s > 0 for one in report.ordinary + report.worst)
    assert all(one.near_zones == 1.0 for one in report.worst)
    assert report.sweep.pairs == report.worst_sweep.pairs == QUICK.sweep_pairs
    assert report.sweep.due < report.worst_sweep.due == 1.0
    assert [one.pairs for one in report.curve] == list(QUICK.curve_pairs)
    assert all(one.batch_s > 0 for one in report.curve)
    assert report.warm_up is None


def test_every_peer_has_a_figure_or_a_reason() -> None:
    report = run_engine(replace(QUICK, batches=(20,)), postgis="host=/nowhere connect_timeout=1")
    names = [peer.name for peer in report.peers]
    assert names == ["shapely_per_fix", "shapely_arrays", "redis_geo", "postgis"]
    for peer in report.peers:
        assert (peer.fixes_per_s is None) == (peer.ratio is None) == bool(peer.note)
    there = [peer.name for peer in report.peers if peer.fixes_per_s]
    assert there[:2] == names[:2]
    assert ("redis_geo" in there) == (shutil.which("redis-server") is not None)
    assert "postgis" not in there


def test_what_is_not_installed_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    report = run_engine(replace(QUICK, batches=(20,)))
    notes = {peer.name: peer.note for peer in report.peers}
    assert notes["redis_geo"] == "not installed"
    assert notes["postgis"] == "no database named"


def test_the_command_prints_one_object_and_can_print_tables() -> None:
    result = CliRunner().invoke(cordon, ["bench", "engine", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    assert msgspec.json.decode(result.stdout, type=EngineReport).fixes_per_s > 0
    lines = CliRunner().invoke(cordon, ["bench", "engine", "--quick"]).stdout.splitlines()
    titles = [line.split()[0] for line in lines if line]
    assert [title for title in titles if title in {"batches", "sweep", "peers"}] == [
        "batches", "sweep", "peers",
    ]  # fmt: skip


def test_the_curve_is_drawn_where_it_can_be(tmp_path: Path) -> None:
    curve = [CurvePoint(pairs=pairs, batch=10, batch_s=0.001) for pairs in (10, 100)]
    pytest.importorskip("matplotlib")
    assert draw_curve(curve, tmp_path / "new").stat().st_size > 0


def test_a_town_is_the_same_every_time() -> None:
    one, other = (Town(50, interval_s=5.0) for _ in range(2))
    for _ in range(3):
        assert all(np.array_equal(a, b) for a, b in zip(one.fixes(), other.fixes(), strict=True))


def test_everybody_in_a_town_sends_one_fix_up_to_a_second_old() -> None:
    town = Town(40, interval_s=5.0)
    for turn in range(1, 4):
        who, time_us, *_ = town.fixes()
        assert town.now_us == START_US + turn * 5 * SECOND_US
        assert sorted(who.tolist()) == list(range(40))
        assert (time_us <= town.now_us).all()
        assert (time_us > town.now_us - SECOND_US).all()


def test_the_worst_town_has_everybody_at_the_edge_of_everything() -> None:
    town = Town(60, interval_s=5.0, worst=True)
    zones = town.plan.zones
    assert (np.diff(zones.ring_vertex) == VERTICES + 1).all()
    areas = engine_peers.areas_of(zones).reshape(60, 3)
    who, _, lat_e7, lon_e7, _ = town.fixes()
    order = np.argsort(who)
    lat, lon = lat_e7[order] / 1e7, lon_e7[order] / 1e7
    edges_deg = shapely.distance(shapely.boundary(areas), shapely.points(lon, lat)[:, None])
    assert np.quantile(edges_deg, 0.9) < 70 / 111_320 / np.cos(np.radians(52))
    ends = enumerate(town.partner.tolist())
    apart = [geodesic_m(lat[i], lon[i], lat[j], lon[j]) for i, j in ends]
    assert np.quantile(np.abs(np.array(apart) - ALERT_M), 0.9) < 100


def test_a_town_is_of_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        Town(7, interval_s=1.0)
