"""Ten minutes without the database, by the service's clock, in the middle of a story and under load.

The clock is given, so the ten minutes pass in seconds; how often the writer tries to come back runs by
the loop's own time and is not shortened. `cordon bench faults --only "database down for ten minutes"`
has the real ten minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerts.stories import STORIES, Comes
from alerts.story_page import plain
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from devices.instants import to_iso
from tests.alerts.receivers import http_receiver
from tests.alerts.story_tables import TABLES
from tests.cordon.running import HOME, until
from tests.cordon.story_scene import journey
from tests.cordon.story_stage import Play, playing

pytestmark = pytest.mark.timeout(240)

AWAY_FROM_S, AWAY_UNTIL_S = 31, 640
OTHERS = 20
"""Devices that report beside the story, at each of its steps."""


async def others_report(play: Play, second: int) -> set[tuple[str, int]]:
    """Fixes of devices that nobody carries: work for the history, and for nobody else."""
    sent = set()
    for number in range(OTHERS):
        fix = {
            "seq": second + 1,
            "time": to_iso(play.now_us()),
            "lat": HOME[0] + number / 100,
            "lon": HOME[1],
            "accuracy_m": 5.0,
        }
        await play.seen.publish(f"other-{number}", "fix", json.dumps(fix).encode())
        sent.add((f"other-{number}", second + 1))
    return sent


async def test_ten_minutes_without_the_database_cost_no_alert_and_no_step_of_the_history(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    story = STORIES["default"]
    seconds = sorted(journey(story).keys() | {beat.at_s for beat in story.beats})
    sent: set[tuple[str, int]] = set()
    async with (
        http_receiver() as receiver,
        playing(story, broker, postgres.dsn, tmp_path, receiver) as (play, _),
    ):
        away = False
        for second in seconds:
            if not away and AWAY_FROM_S <= second < AWAY_UNTIL_S:
                postgres.stop()
                away = True
            if away and second >= AWAY_UNTIL_S:
                assert play.seen.stored() == set()
                assert play.service.parts.writer.counts.database_up is False
                postgres.start()
                away = False
            sent |= await others_report(play, second)
            await play.go_to(second)
            for beat in story.beats:
                if beat.at_s == second and not isinstance(beat.does, Comes):
                    await play.do(beat.does)
        assert not away
        assert plain(story, play.told(), play.start_us) == TABLES["default"]
        await play.is_in_the_history()
        await until(lambda: sent <= play.seen.stored(), "the history has every report", 60)
        steps = "select count(*), count(distinct id) from evidence.alert_change"
        [(rows, ids)] = play.seen.query(steps)
        assert rows == ids
        twice = play.seen.query(
            "select delivery_id from evidence.delivery where state = 'sent'"
            " group by delivery_id having count(*) > 1"
        )
        assert twice == []
        await play.deliveries_are_in_the_history()
