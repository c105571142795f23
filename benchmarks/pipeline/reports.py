"""The payloads that devices under load send, written fast."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from benchmarks.pipeline.scene import APART_M, LEAP_TO_M, METRE_DEG

SECOND_US = 1_000_000
WANDER_M = 2.0
WANDER_S = 60
NEAR_DEG = 0.5 * APART_M * METRE_DEG
"""Who is so far north of the protected person's home is her tag's wearer, before his leap."""

_TENTH_US = 100_000
_WANDER = [
    WANDER_M * METRE_DEG * math.sin(2 * math.pi * tenth / (10 * WANDER_S))
    for tenth in range(10 * WANDER_S)
]
"""Nobody stands still to the centimetre: a slow walk north and back, by the tenth of a second."""

MALFORMED = (
    b'{"time": "yesterday", "lat": 50.0, "lon": 4.0}',
    b'{"lat": 50.0, "lon": 4.0}',
    b'{"time": "2026-11-23T18:04:05Z", "lat": 91.0, "lon": 4.0}',
    b"{",
    b"\xff\xfe\x00",
    b'[{"time": 5}]',
)


class Clockwork:
    """Writes instants as ISO 8601; each second is formatted once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def iso(self, time_us: int) -> str:
        """The instant, to the microsecond, in UTC."""
        second, micro = divmod(time_us, SECOND_US)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{micro:06d}Z"


_clockwork = Clockwork()


def fixes(
    seq: int, times_us: range, place: tuple[float, float], *, buffered: bool = False
) -> bytes:
    """One fix, or an array of several, numbered from `seq` on, near a place (degrees)."""
    tail = ',"buffered":true}' if buffered else "}"
    lat, lon = place
    items = [
        f'{{"seq":{number},"time":"{_clockwork.iso(time_us)}",'
        f'"lat":{lat + _WANDER[time_us // _TENTH_US % len(_WANDER)]:.7f},"lon":{lon:.7f},'
        f'"accuracy_m":5.0,"speed_mps":0.2,"satellites":9,"battery_pct":81{tail}'
        for number, time_us in enumerate(times_us, seq)
    ]
    text = items[0] if len(items) == 1 else f"[{','.join(items)}]"
    return text.encode()


def panic(seq: int, time_us: int) -> bytes:
    """An event that raises an alert at once."""
    return f'{{"seq":{seq},"time":"{_clockwork.iso(time_us)}","type":"panic"}}'.encode()


def receipt(command: str, state: str, time_us: int) -> bytes:
    """What became of a command."""
    return f'{{"id":"{command}","state":"{state}","time":"{_clockwork.iso(time_us)}"}}'.encode()


def tag_place(home: tuple[float, float], *, leapt: bool) -> tuple[float, float]:
    """Where a tag is, as its wearer's home is `APART_M` north of the protected person's."""
    north_m = LEAP_TO_M if leapt else APART_M
    return home[0] + north_m * METRE_DEG, home[1]
