"""Repeated approaches out of decisions: none is lost, none is counted twice, and silence is said."""

from __future__ import annotations

import itertools
import json
import math
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from alerts.decisions import Decision
from alerts.episodes import alert_id, watch_episode_id
from alerts.model import Alert, Outcome
from cordon.cli import cordon
from devices.instants import from_iso, to_iso
from evidence.approach_picture import calendar
from evidence.approach_text import text_of
from evidence.approaches import Summary, alert_ids, summary
from evidence.store import Store
from geofence.levels import Cause, Level
from tests.conftest import Database
from tests.cordon.running import load, one_pair
from tests.evidence.conftest import Probe
from tests.evidence.granting import grant
from tests.evidence.samples import NOW_US, change_of, decision_of
from tests.evidence.test_store import alert_entries

SECOND_US = 1_000_000
PAIR = ("he", "she")
FROM_US = from_iso("2026-11-02T00:00:00Z")  # a Monday
TO_US = FROM_US + 14 * 86_400 * SECOND_US
WATCH = "near/tag-1/phone-1"
UTC_ZONE = ("UTC", UTC)


@dataclass
class Ways:
    """Makes the decisions of one watch, as the engine numbers them."""

    watch: str = WATCH
    number: int = 0
    level: Level = Level.CLEAR
    onset_us: int = -1

    def to(
        self, at_s: float, level: Level, cause: Cause = Cause.POSITION, **changes: Any
    ) -> Decision:
        at_us = FROM_US + round(at_s * SECOND_US)
        if self.level is Level.CLEAR:
            self.onset_us = at_us
        self.number += 1
        decision = decision_of(
            self.number,
            watch=self.watch,
            previous=self.level,
            level=level,
            cause=cause,
            onset_us=self.onset_us,
            decided_at_us=at_us,
            fix_time_a_us=at_us,
            fix_time_b_us=at_us - 1,
            **changes,
        )
        self.level = level
        return msgspec.structs.replace(decision, wearer="he", protected="she", order_id="order-1")


def of(decisions: Sequence[Decision], *alerts: Alert) -> Summary:
    known = {one.alert_id: one for one in alerts}
    return summary(decisions, known, PAIR, (FROM_US, TO_US), UTC_ZONE)


def alert_for(decision: Decision, outcome: Outcome | None) -> Alert:
    change = decision.transition
    name = alert_id(watch_episode_id(change.watch, change.onset_us))
    data = change_of(1, alert_id=name).data
    return msgspec.structs.replace(data, outcome=outcome, order_id="order-1")


def an_evening(ways: Ways, at_s: float = 0.0) -> list[Decision]:
    near = {"distance_m": 480.0, "distance_low_m": 470.0, "distance_high_m": 490.0}
    return [
        ways.to(at_s, Level.PRE_ALERT, distance_m=950.0),
        ways.to(at_s + 60, Level.ALERT, Cause.PATH, closest_m=300.0, sigma_m=5.0, **near),
        ways.to(at_s + 300, Level.UNKNOWN, Cause.SILENCE, distance_m=math.nan),
        ways.to(at_s + 360, Level.PRE_ALERT, distance_m=600.0),
        ways.to(at_s + 600, Level.CLEAR, Cause.CALM, distance_m=1_500.0),
    ]


def test_an_encounter_has_its_times_its_nearest_and_what_is_not_known() -> None:
    story = an_evening(Ways(), 3_600)
    found = of(story, alert_for(story[0], "no_breach"))
    [one] = found.encounters
    assert (one.level, one.is_measured, one.heard) == ("alert", True, False)
    assert (one.began_us, one.ended_us) == (
        FROM_US + 3_600 * SECOND_US,
        FROM_US + 4_200 * SECOND_US,
    )
    assert one.nearest is not None
    assert one.nearest.distance_m == 300
    assert one.nearest.low_m < 300 < one.nearest.high_m < 320
    assert (one.outcomes, one.is_explained, found.explained) == (("no_breach",), True, 1)
    assert found.gaps == ((FROM_US + 3_900 * SECOND_US, FROM_US + 3_960 * SECOND_US),)
    assert found.gap_s == 60
    assert found.hours[0][1] == 1
    assert [(week.name, week.encounters, week.explained) for week in found.weeks] == [
        ("2026-W45", 1, 1),
        ("2026-W46", 0, 0),
    ]


def test_what_staff_found_against_him_or_have_not_looked_at_is_not_explained() -> None:
    story = an_evening(Ways())
    assert not of(story).encounters[0].is_explained
    assert not of(story, alert_for(story[0], None)).encounters[0].is_explained
    breach = of(story, alert_for(story[0], "breach")).encounters[0]
    assert (breach.outcomes, breach.is_explained) == (("breach",), False)
    assert alert_for(story[0], None).alert_id in alert_ids(story)


def test_predicted_and_silent_ones_are_told_apart() -> None:
    ways = Ways()
    ahead = [ways.to(0, Level.ALERT, Cause.AHEAD), ways.to(60, Level.CLEAR, Cause.CALM)]
    silent = [
        ways.to(600, Level.UNKNOWN, Cause.SILENCE, distance_m=math.nan),
        ways.to(900, Level.CLEAR, Cause.CALM),
    ]
    heard = [ways.to(1_200, Level.CONTACT, Cause.BEACON, distance_m=math.nan)]
    found = of([*ahead, *silent, *heard])
    assert [(one.level, one.is_measured, one.heard) for one in found.encounters] == [
        ("alert", False, False),
        ("contact", True, True),
    ]
    assert (found.predicted, found.gap_s) == (1, 300)
    assert found.encounters[1].ended_us is None
    assert found.encounters[1].nearest is None
    assert "goes on" in text_of(found, UTC)
    never = of([ways.to(1_500, Level.UNKNOWN, Cause.SILENCE)])
    assert never.gaps == ((FROM_US + 1_500 * SECOND_US, TO_US),), "until the end of the window"


def test_two_watches_of_the_two_make_one_encounter() -> None:
    other = Ways("again/tag-2/phone-1")
    both = [
        *an_evening(Ways()),
        other.to(500, Level.CONTACT, distance_m=20.0),
        other.to(900, Level.CLEAR, Cause.CALM, distance_m=800.0),
    ]
    [one] = of(both).encounters
    assert (one.level, one.ended_us) == ("contact", FROM_US + 900 * SECOND_US)
    assert one.nearest is not None
    assert one.nearest.distance_m == 20
    others = [msgspec.structs.replace(one, protected="another") for one in both]
    zones = [msgspec.structs.replace(one, handset=None) for one in both]
    assert of(others + zones).encounters == ()


STEPS = st.lists(
    st.tuples(st.integers(1, 100_000), st.sampled_from(list(Level)), st.sampled_from(list(Cause))),
    max_size=30,
)


@given(STEPS, STEPS, st.randoms())
def test_every_near_second_is_in_one_encounter_and_every_unknown_one_in_a_gap(
    first: list[tuple[int, Level, Cause]], second: list[tuple[int, Level, Cause]], chance: Any
) -> None:
    """The twin walks both watches change by change and colours the time between."""
    decisions: list[Decision] = []
    spans: list[tuple[str, Level, float, float]] = []
    for name, steps in (("a/t/h", first), ("b/t/h", second)):
        ways, at_s = Ways(name), -2 * 86_400
        for wait_s, level, cause in steps:
            if level is ways.level:
                continue
            if spans and spans[-1][0] == name:
                spans[-1] = (*spans[-1][:3], at_s + wait_s)
            at_s += wait_s
            decisions.append(ways.to(at_s, level, cause))
            spans.append((name, level, at_s, 10**7))
    chance.shuffle(decisions)
    found = of(decisions)
    met = found.encounters
    for earlier, later in itertools.pairwise(met):
        assert earlier.ended_us is not None
        assert earlier.ended_us < later.began_us
    for _, level, start_s, end_s in spans:
        start_us = max(FROM_US + start_s * SECOND_US, FROM_US)
        end_us = min(FROM_US + end_s * SECOND_US, TO_US)
        if start_us >= end_us:
            continue
        if level in (Level.PRE_ALERT, Level.ALERT, Level.CONTACT):
            around = [
                one
                for one in met
                if one.began_us <= start_us and (one.ended_us is None or one.ended_us >= end_us)
            ]
            assert len(around) == 1
        elif level is Level.UNKNOWN:
            assert any(gap[0] <= start_us and gap[1] >= end_us for gap in found.gaps)
    assert sum(map(sum, found.hours)) == len(met) == sum(week.encounters for week in found.weeks)
    assert sum(found.levels.values()) == len(met)
    text_of(found, UTC)
    ET.fromstring(calendar(found, ZoneInfo("Europe/Madrid")))


def test_days_of_25_hours_and_names_that_are_markup_are_drawn() -> None:
    zone = ZoneInfo("Europe/Madrid")
    from_us, to_us = from_iso("2026-10-24T22:00:00Z"), from_iso("2026-10-26T23:00:00Z")
    base = of([])
    start_us = from_iso("2026-10-25T00:30:00Z")
    found = msgspec.structs.replace(
        base,
        wearer="<b>|he_1",
        from_us=from_us,
        to_us=to_us,
        gaps=((start_us, start_us + 3 * 3_600 * SECOND_US), (to_us - 1, to_us)),
    )
    assert "<b>" not in text_of(found, zone)
    root = ET.fromstring(calendar(found, zone))
    assert "&lt;b&gt;" not in "".join(root.itertext())
    assert "2026-10-26" in "".join(root.itertext())


@pytest.fixture
async def filled(store: Store, database: Database) -> str:
    await load(database.dsn, one_pair())
    story = an_evening(Ways(), 3_600)
    strays = an_evening(Ways("x/tag-9/phone-9"))
    others = [msgspec.structs.replace(one, order_id="order-2") for one in strays]
    await store.write_decisions([(1, [*story, *others])])
    change = change_of(1)
    data = alert_for(story[0], "no_breach")
    closed = msgspec.structs.replace(
        change, data=data, subject=data.alert_id, time=to_iso(story[0].transition.decided_at_us)
    )
    await store.write_alerts(alert_entries((1, msgspec.json.encode(closed))))
    assert from_iso(closed.time) < NOW_US
    for case in ("order-1", "26/4711"):
        grant(database.dsn, "DC Roe", case, *PAIR)
    return database.dsn


WHO = ("--actor", "DC Roe", "--purpose", "investigation", "--note", "hearing")
SPAN = ("--from", to_iso(FROM_US), "--to", to_iso(TO_US))


def run(dsn: str, *words: str) -> Result:
    environment = {"CORDON_DATABASE_URL": dsn}
    return CliRunner().invoke(cordon, ["evidence", "approaches", *words], env=environment)


def test_the_command_reads_what_is_stored_and_records_who_asked(
    filled: str, tmp_path: Path, probe: Probe
) -> None:
    done = run(filled, "--case", "order-1", *SPAN, *WHO, "--json")
    assert done.exit_code == 0, done.output
    [one] = json.loads(done.stdout)
    assert [met["outcomes"] for met in one["encounters"]] == [["no_breach"]]
    pair = ("--wearer", "he", "--protected", "she")
    page = run(filled, "--case", "26/4711", *pair, *SPAN, *WHO, "--zone", "Europe/Madrid")
    assert "2 encounters" in page.stdout, "of whatever order"
    assert "no breach: explained" in page.stdout
    asked = probe.ask(
        "SELECT subject, who, note, \"case\" FROM evidence.access WHERE what = 'approaches' "
        "ORDER BY at_us, subject"
    )
    assert asked == [
        (subject, "DC Roe", "hearing", case) for case in ("order-1", "26/4711") for subject in PAIR
    ]
    out = tmp_path / "out"
    assert run(filled, "--case", "order-1", *SPAN, *WHO, "--out", str(out)).exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    names = {path.name for path in out.iterdir()}
    assert names == {"approaches-1.md", "approaches-1.json", "approaches-1.svg"}
    ET.fromstring((out / "approaches-1.svg").read_text())
    again = run(filled, "--case", "order-1", *SPAN, *WHO, "--out", str(out))
    assert "not empty" in str(again.exception)


def test_refusals(filled: str, probe: Probe) -> None:
    def why(*words: str) -> str:
        done = run(filled, *words)
        assert done.exit_code == 1, done.output
        return str(done.exception)

    assert "no order nobody" in why("--case", "nobody", *SPAN, *WHO)
    assert "two people" in why("--case", "c", "--wearer", "he", *SPAN, *WHO)
    assert (
        "'hearing' is none. It is the one of the grant"
        in run(filled, "--case", "order-1", *SPAN, "--purpose", "hearing").stderr
    )
    assert "no time zone" in why("--case", "order-1", *SPAN, *WHO, "--zone", "Mars")
    assert probe.count("access") == 0
    backwards = ("--from", SPAN[3], "--to", SPAN[1])
    assert "begins before it ends" in why("--case", "order-1", *backwards, *WHO)
    quiet = ("--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z")
    assert "Nothing was decided" in run(filled, "--case", "order-1", *quiet, *WHO).stdout
