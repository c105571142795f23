"""Each jurisdiction's story on real servers: everybody is told what the table says, and nothing else.

Handset, push endpoint, text message gateway, police system, agency's system and consoles are talked to
over their own protocols. The clock is given and stands still while what is due is done.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.stories import STORIES, Comes, Story
from alerts.story_page import plain
from cordon.embedded.broker import EmbeddedBroker
from tests.alerts.receivers import http_receiver
from tests.alerts.story_tables import TABLES
from tests.conftest import Database
from tests.cordon.story_scene import journey
from tests.cordon.story_stage import Play, playing

pytestmark = pytest.mark.timeout(300)

NAMES = sorted(STORIES)


def seconds_of(story: Story, name: str) -> list[int]:
    """When devices report, somebody acts, or somebody is told."""
    clocks = [line.split()[0] for line in TABLES[name].splitlines() if line[:6].strip()]
    told = {int(minutes) * 60 + int(seconds) for minutes, seconds in (c.split(":") for c in clocks)}
    return sorted(told | journey(story).keys() | {beat.at_s for beat in story.beats})


async def act(play: Play, second: int) -> None:
    await play.go_to(second)
    for beat in play.story.beats:
        if beat.at_s == second and not isinstance(beat.does, Comes):
            await play.do(beat.does)


@pytest.mark.parametrize("name", NAMES)
async def test_everybody_is_told_what_the_table_says(
    name: str, broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    story = STORIES[name]
    async with (
        http_receiver() as receiver,
        playing(story, broker, database.dsn, tmp_path, receiver) as (play, _),
    ):
        for second in seconds_of(story, name):
            await act(play, second)
        assert plain(story, play.told(), play.start_us) == TABLES[name]
        assert sorted(play.shown) == sorted(play.changes())
        await play.is_in_the_history()


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_that_is_replaced_between_steps_repeats_nothing_and_forgets_nothing(
    name: str, broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    story = STORIES[name]
    beats = [beat.at_s for beat in story.beats]
    ends = {beats[0] + 1, beats[len(beats) // 2] + 1, beats[-1] + 1}
    async with (
        http_receiver() as receiver,
        playing(story, broker, database.dsn, tmp_path, receiver) as (play, another),
    ):
        done = 0
        for second in seconds_of(story, name):
            if ends and second >= min(ends):
                ends.remove(min(ends))
                await play.restart(another())
                done += 1
            await act(play, second)
        assert plain(story, play.told(), play.start_us) == TABLES[name]
        await play.is_in_the_history()
    assert done >= 2
