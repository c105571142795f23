"""Talking to the person at the terminal while something takes its time."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO


class Steps:
    """Prints each step when it begins and how long it took: ``Starting the broker ... 0.1 s``.

    Args:
        stream: Where to; standard error, so that standard output carries results alone.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done()

    def tell(self, step: str) -> None:
        """Begin a step, ending the one before."""
        self.done()
        print(f"  {step} ", end="", file=self._stream, flush=True)
        self._began_s = time.monotonic()

    def done(self) -> None:
        """End the present step."""
        if self._began_s is not None:
            took_s = time.monotonic() - self._began_s
            print(f"... {took_s:.1f} s", file=self._stream, flush=True)
            self._began_s = None

    def say(self, line: str = "") -> None:
        """A line of its own."""
        self.done()
        print(line, file=self._stream, flush=True)
