"""What is tried at the door, beside a plain twin: whatever comes, and however time is brought."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices import door as module
from devices.door import KINDS, OF_SOMEBODY_ELSE, QUIET_US, TIMES, WITHIN_US, Door, DoorStateError
from devices.health import Health
from devices.health_changes import DoorKind, HealthChange
from devices.health_reports import take_reports
from devices.reports import Batch, Message, Refusal, no_fixes
from devices.watches import Bearer

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US
OURS = ("tag-1", "phone-1")
CODES = (*KINDS, "not_json", "broker_closed")


def bearers(**person_of: str) -> dict[str, Bearer]:
    names = {"tag-1": "he", "phone-1": "she"} | {
        name.replace("_", "-"): person for name, person in person_of.items()
    }
    return {
        name: Bearer(
            device=name,
            kind="tag",
            person=person,
            role="wearer",
            fix_interval_s=60.0,
            agencies=("centre",),
        )
        for name, person in names.items()
    }


def batch(at_us: int, *refused: tuple[str, str]) -> Batch:
    return Batch(
        gateway="gw",
        number=1,
        received_us=at_us,
        messages=(Message(at_us, "$broker/login", b""),),
        fixes=no_fixes(),
        refusals=tuple(
            Refusal(0, device, code, "Because.", None, 0, bytes(32)) for device, code in refused
        ),
    )


def new_door() -> Door:
    door = Door()
    door.plan(bearers(), START_US)
    return door


def told(changes: list[HealthChange]) -> list[tuple[str, str, bool, str, int]]:
    return [
        (one.kind, one.device, one.began, one.cause, (one.decided_at_us - START_US) // SECOND_US)
        for one in changes
    ]


class Twin:
    """Goes over all attempts from the start for every question."""

    def __init__(self) -> None:
        self.attempts: list[tuple[int, str, str]] = []

    def said(self, until_us: int) -> set[tuple[str, str, bool, int, int]]:
        """Kind, device, whether it began, onset and when: all that was told until then."""
        keys: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for at_us, device, code in self.attempts:
            if code in KINDS:
                kind: DoorKind = KINDS[code]
                key = (str(kind), device) if device in OURS else ("strangers", "")
                keys.setdefault(key, []).append((at_us, 6 // TIMES.get(kind, 1)))
        found: set[tuple[str, str, bool, int, int]] = set()
        for (name, device), tries in keys.items():
            for spell in spells(tries):
                onset_us = began(spell)
                if onset_us is None:
                    continue
                at_us = next(at for at, _ in spell if began([s for s in spell if s[0] <= at]))
                found.add((name, device, True, onset_us, at_us))
                ends_us = spell[-1][0] + QUIET_US
                if ends_us <= until_us:
                    found.add((name, device, False, onset_us, ends_us))
        return found


def spells(tries: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Cut where it was quiet for long enough."""
    found: list[list[tuple[int, int]]] = []
    for one in tries:
        if found and one[0] - found[-1][-1][0] < QUIET_US:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def began(spell: list[tuple[int, int]]) -> int | None:
    """Its onset: of the first window that holds enough."""
    for count, (end_us, _) in enumerate(spell, 1):
        within = [one for one in spell[:count] if end_us - WITHIN_US < one[0]]
        times = [at for at, weight in within for _ in range(weight)]
        if len(times) >= 6:
            return times[-6]
    return None


steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 30, 59, 60, 299, 300, 600, 601, 899, 900, 901, 5000]),
        st.sampled_from([*OURS, "made-up", "", "x" * 99]),
        st.sampled_from(CODES),
    ),
    max_size=40,
)


THREE_FLOODS = [(0, "tag-1", "flood"), (1, "tag-1", "flood"), (0, "tag-1", "flood")]


@settings(max_examples=300, deadline=None)
@example(tried=THREE_FLOODS, step_s=1, restarting=False)
@given(tried=steps, step_s=st.sampled_from([1, 7, 100_000]), restarting=st.booleans())
def test_as_its_twin(
    tried: list[tuple[int, str, str]],
    step_s: int,
    restarting: bool,  # noqa: FBT001 - drawn
) -> None:
    door, twin, said, now_us = new_door(), Twin(), [], START_US
    for wait_s, device, code in tried:
        end_us = now_us + wait_s * SECOND_US
        for at_us in range(now_us, end_us, step_s * SECOND_US):
            said += door.advance(at_us)
        now_us = end_us
        # Nothing of one instant tells how many there were in it: they come one by one.
        twin.attempts.append((now_us, device, code))
        said += door.take(batch(now_us, (device, code)))
        if restarting:
            door = Door.restore(door.snapshot())
    found = {(c.kind, c.device, c.began, c.onset_us, c.decided_at_us) for c in said}
    assert len(found) == len(said)
    assert found == twin.said(now_us)
    going_on = {c.key for c in door.going_on(now_us)}
    assert going_on == {c.key for c in said if c.began} - {
        c.key
        for c in said
        if not c.began
        and not any(
            later.began and later.key == c.key and later.number > c.number for later in said
        )
    }


def test_one_alert_for_each_device_and_spell_not_for_each_message() -> None:
    door, said = new_door(), []
    for second in range(0, 3600, 10):
        tried = (("tag-1", "not_its_topic"), ("phone-1", "flood"))
        said += door.take(batch(START_US + second * SECOND_US, *tried))
    said += door.advance(START_US + 10_000 * SECOND_US)
    last = 3590 + QUIET_US // SECOND_US
    # A flood is told at its second word.
    assert told(said) == [
        ("beyond_rights", "tag-1", True, "not_its_topic", 0),
        ("flood", "phone-1", True, "flood", 10),
        ("beyond_rights", "tag-1", False, "quiet", last),
        ("flood", "phone-1", False, "quiet", last),
    ]
    assert {one.number for one in said} == {1}


def test_a_slip_is_told_of_nobody() -> None:
    door = new_door()
    assert door.take(batch(START_US, *[("tag-1", "wrong_password")] * 2)) == []
    assert door.take(batch(START_US + WITHIN_US, ("tag-1", "wrong_password"))) == []
    again = door.take(batch(START_US + WITHIN_US + 1, *[("tag-1", "wrong_password")] * 2))
    assert [one.kind for one in again] == ["turned_away"]


def test_a_buffer_that_was_sent_message_by_message_is_no_flood() -> None:
    door = new_door()
    assert door.take(batch(START_US, ("tag-1", "flood"))) == []
    after_us = START_US + QUIET_US
    assert door.take(batch(after_us, ("tag-1", "flood"))) == []
    [began] = door.take(batch(after_us + 60 * SECOND_US, ("tag-1", "flood")))
    assert (began.kind, began.onset_us) == ("flood", after_us)


def test_while_many_send_what_they_kept_no_flood_begins_and_one_that_is_told_goes_on() -> None:
    door, said = new_door(), []
    for minute in range(2):
        said += door.take(batch(START_US + minute * 60 * SECOND_US, ("tag-1", "flood")))
    assert told(said) == [("flood", "tag-1", True, "flood", 60)]
    for minute in range(2, 30):
        tried = (("tag-1", "flood"), ("phone-1", "flood"), ("phone-1", "not_its_topic"))
        said += door.take(batch(START_US + minute * 60 * SECOND_US, *tried), flushes=True)
    assert told(said[1:]) == [("beyond_rights", "phone-1", True, "not_its_topic", 120)]


def test_made_up_names_are_one_trouble_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_COUNTED", 50)
    door = new_door()
    tried = [(f"made-up-{number}", "unknown_device") for number in range(500)]
    (change,) = door.take(batch(START_US, *tried))
    assert (change.kind, change.device, change.quantity) == ("strangers", "", 3.0)
    assert len(door.snapshot()) < 2_000
    (change,) = door.going_on(START_US)
    assert change.quantity == 50.0


def test_numbers_of_what_is_over_are_kept_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS_KEPT", 3)
    door, spell_us = Door(), 2 * QUIET_US
    names = [f"tag-{number}" for number in range(6)]
    door.plan(bearers(**dict.fromkeys(names, "he")), START_US)
    tried = [(name, "not_its_topic") for name in names]
    first = door.take(batch(START_US, *tried)) + door.advance(START_US + spell_us)
    assert {one.number for one in first} == {1}
    again = Door.restore(door.snapshot()).take(batch(START_US + spell_us, *tried))
    assert [one.number for one in again] == [1, 1, 1, 2, 2, 2]


def test_with_another_bearer_it_is_over() -> None:
    door = new_door()
    door.take(batch(START_US, ("tag-1", "bad_signature"), ("phone-1", "flood")))
    ended = door.plan(bearers(tag_1="another"), START_US + SECOND_US)
    assert told(ended) == [("badly_signed", "tag-1", False, "plan", 1)]


@pytest.mark.parametrize("code", sorted(OF_SOMEBODY_ELSE))
def test_a_wrong_word_in_its_name_does_not_hide_that_a_device_is_silent(code: str) -> None:
    health = Health(START_US)
    health.plan({"tag-1": bearers()["tag-1"]}, START_US)
    health.hear("tag-1", START_US)
    said = []
    for minute in range(1, 60):
        at_us = START_US + minute * 60 * SECOND_US
        said += take_reports(health, batch(at_us, ("tag-1", code)), {})
    assert [(one.kind, one.began) for one in said] == [("silent", True)]


def test_bytes_that_are_no_state_are_named() -> None:
    assert Door.restore(b"").going_on(0) == []
    for data in (b"CV1", b"CW1\xff", b"CW1" + msgspec.msgpack.encode({"known": 3})):
        with pytest.raises(DoorStateError):
            Door.restore(data)
