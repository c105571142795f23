"""Errors that end a command. Their text is for the person at the terminal."""

from __future__ import annotations


class CordonError(Exception):
    """Something a person can act on: what happened, what it means, what to do."""


class ServerStartError(CordonError):
    """An embedded server did not come up."""
