"""Plays a story through desk, plans and outbox: who is told what, when, by which channel.

No service and no time: the clock goes second by second as the story says. What is read here is what
would really be sent, byte for byte, so a profile can be judged before it is in force.
"""

from __future__ import annotations

import math

import msgspec

from alerts.contacts import Contacts
from alerts.deliveries import Delivery, Entry, Summons
from alerts.desk import Desk
from alerts.errors import StepRefused
from alerts.escalation import Escalation
from alerts.escalation_rules import ContactChannel
from alerts.lanes import CHANNELS
from alerts.model import AlertChange
from alerts.outbox import Outbox
from alerts.profile import Profiles
from alerts.stories import CONTACTS, HANDSET, Answers, Comes, Deed, Signals, Story, Takes, Watched
from alerts.told import (
    CENTRE,
    HERSELF,
    NO_RECEIPT,
    Told,
    words_of_change,
    words_of_notice,
    words_of_summons,
)
from devices.commands import Notify
from devices.instants import MICROSECONDS, from_iso
from devices.reports import Event, Receipt
from devices.watches import Bearer, Watch
from geofence.levels import UNKNOWN_TIME_US, Level, Transition

START_US = from_iso("2026-11-24T08:00:00Z")
SET_UP: tuple[ContactChannel, ...] = ("push", "sms", "email", "webhook")
ANSWERED = ("handset", "push")
"""Channels whose receivers say that they have what they were sent."""

TAG, PHONE, HE, SHE = "tag-1", "phone-1", "he", "she"
_DEVICES = {"tag": TAG, HANDSET: PHONE}


class Rehearsal:
    """One play of a story.

    Attributes:
        desk, outbox: As in the service.
        entries: What the alerts stream holds so far.
        told: What those concerned were told so far.
    """

    def __init__(self, story: Story, profiles: Profiles) -> None:
        self.story = story
        self.entries: list[Entry] = []
        self.told: list[Told] = []
        self.second = 0
        self._profiles = profiles
        self._contacts = Contacts(CONTACTS, SET_UP)
        self._numbers: dict[str, int] = {}
        self._onsets: dict[str, int] = {}
        self._levels: dict[str, Level] = {}
        self._seq = 0
        self._answering = {HANDSET}
        self.start()

    @property
    def now_us(self) -> int:
        """The present instant."""
        return START_US + self.second * MICROSECONDS

    def start(self) -> None:
        """Begin with an empty desk, as a service does before it reads back what was kept."""
        bearers = {bearer.device: bearer for bearer in _bearers(self.story)}
        self.outbox = Outbox(self._profiles, bearers.get, self._contacts)
        plans = Escalation(self._profiles, self._contacts, self.outbox.arrived, bearers.get)
        self.desk = Desk(self._profiles, rules="rehearsal", build="rehearsal", escalation=plans)
        self._bearers = bearers

    def play(self) -> list[Told]:
        """All of it."""
        for second in range(self.story.ends_s + 1):
            self.go_to(second)
        return self.told

    def go_to(self, second: int) -> None:
        """Let the clock come to a second: first what is due by time, then what happens."""
        self.second = second
        self.advance()
        for beat in self.story.beats:
            if beat.at_s == second:
                self.do(beat.does)

    def advance(self) -> None:
        """Time passes."""
        self.keep(self.desk.advance(self.now_us))

    def do(self, deed: Deed) -> None:
        """Something happens."""
        if isinstance(deed, Answers):
            change = self._answering.add if deed.does else self._answering.discard
            change(deed.who)
        elif isinstance(deed, Comes):
            self.keep(self._comes(deed.condition, deed.level))
        elif isinstance(deed, Signals):
            self._seq += 1
            self.keep(self._signals(_DEVICES[deed.device], deed.event))
        else:
            self.keep(self._takes(deed))

    def _comes(self, condition: Watched, level: Level) -> list[AlertChange]:
        if self._levels.get(condition, Level.CLEAR) is Level.CLEAR:
            self._onsets[condition] = self.now_us
        number = self._numbers[condition] = self._numbers.get(condition, 0) + 1
        watch = _watch(self.story, condition)
        transition = Transition(
            watch=watch.key,
            number=number,
            level=level,
            previous=self._levels.get(condition, Level.CLEAR),
            onset_us=self._onsets[condition],
            decided_at_us=self.now_us,
            distance_m=math.nan,
            distance_low_m=math.nan,
            distance_high_m=math.nan,
            probability=math.nan,
            time_to_contact_s=math.inf,
            fix_time_a_us=self.now_us,
            fix_time_b_us=UNKNOWN_TIME_US,
            swept=False,
        )
        self._levels[condition] = level
        return self.desk.on_transition(transition, watch, now_us=self.now_us)

    def _signals(self, device: str, kind: str) -> list[AlertChange]:
        event = Event(0, device, self._seq, self.now_us, kind, None, {})
        return self.desk.on_event(event, self._bearers[device], now_us=self.now_us)

    def _takes(self, deed: Takes) -> list[AlertChange]:
        """A profile may leave a step of the story nothing to be taken on: that is told as well."""
        alerts = self.desk.open_alerts()
        alert = next((one for one in alerts if one.condition == deed.condition), None)
        if alert is None:
            return self._refused(deed, f"no alert of the condition {deed.condition} is open")
        try:
            return self.desk.act(
                alert.alert_id,
                deed.step,
                version=alert.version,
                operator=deed.operator,
                now_us=self.now_us,
            )
        except StepRefused as error:
            return self._refused(deed, str(error))

    def _refused(self, deed: Takes, why: str) -> list[AlertChange]:
        said = f"cannot do this: {why}"
        self.told.append(Told(self.now_us, deed.operator, "console", said))
        return []

    # What is sent

    def keep(self, changes: list[AlertChange]) -> None:
        """Write changes down, and have those concerned told."""
        self.entries += changes
        for change in changes:
            self.entries += self.outbox.take(change, now_us=self.now_us)
        self.send()

    def send(self) -> None:
        """Send all that waits, and let those who answer answer."""
        for channel in CHANNELS:
            while (delivery := self.outbox.next(channel)) is not None:
                self.entries.append(self.outbox.finish(delivery, "sent", self.now_us))
                self.tell(delivery)
                self._answer(delivery)

    def tell(self, delivery: Delivery) -> None:
        """A receiver reads what has come."""
        told = told_by(delivery)
        said = told.what if self._answers(delivery) else told.what + NO_RECEIPT
        self.told.append(msgspec.structs.replace(told, what=said))

    def _answers(self, delivery: Delivery) -> bool:
        """Whether a receipt comes, where one can come at all."""
        who = HANDSET if delivery.channel == "handset" else delivery.recipient
        return delivery.channel not in ANSWERED or who in self._answering

    def _answer(self, delivery: Delivery) -> None:
        if delivery.channel in ANSWERED and self._answers(delivery):
            self.hear(Receipt(0, delivery.recipient, delivery.id, "received", self.now_us, None))

    def hear(self, receipt: Receipt) -> None:
        """Somebody says that he has what he was sent."""
        record = self.outbox.answered(receipt, now_us=self.now_us)
        if record is not None:
            self.entries.append(record)


def told_by(delivery: Delivery) -> Told:
    """The line that a delivery makes."""
    if delivery.channel == "agency":
        change = msgspec.json.decode(delivery.payload, type=AlertChange)
        return Told(from_iso(change.time), CENTRE, "stream", words_of_change(change))
    if delivery.channel == "handset":
        notice = msgspec.json.decode(delivery.payload, type=Notify)
        return Told(from_iso(notice.time), HERSELF, "handset", words_of_notice(notice))
    summons = msgspec.json.decode(delivery.payload, type=Summons)
    said = words_of_summons(summons, delivery.channel)
    return Told(from_iso(summons.time), delivery.recipient, delivery.channel, said)


def _watch(story: Story, condition: Watched) -> Watch:
    is_near = condition == "proximity"
    return Watch(
        key=f"{condition}/{TAG}",
        condition_id=condition,
        condition=condition,
        order_id="order",
        agency=CENTRE,
        profile=story.profile,
        wearer=HE,
        protected=SHE,
        tag=TAG,
        handset=PHONE if is_near else None,
        notify=(PHONE,),
    )


def _bearers(story: Story) -> tuple[Bearer, Bearer]:
    tag = Bearer(
        device=TAG,
        kind="tag",
        person=HE,
        role="wearer",
        fix_interval_s=60.0,
        agencies=(CENTRE,),
        profile=story.profile,
        notify=(PHONE,),
        language=story.language,
    )
    handset = msgspec.structs.replace(
        tag, device=PHONE, kind="handset", person=SHE, role="protected"
    )
    return tag, handset
