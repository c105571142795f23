"""Health beside a plain twin: whatever devices do, and however time is brought."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from devices.health import Health
from devices.health_changes import HealthChange
from devices.watches import Bearer
from tests.devices.health_twin import Twin, TwinDevice

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US
NAMES = [f"d{number:02}" for number in range(24)]
INTERVALS = (10, 60, 120)


def bearer(number: int, person: str) -> Bearer:
    handset = number % 2 == 1
    return Bearer(
        device=NAMES[number],
        kind="handset" if handset else "tag",
        person=person,
        role="protected" if handset else "wearer",
        fix_interval_s=float(INTERVALS[number % len(INTERVALS)]),
        agencies=("north",) if number % 5 else ("north", "south"),
    )


class HealthBesideTwin(RuleBasedStateMachine):
    """Devices come, speak, fall silent one by one or all together, and change hands."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health(START_US)
        self.twin = Twin()
        self.said: list[HealthChange] = []
        self.bearers: dict[str, Bearer] = {}

    @property
    def now_us(self) -> int:
        return START_US + self.twin.now * SECOND_US

    @initialize()
    def everybody_speaks(self) -> None:
        for number in range(len(NAMES)):
            self.assign(number, "first")
        self.speak(range(len(NAMES)), 24)

    @rule(number=st.integers(0, len(NAMES) - 1), person=st.sampled_from(["first", "second"]))
    def assign(self, number: int, person: str) -> None:
        name, given = NAMES[number], bearer(number, person)
        known = self.bearers.get(name)
        self.bearers[name] = given
        self.said += self.health.plan(self.bearers, self.now_us)
        if known is not None and known.person == person:
            return
        if known is not None:
            self.twin.leave(name)
        interval_s = int(given.fix_interval_s)
        self.twin.devices[name] = TwinDevice(person, given.agencies, interval_s, self.twin.now)

    @rule(number=st.integers(0, len(NAMES) - 1))
    def take_away(self, number: int) -> None:
        name = NAMES[number]
        if name in self.bearers:
            del self.bearers[name]
            self.said += self.health.plan(self.bearers, self.now_us)
            self.twin.leave(name)

    @rule(
        first=st.integers(0, len(NAMES) - 1),
        count=st.integers(1, len(NAMES)),
        every_s=st.integers(0, 40),
        placed=st.booleans(),
    )
    def some_speak(self, *, first: int, count: int, every_s: int, placed: bool) -> None:
        """One after the other, with time between: what an outage and its end look like."""
        chosen = [(first + i) % len(NAMES) for i in range(count)]
        self.speak(chosen, every_s, placed=placed)

    def speak(self, numbers: object, every_s: int, *, placed: bool = True) -> None:
        for number in list(numbers):  # type: ignore[call-overload]
            name = NAMES[number]
            if name not in self.bearers:
                continue
            self.twin.advance(self.twin.now + every_s)
            # The health is not told of time by itself: what is due comes with the next word.
            self.said += self.health.hear(name, self.now_us)
            self.twin.hear(name)
            if placed:
                self.said += self.health.position(name, self.now_us, self.now_us)
                self.twin.place(name)

    @rule(seconds=st.integers(0, 400), step_s=st.sampled_from([1, 7, 400]))
    def wait(self, seconds: int, step_s: int) -> None:
        """The same time passes in small steps or in one."""
        end = self.twin.now + seconds
        for second in (*range(self.twin.now + step_s, end, step_s), end):
            self.said += self.health.advance(START_US + second * SECOND_US)
        self.twin.advance(end)

    @rule()
    def restart(self) -> None:
        self.said += self.health.advance(self.now_us)
        self.health = Health.restore(self.health.snapshot())

    @rule()
    def was_deaf(self) -> None:
        self.said += self.health.advance(self.now_us)
        self.health.listen_from(self.now_us)
        self.twin.listen()

    @invariant()
    def they_agree(self) -> None:
        self.said += self.health.advance(self.now_us)
        told = [
            (
                (change.decided_at_us - START_US) // SECOND_US,
                change.kind,
                change.device or change.agency,
                change.began,
            )
            for change in self.said
        ]
        assert told == self.twin.said

    @invariant()
    def what_goes_on_began_and_has_not_ended(self) -> None:
        opened: dict[str, int] = {}
        for change in self.said:
            if change.began:
                assert change.key not in opened
                opened[change.key] = change.number
            else:
                assert opened.pop(change.key) == change.number
        going_on = {change.key: change.number for change in self.health.going_on(self.now_us)}
        assert going_on == opened


HealthBesideTwin.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestHealthBesideTwin = HealthBesideTwin.TestCase
