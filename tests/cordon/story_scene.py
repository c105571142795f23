"""Where a story takes place: order and rings, where he is when, whom the site can reach and how."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from alerts.rehearsal import PHONE, TAG
from alerts.stories import ADA, CONTACTS, KIM, ORIGIN, Comes, Story
from alerts.told import CENTRE
from console.access import sha256_hex
from cordon.sections import Operator
from cordon.settings import Settings
from devices.caseload import (
    Agency,
    Assignment,
    Caseload,
    Circle,
    Device,
    Exclusion,
    Order,
    Person,
    Proximity,
)
from geofence.levels import Level
from tests.alerts.receivers import HttpReceiver
from tests.cordon.running import HOME, METRE_DEG, SINCE, settings_for_tests

REPORT_S, CLOSE_REPORT_S, CLOSE_S = 30, 10, 60
"""Devices report more often for a minute before a leap, as they do when two are near."""

TICK_S = 0.25
TECHNICAL = "/technical"
LEAP_S = (-2, -1, 0)
"""A leap is believed at its third report."""

GONE_S = (-12, -11, -10, -9, 0)
"""After a leap away the engine waits before it takes the danger for over."""

SCHOOL_M, SCHOOL_RADIUS_M, SCHOOL_BUFFER_M = 22_260.0, 300.0, 300.0
FAR_M = 9_000.0


def caseload(story: Story) -> Caseload:
    """One wearer, one protected person, one place, under the story's profile."""
    near = Proximity(
        id="near", protected="she", alert_m=story.alert_m, pre_alert_m=story.pre_alert_m
    )
    school = Exclusion(
        id="school",
        circle=Circle(lat=HOME[0] + SCHOOL_M * METRE_DEG, lon=HOME[1], radius_m=SCHOOL_RADIUS_M),
        buffer_m=SCHOOL_BUFFER_M,
        protected="she",
    )
    order = Order(
        id="order",
        agency=CENTRE,
        wearer="he",
        valid_from=SINCE,
        profile=story.profile,
        conditions=(near, school),
    )
    return Caseload(
        agencies=(Agency(id=CENTRE, name="Centre"),),
        people=(
            Person(id="he", role="wearer"),
            Person(id="she", role="protected", language=story.language),
        ),
        devices=(Device(id=TAG, kind="tag"), Device(id=PHONE, kind="handset")),
        assignments=(
            Assignment(device=TAG, person="he", from_=SINCE),
            Assignment(device=PHONE, person="she", from_=SINCE),
        ),
        orders=(order,),
    )


def north_m(story: Story, deed: Comes) -> float:
    """Where he is at a level, metres north of her: in the middle of the ring."""
    if deed.level is Level.CLEAR:
        return FAR_M
    if deed.condition == "exclusion":
        edge = SCHOOL_RADIUS_M + SCHOOL_BUFFER_M / 2
        return SCHOOL_M - (edge if deed.level is Level.PRE_ALERT else 0.0)
    return {
        Level.PRE_ALERT: (story.alert_m + story.pre_alert_m) / 2,
        Level.ALERT: 0.85 * story.alert_m,
        Level.CONTACT: 20.0,
    }[deed.level]


def journey(story: Story) -> dict[int, float]:
    """By second at which his tag and her handset report, where he is."""
    leaps: dict[int, float] = {}
    for beat in story.beats:
        if isinstance(beat.does, Comes):
            offsets = GONE_S if beat.does.level is Level.CLEAR else LEAP_S
            leaps |= {beat.at_s + offset: north_m(story, beat.does) for offset in offsets}
    places, place = {}, FAR_M
    for second in range(story.ends_s + 1):
        place = leaps.get(second, place)
        is_close = any(second <= leap <= second + CLOSE_S for leap in leaps)
        every_s = CLOSE_REPORT_S if is_close else REPORT_S
        if second in leaps or second % every_s == 0:
            places[second] = place
    return places


def settings_for(folder: Path, receiver: HttpReceiver) -> Settings:
    """All channels set up, both people of the stories may sign in, all in a folder."""
    lines = []
    for one in CONTACTS:
        lines += ["[[contact]]", f'name = "{one.name}"', f'role = "{one.role}"']
        lines += [
            f'{key} = "{value}"'
            for key in ("person", "sms", "webhook")
            if (value := getattr(one, key))
        ]
        lines += [f'push = {{ endpoint = "{one.push.endpoint}" }}'] if one.push else []
    lines += ["[[contact]]", 'name = "Tess"', 'role = "technical"']
    lines += [f'webhook = "{receiver.origin}{TECHNICAL}"']
    file = folder / "contacts.toml"
    file.write_text("\n".join(lines).replace(ORIGIN, receiver.origin))
    settings = settings_for_tests()
    alerts = msgspec.structs.replace(
        settings.alerts,
        contacts=str(file),
        sms_url=f"{receiver.origin}/sms",
        webhook_secret="whsec_" + base64.b64encode(b"k" * 32).decode(),
    )
    operators = tuple(Operator(name=name, token_sha256=sha256_hex(name)) for name in (KIM, ADA))
    console = msgspec.structs.replace(settings.console, operators=operators, port=0)
    return msgspec.structs.replace(
        settings,
        alerts=alerts,
        console=console,
        engine=msgspec.structs.replace(settings.engine, sweep_interval_s=TICK_S),
        state_directory=str(folder / "state"),
    )
