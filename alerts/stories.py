"""One story for each jurisdiction: what happens, by the second, to show what its profile makes of it.

A story is data. `alerts.rehearsal` plays it through the desk; the tests play the same one through a
running service, with devices, receivers and people at the console.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from alerts.contacts import Contact, PushAddress
from alerts.model import ConditionName
from alerts.steps import Acknowledge, Check, Dispatch, Resolve, Step, Tell
from geofence.levels import Level

SUPERVISOR = "First supervisor"
SECOND = "Second supervisor"
POLICE = "Control room"
HER_OTHER_PHONE = "Her other phone"
HANDSET = "handset"

KIM, ADA = "Kim", "Ada"

Watched = Literal["proximity", "exclusion"]


class Comes(msgspec.Struct, frozen=True):
    """He comes to a level of a condition, or, with `CLEAR`, away from it."""

    condition: Watched
    level: Level


class Signals(msgspec.Struct, frozen=True):
    """His tag or her handset reports an event."""

    device: str
    event: str


class Takes(msgspec.Struct, frozen=True):
    """Somebody at a console takes a step on the open alert of a condition."""

    operator: str
    condition: ConditionName
    step: Step


class Answers(msgspec.Struct, frozen=True):
    """From now on her handset, or a contact by push, says that it has what it is sent; or not."""

    who: str
    does: bool


Deed = Comes | Signals | Takes | Answers


class Beat(msgspec.Struct, frozen=True):
    """One thing that happens.

    Attributes:
        at_s: Since the story began. Levels change at whole tens, when devices report.
    """

    at_s: int
    says: str
    does: Deed


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one wearer and one protected person.

    Attributes:
        profile: Of the order.
        language: Hers.
        alert_m, pre_alert_m: Rings of the order.
        ends_s: Until then it is watched what follows.
    """

    profile: str
    language: str
    alert_m: float
    pre_alert_m: float
    beats: tuple[Beat, ...]
    ends_s: int


ORIGIN = "https://site.example"

CONTACTS = (
    Contact(
        name=SUPERVISOR,
        role="supervisor",
        push=PushAddress(endpoint=f"{ORIGIN}/push"),
        sms="+34600000001",
    ),
    Contact(name=SECOND, role="supervisor", sms="+34600000002"),
    Contact(name=POLICE, role="police", webhook=f"{ORIGIN}/police"),
    Contact(name=HER_OTHER_PHONE, role="protected", person="she", sms="+34600000003"),
)
"""Whom the stories' site can ask; addresses below `ORIGIN`."""


def near(at_s: int, says: str, level: Level) -> Beat:
    """He comes to a ring around her."""
    return Beat(at_s, says, Comes("proximity", level))


def zone(at_s: int, says: str, level: Level) -> Beat:
    """He comes to a place that he must keep out of."""
    return Beat(at_s, says, Comes("exclusion", level))


def takes(at_s: int, says: str, condition: ConditionName, step: Step, by: str = KIM) -> Beat:
    """Somebody at the console acts."""
    return Beat(at_s, says, Takes(by, condition, step))


DEFAULT_STORY = Story(
    profile="default",
    language="en",
    alert_m=500,
    pre_alert_m=1000,
    ends_s=700,
    beats=(
        near(10, "he comes into the outer ring", Level.PRE_ALERT),
        Beat(55, "her handset loses its network", Answers(HANDSET, False)),
        near(60, "he comes into the alert ring", Level.ALERT),
        near(240, "he comes to her", Level.CONTACT),
        Beat(250, "her handset is back", Answers(HANDSET, True)),
        takes(390, "Kim takes it in hand, as the police do", "proximity", Acknowledge()),
        near(420, "he has gone", Level.CLEAR),
        Beat(500, "she presses the alarm", Signals(HANDSET, "panic")),
        takes(515, "Ada takes it in hand", "panic", Acknowledge(), ADA),
        takes(
            600,
            "Ada closes it",
            "panic",
            Resolve(outcome="help_given", note="a patrol was with her"),
            ADA,
        ),
    ),
)

SPAIN = Story(
    profile="spain",
    language="es",
    alert_m=500,
    pre_alert_m=1000,
    ends_s=1000,
    beats=(
        near(10, "he comes into the outer ring", Level.PRE_ALERT),
        takes(25, "Kim takes it in hand and calls him first", "proximity", Acknowledge()),
        near(100, "he has turned round", Level.CLEAR),
        Beat(200, "the case of his tag is opened", Signals("tag", "case_open")),
        takes(215, "Kim takes it in hand and calls her first", "tamper", Acknowledge()),
        takes(
            300,
            "Kim has had the tag looked at",
            "tamper",
            Check(by="inspected", note="case closed again, strap whole"),
        ),
        takes(
            310, "and closes it", "tamper", Resolve(outcome="device_at_fault", note="a loose screw")
        ),
        Beat(400, "the strap is cut; nobody is at the console", Signals("tag", "strap_cut")),
        Beat(425, "the supervisor answers his push", Answers(SUPERVISOR, True)),
        takes(540, "Ada takes it in hand and calls her first", "tamper", Acknowledge(), ADA),
        takes(560, "Ada sends a patrol to him", "tamper", Dispatch(to="patrol 7"), ADA),
        takes(
            900,
            "the patrol has put another tag on",
            "tamper",
            Check(by="replaced", note="patrol 7 has put tag 2 on"),
            ADA,
        ),
        takes(
            910, "and Ada closes it", "tamper", Resolve(outcome="breach", note="report 12/26"), ADA
        ),
    ),
)

FRANCE = Story(
    profile="france",
    language="fr",
    alert_m=1000,
    pre_alert_m=2000,
    ends_s=800,
    beats=(
        near(10, "he comes into the outer ring", Level.PRE_ALERT),
        takes(20, "Kim takes it in hand and calls him", "proximity", Acknowledge()),
        near(100, "he complies: she is told nothing", Level.CLEAR),
        near(300, "he comes into the outer ring again", Level.PRE_ALERT),
        takes(310, "Kim takes it in hand and calls him", "proximity", Acknowledge()),
        takes(360, "he does not comply: Kim tells her to go north", "proximity", Tell(way="north")),
        near(420, "he comes into the alert ring", Level.ALERT),
        takes(430, "Kim calls the police", "proximity", Dispatch(to="police secours")),
        takes(435, "and tells her to stay inside", "proximity", Tell(way="stay")),
        near(600, "he has been led away", Level.CLEAR),
        takes(
            700,
            "Kim closes it",
            "proximity",
            Resolve(outcome="breach", note="led away by the police"),
        ),
    ),
)

URUGUAY = Story(
    profile="uruguay",
    language="es",
    alert_m=300,
    pre_alert_m=1000,
    ends_s=620,
    beats=(
        near(10, "he comes into the warning ring: no breach", Level.PRE_ALERT),
        takes(20, "Kim, who knows them, calls her first, then him", "proximity", Acknowledge()),
        near(120, "he comes into the restriction ring", Level.ALERT),
        takes(130, "Kim calls her, calls him, sends a patrol", "proximity", Acknowledge()),
        takes(140, "the patrol is on its way", "proximity", Dispatch(to="móvil 3")),
        near(240, "he comes into the emergency ring", Level.CONTACT),
        takes(250, "Kim has the patrol hurry", "proximity", Acknowledge()),
        near(480, "he has been led away", Level.CLEAR),
        takes(
            520,
            "Kim closes it",
            "proximity",
            Resolve(outcome="breach", note="detained by móvil 3"),
        ),
    ),
)

ENGLAND_WALES = Story(
    profile="england-wales",
    language="en",
    alert_m=500,
    pre_alert_m=1000,
    ends_s=1560,
    beats=(
        zone(10, "he comes near the school", Level.PRE_ALERT),
        zone(60, "he is in the zone: she is told by a call, not by her handset", Level.ALERT),
        takes(85, "Kim takes it in hand", "exclusion", Acknowledge()),
        zone(200, "he has left", Level.CLEAR),
        near(400, "he comes into the outer ring around her", Level.PRE_ALERT),
        takes(1310, "Kim takes it in hand and calls both", "proximity", Acknowledge()),
        near(1330, "he comes into the alert ring", Level.ALERT),
        takes(1350, "Kim calls the police", "proximity", Dispatch(to="police 41")),
        near(1500, "he has gone", Level.CLEAR),
        takes(
            1550,
            "Kim closes it",
            "proximity",
            Resolve(outcome="breach", note="spoken to by police 41"),
        ),
    ),
)

STORIES = {story.profile: story for story in (DEFAULT_STORY, SPAIN, FRANCE, URUGUAY, ENGLAND_WALES)}


def story_for(profile: str, extends: str = "") -> Story:
    """The story of a profile, or of the one it extends, or the default's, under its name."""
    told = STORIES.get(profile) or STORIES.get(extends) or DEFAULT_STORY
    return msgspec.structs.replace(told, profile=profile)
