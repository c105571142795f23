"""When a tag may be sent something, and when it is sent something for no reason.

What a wearer can see of his tag (that it was spoken to, and that it reports more often) must not tell
him that she is near. So each device has *turns*, five seconds apart and each a little late, and is
spoken to at its turns only; its rate is also raised at random turns and at random places, by chance
drawn from a secret of the site; and a raise lasts a time drawn the same way, whatever caused it.
Everything here follows from the secret, the device and the time: nothing is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from devices.instants import MICROSECONDS

TURN_US = 5 * MICROSECONDS
"""From one turn of a device to its next. A raise comes at most so late, and by `JITTER_US`."""

JITTER_US = 2 * MICROSECONDS
"""A turn is late by less than this."""

ROUND_TURNS = 720
"""An hour of turns: at most one random raise begins in each."""

RANDOM_SHARE = 0.25
"""Share of the rounds with a random raise: six a day. An encounter is rarer by far, so a raise that
comes from one is one of many."""

LEAST_TURNS, MOST_TURNS = 120, 240
"""A raise lasts 10 to 20 minutes, drawn evenly; then it ends or is drawn anew."""

CONTINUE_SHARE = 0.25
"""A raise that could end goes on for another drawn time so often, for no reason."""

CELL_E7 = 100_000
"""Places are told apart by cells of 0.01 degrees: about a kilometre, as wide as an outer ring."""

DECOY_SHARE = 1 / 16
"""Share of the cells that raise the rate of a tag which enters them."""

DECOY_EPOCH_US = 28 * 86_400 * MICROSECONDS
"""The cells are drawn anew so often. For that long they do so at each visit, as her home would."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The turns of all devices of a site.

    Attributes:
        secret: Known to nobody outside; 16 to 64 bytes.
    """

    secret: bytes

    def turn_us(self, device: str, turn: int) -> int:
        """The instant of a turn."""
        return self._phase_us(device) + turn * TURN_US + self._draw(JITTER_US, device, "turn", turn)

    def next_turn(self, device: str, after_us: int) -> int:
        """The first turn after an instant."""
        turn = (after_us - self._phase_us(device)) // TURN_US
        while self.turn_us(device, turn) <= after_us:
            turn += 1
        return turn

    def next_random(self, device: str, after: int) -> int:
        """The first turn after another at which the rate is raised for no reason."""
        number = after // ROUND_TURNS
        while True:
            if self._chance(RANDOM_SHARE, device, "round", number):
                turn = number * ROUND_TURNS + self._draw(ROUND_TURNS, device, "start", number)
                if turn > after:
                    return turn
            number += 1

    def raised_turns(self, device: str, turn: int) -> int:
        """For how many turns a raise lasts that begins, or goes on, at a turn."""
        return LEAST_TURNS + self._draw(MOST_TURNS - LEAST_TURNS + 1, device, "length", turn)

    def goes_on(self, device: str, turn: int) -> bool:
        """Whether a raise that could end at a turn goes on for no reason."""
        return self._chance(CONTINUE_SHARE, device, "continue", turn)

    def is_decoy(self, device: str, cell: tuple[int, int], at_us: int) -> bool:
        """Whether a place raises the rate of a tag that enters it."""
        return self._chance(DECOY_SHARE, device, "cell", *cell, at_us // DECOY_EPOCH_US)

    def _phase_us(self, device: str) -> int:
        return self._draw(TURN_US, device, "phase")

    def _chance(self, share: float, device: str, *what: object) -> bool:
        return self._number(device, *what) < share * 2**64

    def _draw(self, below: int, device: str, *what: object) -> int:
        return self._number(device, *what) * below >> 64

    def _number(self, device: str, *what: object) -> int:
        """A number below 2^64 that nobody without the secret can tell from chance."""
        text = "/".join(map(str, (device, *what))).encode()
        return int.from_bytes(blake2b(text, digest_size=8, key=self.secret).digest(), "big")


def cell_of(lat_e7: int, lon_e7: int) -> tuple[int, int]:
    """The cell a position is in."""
    return lat_e7 // CELL_E7, lon_e7 // CELL_E7
