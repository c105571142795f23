"""The command line as a whole: every command is found, and none is in the way of the service."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from cordon.cli import NAMED, cordon

HEAVY = ("cordon.evidence_commands", "cordon.report_commands", "evidence.export", "reportlab")


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_command_that_is_imported_when_asked_for_has_the_name_it_is_found_by(name: str) -> None:
    command = cordon.get_command(click.Context(cordon), name)
    assert command is not None
    assert command.name == name


def test_the_list_has_all_commands_and_no_other() -> None:
    listed = cordon.list_commands(click.Context(cordon))
    assert {*NAMED, "demo", "serve", "config", "operator", "bench"} == set(listed)
    assert cordon.get_command(click.Context(cordon), "no-such") is None


def test_who_starts_the_service_waits_for_no_other_command() -> None:
    """A service that was killed is late by its start, and importing is the greater part of that."""
    program = (
        f"import sys, cordon.cli, cordon.serve; print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
