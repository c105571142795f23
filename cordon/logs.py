"""Structured logs to standard error, in which no position can appear.

A log line is kept longer and read by more people than a location may be. So a value whose name
says position, or that is a container, is withheld whatever the caller meant, and an exception is
logged by its type and place, not by its text, which may quote what it choked on.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from cordon.sections import Logs

_POSITION_NAME = re.compile(r"(^|_)(lat|lon|lng|latitude|longitude|geometry|position_deg|payload)")
_COORDINATE_TEXT = re.compile(r"(?<![\d.])-?\d{1,3}\.\d{3,}(?!\.?\d)")
"""Not within an address such as 192.168.0.1. Three or more decimals of a degree is a place (100 m); durations are logged with fewer."""

WITHHELD = "(withheld)"


def withhold_positions(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace whatever could be a position. Part of the pipeline; tested with canaries."""
    for name, value in event.items():
        if _POSITION_NAME.search(name) or isinstance(value, (dict, list, tuple, set, bytes)):
            event[name] = WITHHELD
        elif isinstance(value, float):
            event[name] = round(value, 2)
        elif isinstance(value, str) and name != "timestamp":
            event[name] = _COORDINATE_TEXT.sub(WITHHELD, value)
    return event


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's type and the innermost places it passed."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        event["error"] = type(error).__name__
        event["where"] = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames))
    return event


def configure_logs(logs: Logs, stream: TextIO = sys.stderr) -> None:
    """Send all log lines of this process to `stream` as settings say."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if logs.format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    level = getattr(logging, logs.level.upper())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            withhold_positions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard module; what they say may quote data, so only their
    # warnings pass, by the same pipeline.
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)


class _Bridge(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger(record.name).warning(
            "library", library=record.name, text=record.getMessage()[:200], exc_info=error
        )
