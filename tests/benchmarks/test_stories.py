from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.contenders import Watched, watch_encounters
from benchmarks.encounter_page import asked_at, draw_story
from benchmarks.encounters import Spell
from benchmarks.stories import sigma_behind, stories, timeline
from cordon.errors import CordonError
from geofence.levels import Level
from geofence.proximity import distance_interval_m
from geofence.sensitivity import DEFAULT_SENSITIVITY
from tests.benchmarks.walks import encounter_rows, write

R = 100.0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """One meeting, of which seconds 100 to 200 are a true encounter."""
    path = write(tmp_path_factory.mktemp("walks") / "walks.csv", encounter_rows())
    return watch_encounters(path, radius_m=R, interval_s=1.0)


@pytest.mark.parametrize(
    ("alerts", "kind", "words"),
    [
        ([], "missed", "Missed: stays and comes were within 100 m for 100 s (20 m at the nearest)"),
        ([Spell(106, 200)], "late", "came after 6 s"),
        ([Spell(102, 110), Spell(150, 200)], "several", "2 alerts"),
        ([Spell(102, 200)], "ordinary", "came 2 s after it began"),
        ([Spell(98, 200)], "ordinary", "came 2 s before it began"),
        ([Spell(100, 200)], "ordinary", "in the same second"),
    ],
)
def test_what_is_told(watched: Watched, alerts: list[Spell], kind: str, words: str) -> None:
    (story,) = stories(watched.recordings, watched.meetings, [alerts], R, 1.0)
    assert (story.kind, story.meeting) == (kind, 0)
    assert words in story.title
    assert 0 <= story.start_s < story.end_s <= 299


def test_the_worst_comes_first(watched: Watched) -> None:
    found = stories(
        watched.recordings, watched.meetings, [[Spell(10, 20), Spell(101, 200)]], R, 1.0
    )
    assert [story.kind for story in found] == ["false", "ordinary"]
    assert "no nearer than 400 m" in found[0].title


def test_a_timeline_repeats_what_was_decided(watched: Watched) -> None:
    line = timeline(watched.recordings, watched.meetings[0], R, 299)
    assert list(line.reported) == list(watched.alerts[0])
    assert line.level[150] == Level.ALERT
    assert line.level[50] == Level.CLEAR
    assert line.true == [Spell(100, 200)]
    inside = slice(130, 195)
    assert np.all(line.low_m[inside] <= line.truth_m[inside])
    assert np.all(line.high_m[inside] >= line.truth_m[inside])
    assert np.all(line.probability[inside] > 0.9)


@given(st.floats(0, 1e5), st.floats(0.5, 1e4))
def test_the_error_behind_an_interval(distance_m: float, sigma_m: float) -> None:
    _, high_m = distance_interval_m(distance_m, sigma_m)
    found_m = sigma_behind(np.array([distance_m]), np.array([high_m]))
    # Where the error is small beside the distance, digits are lost.
    assert found_m[0] == pytest.approx(sigma_m, rel=1e-6, abs=1e-9 * distance_m)


def test_what_is_asked_falls_with_the_interval() -> None:
    assert asked_at(1.0) == DEFAULT_SENSITIVITY.enter_probability
    assert asked_at(15.0) == pytest.approx(DEFAULT_SENSITIVITY.sparse_probability)
    assert asked_at(60.0) == pytest.approx(DEFAULT_SENSITIVITY.sparse_probability)
    assert math.isclose(asked_at(math.sqrt(15.0)), 0.4)


def test_a_page_is_drawn(watched: Watched, tmp_path: Path) -> None:
    (story,) = stories(watched.recordings, watched.meetings, watched.alerts, R, 1.0)
    line = timeline(watched.recordings, watched.meetings[0], R, story.end_s)
    draw_story(tmp_path / "page.png", story, line, radius_m=R, interval_s=1.0)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    draw_story(tmp_path / "page.svg", story, line, radius_m=R, interval_s=1.0)
    assert b"<svg" in (tmp_path / "page.svg").read_bytes()


def test_without_matplotlib_it_is_said_what_to_install(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (story,) = stories(watched.recordings, watched.meetings, watched.alerts, R, 1.0)
    line = timeline(watched.recordings, watched.meetings[0], R, story.end_s)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CordonError, match="pip install matplotlib"):
        draw_story(tmp_path / "page.png", story, line, radius_m=R, interval_s=1.0)
