"""Commands of ``cordon`` that are imported when they are asked for.

All of them together take longer to import than the service does, and who starts it again after a
failure waits for nothing else. Besides, rooms above this one add some by way of an entry point:
`benchmarks` may import everything, so nothing may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

GROUP = "cordon.commands"
"""Name of the entry points; each names a click command."""


class GroupWithAdded(click.Group):
    """A group whose own commands come first, then those named here, then those of other rooms.

    Args:
        named: By name of the command, its module and its name there: ``cordon.ca_commands:ca``.
    """

    def __init__(self, *args: Any, named: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._named = named

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order of the alphabet."""
        added = entry_points(group=GROUP).names
        return sorted({*super().list_commands(ctx), *self._named, *added})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None if there is none."""
        return super().get_command(ctx, cmd_name) or self._found(cmd_name) or _added(cmd_name)

    def _found(self, name: str) -> click.Command | None:
        if name not in self._named:
            return None
        module, _, attribute = self._named[name].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), f"{self._named[name]} is a command"
        return command


def _added(name: str) -> click.Command | None:
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=GROUP, name=name))
    if not found:
        return None
    command = found[0].load()
    assert isinstance(command, click.Command)
    return command
