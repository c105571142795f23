"""The tables of the page are true, and a profile of a site's own can be rehearsed before it is in force."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.errors import CordonError
from cordon.generated_page import put_between
from cordon.profile_commands import STORIES_BEGIN, STORIES_END, shipped_tables
from tests.alerts.story_tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"


def rehearse(*arguments: str) -> str:
    result = CliRunner().invoke(cordon, ["profile", "rehearse", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_has_the_tables_that_the_profiles_make() -> None:
    _, _, rest = PAGE.read_text().partition(f"{STORIES_BEGIN}\n")
    assert rest.partition(STORIES_END)[0] == shipped_tables(), (
        "run: cordon profile rehearse --write docs/profiles.md"
    )


def test_a_shipped_profile_is_rehearsed_by_name() -> None:
    assert rehearse("spain") == TABLES["spain"]


def test_a_profile_of_ones_own_shows_what_it_changes(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'name = "mine"\nextends = "france"\n[levels.proximity]\n'
        "pre_alert = { tier = 3, tell = true }\n"
    )
    before, after = TABLES["france"].splitlines(), rehearse(str(mine)).splitlines()
    added = [line for line in after if line not in before]
    assert len(after) > len(before)
    assert any("Soyez attentive" in line for line in added)


@pytest.mark.parametrize(
    ("extends", "rules", "refusal"),
    [
        (
            "uruguay",
            "[levels.proximity]\nalert = { tier = 3 }",
            "the alert was acknowledged by Kim",
        ),
        (
            "france",
            '[procedures.proximity]\npre_alert = ["call_wearer"]',
            "leaves nothing to tell her by hand",
        ),
    ],
)
def test_a_step_that_a_profile_leaves_nothing_for_is_a_line_of_the_table(
    tmp_path: Path, extends: str, rules: str, refusal: str
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(f'name = "mine"\nextends = "{extends}"\n{rules}\n')
    table = rehearse(str(mine))
    [cannot] = [line for line in table.splitlines() if "cannot do this" in line]
    assert cannot.split()[:2] == ["Kim", "console"]
    assert refusal in cannot
    assert "closed: breach, by" in table, "the story goes on to its end"


def test_a_profile_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(cordon, ["profile", "rehearse", "atlantis"])
    assert result.exit_code != 0
    assert isinstance(result.exception, CordonError | SystemExit)


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(CordonError, match="no place"):
        put_between(page, STORIES_BEGIN, STORIES_END, "x")
    assert page.read_text() == "nothing"
