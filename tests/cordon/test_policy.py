"""Policy from files: taken over while running, or refused whole; and looked at on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.errors import CordonError
from cordon.policy import Policy
from cordon.sections import Alerts

MINE = 'name = "mine"\nextends = "default"\n[health]\nsilent = { tier = 2 }\n'
CONTACT = '[[contact]]\nname = "Ada"\nrole = "police"\nemail = "ada@police.example"\n'


class Files:
    def __init__(self, folder: Path) -> None:
        self.profile = folder / "profiles" / "mine.toml"
        self.contacts = folder / "contacts.toml"
        self.profile.parent.mkdir()
        self.profile.write_text(MINE)
        self.contacts.write_text(CONTACT)
        self.settings = Alerts(profiles=str(self.profile.parent), contacts=str(self.contacts))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_change_is_taken_over_by_the_same_objects(files: Files) -> None:
    policy = Policy(files.settings)
    profiles, contacts = policy.profiles, policy.contacts
    assert not policy.refresh()
    files.profile.write_text(MINE.replace("tier = 2", "tier = 1 "))
    files.contacts.write_text(CONTACT.replace("Ada", "Bob "))
    assert policy.refresh()
    assert profiles.by_name["mine"].health["silent"].tier == 1
    assert contacts.find("Ada") is None
    assert contacts.find("Bob ") is not None
    assert policy.counts.taken == 1


def test_what_cannot_be_used_changes_nothing_and_is_said(files: Files) -> None:
    policy = Policy(files.settings)
    files.contacts.write_text(CONTACT.replace("Ada", "Bob "))
    files.profile.write_text(MINE.replace("tier = 2", "tier = 77"))
    assert not policy.refresh()
    assert policy.profiles.by_name["mine"].health["silent"].tier == 2
    assert policy.contacts.find("Ada") is not None
    assert (policy.counts.refused, policy.counts.refusing) == (1, True)
    assert not policy.refresh()  # said once
    assert policy.counts.refused == 1
    files.profile.write_text(MINE)
    assert policy.refresh()
    assert not policy.counts.refusing


def test_a_file_that_goes_leaves_the_policy_as_it_was(files: Files) -> None:
    policy = Policy(files.settings)
    files.contacts.unlink()
    assert not policy.refresh()
    assert policy.contacts.find("Ada") is not None


def test_nothing_begins_with_half_a_policy(files: Files) -> None:
    files.contacts.write_text("[[contact]]\n")
    with pytest.raises(CordonError, match="contacts"):
        Policy(files.settings)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cordon, words)
    return result.exit_code, result.output + str(result.exception or "")


def test_profiles_are_listed_checked_and_explained(files: Files) -> None:
    status, said = run("profile", "list")
    assert status == 0
    assert "france@" in said
    status, said = run("profile", "check", str(files.profile))
    assert (status, "mine@" in said) == (0, True)
    status, said = run("profile", "explain", "uruguay", "--language", "es")
    assert (status, "call protected, call wearer, send patrol" in said) == (0, True)
    assert "unacknowledged for 60 s: supervisor 1 by push or sms" in said
    status, said = run("profile", "explain", "nowhere")
    assert status != 0
    assert "There are: default, england-wales, france, spain, uruguay" in said
    files.profile.write_text(MINE.replace("tier = 2", "tier = 77"))
    status, said = run("profile", "check", str(files.profile))
    assert status != 0
    assert "line 4: health.silent.tier" in said


def test_an_order_whose_rings_the_law_does_not_know_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "caseload.yaml"
    file.write_text(
        """
agencies: [{id: centre, name: Centre}]
people: [{id: he, role: wearer}, {id: she, role: protected}]
orders:
  - id: o1
    agency: centre
    wearer: he
    valid_from: "2026-01-01T00:00:00Z"
    profile: france
    conditions: [{type: proximity, id: c1, protected: she, alert_m: 500}]
"""
    )
    status, said = run("caseload", "check", str(file))
    assert status != 0
    assert "condition c1: alert_m is 500, but must be at least 1000 (profile france)" in said
