"""How a function becomes machine code: one decorator, one decision on caching.

Numba keeps compiled code beside a hash of the one file a function stands in. It does not notice
that a function it calls, and has inlined, has changed in another file: after an upgrade it would
go on computing with the old formula, without a word. Compiled code is therefore kept only in a
folder named after the content of all files of this room, below the folder that the environment
variable `NUMBA_CACHE_DIR` names. Any number of processes may share it: Numba writes each file
under another name first and then renames it. Where the variable was not set before Numba was imported,
or the folder cannot be written to, every process compiles for itself (some seconds, see
`geofence.engine.warm_up`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _room_digest() -> str:
    """Names the present content of this room's source files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _keep_compiled_code() -> bool:
    """Point Numba at the folder for this content; False when there is none to write to."""
    base = config.CACHE_DIR  # type: ignore[attr-defined] # read from the environment by name
    if not base:
        return False
    folder = Path(base) / f"geofence-{_room_digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    if not os.access(folder, os.W_OK):
        # Numba would fall back to folders of its own choice, which are not named by content.
        return False
    config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return True


_CACHED = _keep_compiled_code()


def kernel(function: _Function) -> _Function:
    """Compile `function` at its first call for each combination of argument types.

    Kernels release the GIL and keep IEEE arithmetic in the order written (no fastmath), so one
    machine gives the same bits every time. Division by zero gives infinity or NaN, as in NumPy.
    The undecorated function stays reachable as ``function.py_func``.
    """
    compile_ = numba.njit(nogil=True, fastmath=False, cache=_CACHED, error_model="numpy")
    return cast("_Function", compile_(function))


def constant(value: int) -> int:
    """A module's constant that kernels hand to kernels.

    A Python integer that is known at compile time is a type of its own for Numba: what is called
    with -1 and with 0 would be compiled twice, and all that it calls. One of NumPy's is not.
    """
    return cast("int", np.int64(value))
