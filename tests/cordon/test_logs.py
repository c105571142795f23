"""Logs never hold a position, whoever writes them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cordon.logs import WITHHELD, configure_logs, withhold_positions
from cordon.sections import Logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs(Logs(level="debug"), stream)
    yield stream
    structlog.reset_defaults()
    logging.basicConfig(handlers=[], force=True)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@given(
    lat=st.floats(-90, 90).filter(lambda x: abs(x) > 1e-3),
    lon=st.floats(-180, 180).filter(lambda x: abs(x) > 1e-3),
)
def test_no_coordinate_passes_in_any_disguise(lat: float, lon: float) -> None:
    text = f"{lat:.6f},{lon:.6f}"
    event = {
        "lat": lat,
        "fix_longitude": lon,
        "geometry": [lat, lon],
        "detail": {"somewhere": lat},
        "payload": text.encode(),
        "reason": f"cannot parse '{text}' at column 5",
        "bare": lat,
    }
    kept = withhold_positions(None, "info", event)
    assert f"{lat:.6f}" not in str(kept)
    assert f"{lon:.6f}" not in str(kept)
    assert kept["geometry"] == kept["detail"] == kept["payload"] == kept["lat"] == WITHHELD
    assert kept["bare"] == round(lat, 2)


def test_a_line_is_one_json_object_with_time_and_level(written: io.StringIO) -> None:
    structlog.get_logger("x").info("engine_compiled", took_s=1.23456)
    (line,) = lines(written)
    assert line["event"] == "engine_compiled"
    assert line["level"] == "info"
    assert line["took_s"] == 1.23
    assert line["timestamp"].endswith("Z")


def test_an_exception_is_logged_by_type_and_place_not_by_its_text(written: io.StringIO) -> None:
    try:
        float("54.123456 N")
    except ValueError:
        structlog.get_logger("x").exception("part_failed", part="worker")
    (line,) = lines(written)
    assert line["error"] == "ValueError"
    assert "test_an_exception_is_logged" in line["where"]
    assert "54.12" not in written.getvalue()


def test_what_libraries_say_passes_the_same_way(written: io.StringIO) -> None:
    logging.getLogger("paho").warning("bad packet at 54.123456")
    logging.getLogger("paho").info("chatter")
    (line,) = lines(written)
    assert line["library"] == "paho"
    assert "54.12" not in line["text"]


def test_addresses_are_not_positions() -> None:
    event = {"broker": "192.168.0.123:4222", "host": "10.0.0.123", "version": "2.15.1"}
    assert withhold_positions(None, "info", dict(event)) == event
