"""Commands that rooms above this one add to ``cordon``, by way of an entry point.

`benchmarks` may import everything, so nothing may import it. The command line finds what it adds
in the metadata of installed packages, and imports it when it is asked for.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

GROUP = "cordon.commands"
"""Name of the entry points; each names a click command."""


class GroupWithAdded(click.Group):
    """A group whose own commands come first, then those that other rooms add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order of the alphabet."""
        return sorted({*super().list_commands(ctx), *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None if there is none."""
        return super().get_command(ctx, cmd_name) or _added(cmd_name)


def _added(name: str) -> click.Command | None:
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=GROUP, name=name))
    if not found:
        return None
    command = found[0].load()
    assert isinstance(command, click.Command)
    return command
