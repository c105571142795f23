"""A sealer that is killed at one of its crash points: run as a program by `test_crashes`.

Arguments: database, folder of the guard, number of the crash point (0: none), and address and keys
of a witness.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from evidence.log.signing import VerifierKey
from evidence.witness_client import Witness
from tests.evidence.sealing_world import sealer_of

KILLED = 137


def main(dsn: str, folder: str, number: str, url: str, *keys: str) -> None:
    left = int(number)

    def crashpoint(step: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            sys.stderr.write(f"killed at: {step}\n")
            sys.stderr.flush()
            os._exit(KILLED)

    witness = Witness(url, tuple(VerifierKey.parse(key) for key in keys))
    asyncio.run(sealer_of(dsn, Path(folder), witness, crashpoint=crashpoint).turn())


if __name__ == "__main__":
    main(*sys.argv[1:])
