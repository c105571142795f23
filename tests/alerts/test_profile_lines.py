"""A profile that extends another, and mistakes that are named with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.errors import ProfileError
from alerts.profile import load_profiles, parse_profile
from alerts.toml_lines import TomlLines

SOUND = """\
extends = "default"
name = "mine"

[levels.proximity]
pre_alert = { tier = 2, tell = false }

[[escalation]]
when = "unacknowledged"
tier = 1
after_s = 10
ask = "police"
via = ["webhook"]
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text.encode(), "mine.toml")
    return caught.value.problems


def test_what_is_not_said_is_as_in_the_other_and_lists_are_whole() -> None:
    mine = parse_profile(SOUND.encode(), "mine.toml")
    default = load_profiles().by_name["default"]
    assert mine.levels["proximity"]["pre_alert"].tier == 2
    assert mine.levels["proximity"]["alert"] == default.levels["proximity"]["alert"]
    assert mine.texts == default.texts
    assert [rule.ask for rule in mine.escalation] == ["police"]
    assert mine.version.startswith("mine@")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("tier = 2, tell", "tier = 9, tell", "line 5: levels.proximity.pre_alert.tier: "),
        ("tell = false", "tel = false", "line 5: levels.proximity.pre_alert: "),
        ('via = ["webhook"]', 'via = ["pigeon"]', "line 12: escalation.0.via"),
        ("after_s = 10", "after_s = -1", "line 10: escalation.0.after_s: "),
        ('via = ["webhook"]', 'via = ["console"]', "line 12: escalation.0.via: "),
        ('"default"', '"defualt"', "extends: there is no profile 'defualt'"),
        ("[levels.proximity]", "[levels.nearness]", "line 4: levels: unknown name"),
        ("after_s = 10", "after_s = ", "line 10"),
    ],
)
def test_mistakes_are_named_with_their_lines(old: str, new: str, problem: str) -> None:
    assert old in SOUND
    found = problems(SOUND.replace(old, new))
    assert any(problem in line for line in found), found


def test_all_mistakes_of_shape_are_named_at_once() -> None:
    broken = SOUND.replace("tier = 2", "tier = 9").replace("after_s = 10", "after_s = -1")
    assert len(problems(broken)) == 2


def test_profiles_may_not_extend_each_other_in_a_circle(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\nextends = "{base}"\n')
    with pytest.raises(ProfileError, match="extends"):
        load_profiles(tmp_path)


def test_a_sites_default_is_what_others_of_the_site_extend(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SOUND)
    (tmp_path / "theirs.toml").write_text('name = "theirs"\nextends = "mine"\n')
    profiles = load_profiles(tmp_path).by_name
    assert profiles["theirs"].levels == profiles["mine"].levels


def test_a_site_may_change_the_default_and_with_it_all_that_extend_it(tmp_path: Path) -> None:
    (tmp_path / "default.toml").write_text(SOUND.replace('"mine"', '"default"'))
    profiles = load_profiles(tmp_path).by_name
    assert profiles["default"].levels["proximity"]["pre_alert"].tier == 2
    assert [rule.ask for rule in profiles["uruguay"].escalation] == ["police"]


def test_lines_of_tables_keys_and_arrays() -> None:
    lines = TomlLines('a = 1\n[t."x"]\nb.c = 2\n[[l]]\nd = 1\n[[l]]\nd = 2\n')
    wanted = {"a": 1, "t.x": 2, "t.x.b.c": 3, "l.0": 4, "l.0.d": 5, "l.1.d": 7, "l.1.zz": 6}
    assert {path: lines.of(path) for path in wanted} == wanted
    assert lines.of("nowhere.at.all") is None
