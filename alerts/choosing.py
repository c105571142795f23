"""Her choices in force, who set them, and what they make of each notice.

Time is given, and everything follows from the entries of the alerts stream: notices are judged by the
instant of their change, choices and digests are entries themselves. So a restart holds back what was held
back, and nothing else.

What is urgent is never held: tier 1 and tier 2, whatever topic. What began aloud ends aloud: once a
notice of an alert came through, all that follow do, so that nobody waits until the morning to hear that
a warning is over.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Literal

import msgspec

from alerts.errors import DeskStateError
from alerts.holding import Held, Holding
from alerts.model import Alert, AlertChange
from alerts.profile_rules import Words
from devices.choices import (
    EVERYTHING_NOW,
    NEVER_OFF,
    Choices,
    Problem,
    Topic,
    digest_us,
    is_quiet,
    problem_of,
)
from devices.instants import from_iso, to_iso
from devices.layouts import unpacked

ALWAYS_TIER = 2
"""What is of this tier or graver always comes at once."""

SEEN_LIMIT = 50_000
"""Alerts whose last verdict is remembered. Beyond it the oldest is forgotten: what follows of it is then
judged as if it were the first notice of its alert."""

LOOK_US = 1_000_000

CHOICE_TYPE_PREFIX = "cordon.choice."
DIGEST_TYPE = "cordon.digest.made"
CHOICES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:choice")

Verdict = Literal["now", "held", "declined"]
Way = Literal["handset", "console"]


class ChoiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody chose, or was refused: an entry of the alerts stream. Never altered, never taken back.

    Attributes:
        id: Derived from what it was asked by: asked again, it is the same.
        type: ``cordon.choice.set`` or ``cordon.choice.refused``.
        time: When it came into force, or was refused.
        version: Of the choices of this person; the one before where it was refused.
        choices: What is in force from `time` on; of a refusal, what was asked for, None where it
            could not be read.
        by: Name of the staff; the id of the person where she did it herself.
        way: Over which way.
        device: Her handset, where that was the way.
        asked_at: When it was asked by the device's own clock; `time` at the console.
        note: Of the staff: how she asked for it.
        problem: Why it was refused.
    """

    id: str
    type: str
    time: str
    person: str
    version: int
    choices: Choices | None
    by: str
    way: Way
    device: str = ""
    asked_at: str
    note: str = ""
    problem: Problem | None = None

    @property
    def accepted(self) -> bool:
        """Whether it came into force."""
        return self.problem is None


class DigestMade(msgspec.Struct, frozen=True, kw_only=True):
    """One message with what was held back was made: an entry of the alerts stream.

    Attributes:
        number: Counts the digests of a person.
        devices: Handsets that she carried then. It goes to those that she carries when it is sent.
        more: Alerts it has no room for and that are not held any more.
    """

    id: str
    type: str
    time: str
    person: str
    number: int
    devices: tuple[str, ...]
    items: tuple[Held, ...]
    more: int = 0


class _Chosen(msgspec.Struct, array_like=True):
    """What one person has chosen last."""

    choices: Choices
    version: int
    asked_us: int
    by: str


class _Seen(msgspec.Struct, array_like=True):
    version: int
    verdict: Verdict
    aloud: bool


class _State(msgspec.Struct):
    chosen: dict[str, _Chosen]
    holding: dict[str, Holding]
    seen: dict[str, _Seen]


_FORMAT = b"CH1"  # Cordon choices, layout 1: `_State` as MessagePack.
_decoder = msgspec.msgpack.Decoder(_State)


def topic_of(alert: Alert) -> Topic:
    """The topic under which a notice of an alert falls."""
    if alert.condition == "proximity":
        level = alert.highest_level if alert.state == "returned" else alert.level
        return "outer_ring" if level == "pre_alert" else "inner_ring"
    if alert.condition == "tamper":
        return "tamper"
    if alert.condition == "device":
        return "device"
    return "inner_ring" if alert.condition == "panic" else "zones"


def choice_id(person: str, name: str) -> str:
    """Names a choice by what it was asked by; see `Choosing.choose`."""
    return str(uuid.uuid5(CHOICES, f"{person}>{name}"))


class Choosing:
    """Choices and what is held back by them, of all people.

    Raises nothing but where it says so; one entry for each person who has chosen.
    """

    def __init__(self) -> None:
        self._chosen: dict[str, _Chosen] = {}
        self._holding: dict[str, Holding] = {}
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._look_us = 0

    # What she has chosen

    def of(self, person: str | None) -> Choices:
        """What is in force for a person."""
        chosen = self._chosen.get(person or "")
        return EVERYTHING_NOW if chosen is None else chosen.choices

    def version(self, person: str) -> int:
        """Of what is in force; 0: nothing was ever chosen."""
        return self._chosen[person].version if person in self._chosen else 0

    def by(self, person: str) -> str:
        """Who set what is in force."""
        return self._chosen[person].by if person in self._chosen else ""

    def asked_us(self, person: str) -> int:
        """When what is in force was asked for; 0: nothing was."""
        return self._chosen[person].asked_us if person in self._chosen else 0

    def choose(
        self,
        person: str,
        asked: Choices | None,
        *,
        name: str,
        by: str,
        way: Way,
        asked_us: int,
        now_us: int,
        locked: frozenset[Topic],
        device: str = "",
        note: str = "",
    ) -> ChoiceChange | None:
        """Somebody chooses. The change is in force when this returns, or says why it is not.

        Args:
            person: For whom.
            asked: The whole document; None when it could not be read.
            name: Names the request: the same one asked again is known by it.
            by: Who asks.
            way: Over which way.
            asked_us: When, by the asker's clock. One from before the newest changes nothing.
            now_us: The present instant.
            locked: See `devices.choices.problem_of`.
            device: Her handset.
            note: How she asked the staff.

        Returns:
            The entry to be kept. None for one that is older than what is in force.
        """
        before = self._chosen.get(person)
        if before is not None and asked_us <= before.asked_us:
            return None
        problem: Problem | None = "shape" if asked is None else problem_of(asked, locked, now_us)
        version = self.version(person)
        change = ChoiceChange(
            id=choice_id(person, name),
            type=CHOICE_TYPE_PREFIX + ("set" if problem is None else "refused"),
            time=to_iso(now_us),
            person=person,
            version=version + 1 if problem is None else version,
            choices=asked,
            by=by,
            way=way,
            device=device,
            asked_at=to_iso(asked_us),
            note=note,
            problem=problem,
        )
        self.apply(change)
        return change

    def apply(self, change: ChoiceChange) -> None:
        """Take in an entry. One that is known, or was refused, changes nothing."""
        known = self._chosen.get(change.person)
        if not change.accepted or change.choices is None:
            return
        if known is not None and change.version <= known.version:
            return
        self._chosen[change.person] = _Chosen(
            change.choices, change.version, from_iso(change.asked_at), change.by
        )
        holding = self._holding.get(change.person)
        if holding is not None:
            at_us = from_iso(change.time)
            holding.replan(digest_us(change.choices, at_us))

    # What becomes of a notice

    def judge(
        self, change: AlertChange, person: str | None, words: Words, locked: Collection[Topic] = ()
    ) -> Verdict:
        """What is to become of a notice for a person; what is held is held when this returns.

        The same change gives the same answer, however often it is asked.

        Args:
            change: Of an alert.
            person: Who is to be told.
            words: Of the notice.
            locked: Topics that the profile keeps from her choice.
        """
        if person is None or change.data.synthetic:
            return "now"
        key = f"{change.data.alert_id} {person}"
        seen = self._seen.get(key)
        if seen is not None and change.data.version <= seen.version:
            return seen.verdict if change.data.version == seen.version else "held"
        at_us = from_iso(change.time)
        always = topic_of(change.data) in (NEVER_OFF | frozenset(locked))
        aloud = always or (seen is not None and seen.aloud)
        verdict = self._verdict(change, self.of(person), at_us, aloud=aloud)
        self._remember(key, _Seen(change.data.version, verdict, verdict == "now"), seen)
        if verdict == "held":
            self._hold(change, person, words, at_us)
        elif verdict == "now" and person in self._holding:
            self._holding[person].overtake(change.data.alert_id)
        return verdict

    def _verdict(
        self, change: AlertChange, choices: Choices, at_us: int, *, aloud: bool
    ) -> Verdict:
        if change.data.tier <= ALWAYS_TIER or change.kind == "told" or aloud:
            return "now"
        how = choices.how(topic_of(change.data))
        if how == "off":
            return "declined"
        return "held" if how == "digest" or is_quiet(choices, at_us) else "now"

    def _remember(self, key: str, seen: _Seen, before: _Seen | None) -> None:
        # A step of the staff between two notices makes nothing silent again.
        seen.aloud = seen.aloud or (before is not None and before.aloud)
        self._seen[key] = seen
        self._seen.move_to_end(key)
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)

    def _hold(self, change: AlertChange, person: str, words: Words, at_us: int) -> None:
        alert = change.data
        held = Held(
            alert_id=alert.alert_id,
            version=alert.version,
            tier=alert.tier,
            time=change.time,
            title=words.title,
            text=words.text,
            count=1,
        )
        holding = self._holding.setdefault(person, Holding())
        holding.hold(held, digest_us(self.of(person), at_us))

    # Digests

    def due(self, now_us: int) -> Iterator[str]:
        """Whose digest is to be made now. What nobody has answered is held again first.

        Looks every `LOOK_US` at most.
        """
        if now_us < self._look_us:
            return
        self._look_us = now_us + LOOK_US
        for person, holding in self._holding.items():
            holding.give_back(now_us)
            if holding.is_due(now_us):
                yield person

    def make(self, person: str, devices: tuple[str, ...], now_us: int) -> DigestMade:
        """Make the digest of a person for these handsets; what is in it is under way."""
        holding = self._holding[person]
        items, more = holding.next_items()
        number = holding.number + 1
        made = DigestMade(
            id=str(uuid.uuid5(CHOICES, f"{person}>digest>{number}")),
            type=DIGEST_TYPE,
            time=to_iso(now_us),
            person=person,
            number=number,
            devices=devices,
            items=tuple(items),
            more=more,
        )
        self.take_digest(made)
        return made

    def take_digest(self, made: DigestMade) -> None:
        """Take in an entry. One that is known changes nothing."""
        holding = self._holding.setdefault(made.person, Holding())
        made_us = from_iso(made.time)
        holding.make(made.id, made.number, list(made.items), made.more, made_us)

    def arrived(self, person: str, digest_id: str) -> None:
        """One of her handsets has a digest."""
        if person in self._holding:
            self._holding[person].arrived(digest_id)

    def held(self, person: str) -> list[Held]:
        """What is held for a person now, what is under way included."""
        holding = self._holding.get(person)
        if holding is None:
            return []
        return [*(holding.sent.items if holding.sent else ()), *holding.items.values()]

    # What is kept

    def snapshot(self) -> bytes:
        """All that `load_snapshot` needs."""
        state = _State(self._chosen, self._holding, dict(self._seen))
        return _FORMAT + msgspec.msgpack.encode(state)

    def load_snapshot(self, data: bytes, *, choices_only: bool = False) -> None:
        """Go back to a snapshot; an empty one is of a time before there were choices.

        Args:
            data: As `snapshot` made it.
            choices_only: What was held is read from the stream again.

        Raises:
            DeskStateError: The bytes cannot be read. Nothing has changed.
        """
        state = _State({}, {}, {})
        if data:
            state = unpacked(data, _FORMAT, _decoder, DeskStateError, "the choices")
        self._chosen = state.chosen
        self._holding = {} if choices_only else state.holding
        self._seen = OrderedDict({} if choices_only else state.seen)
        self._look_us = 0
