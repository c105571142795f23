"""What people do with alerts: each step's refusal says what is missing."""

from __future__ import annotations

import msgspec
import pytest

from alerts.desk import Desk
from alerts.errors import IllegalStep
from alerts.model import Alert
from alerts.outbox import Outbox
from alerts.steps import (
    Acknowledge,
    Assign,
    Check,
    Dispatch,
    Resolve,
    Shelve,
    Step,
    Tell,
    Unshelve,
)
from devices.commands import Notify, decode_command
from devices.instants import from_iso, to_iso
from geofence.levels import Level
from tests.alerts.builders import (
    NOW_US,
    PHONE,
    PROFILES,
    SECOND_US,
    TAG,
    WATCH,
    act,
    desk,
    event,
    kinds,
    notice,
    step,
    transition,
)

MINUTE_US = 60 * SECOND_US
CLOSING = Resolve(outcome="no_breach", note="looked at together with the officer")


def only(on: Desk) -> Alert:
    [alert] = on.open_alerts()
    return alert


def cut(seq: int = 1) -> Desk:
    """A strap that was cut, in somebody's hands."""
    on = desk()
    on.on_event(event("strap_cut", seq, device="tag1"), TAG, now_us=NOW_US)
    act(on, only(on), Acknowledge())
    return on


def refused(on: Desk, wanted: Step, text: str, operator: str = "ada") -> None:
    before = on.snapshot()
    with pytest.raises(IllegalStep, match=text):
        act(on, only(on), wanted, operator)
    assert on.snapshot() == before


def test_a_tamper_is_closed_only_after_a_check() -> None:
    on = cut()
    refused(on, CLOSING, "only after a check")
    [checked] = act(on, only(on), Check(by="inspected", note="strap whole, buckle changed"))
    assert (checked.kind, checked.data.checked_by, checked.data.check) == (
        "checked",
        "ada",
        "inspected",
    )
    [closed] = act(on, only(on), CLOSING)
    assert (closed.data.outcome, closed.data.note) == ("no_breach", CLOSING.note)


def test_without_inspection_another_person_must_close() -> None:
    on = cut()
    act(on, only(on), Check(by="second_person", note="sensor known to be faulty"))
    refused(on, CLOSING, "another person must close it")
    assert kinds(act(on, only(on), CLOSING, "bob")) == ["resolved"]


def test_a_check_does_not_hold_for_what_the_device_reports_after_it() -> None:
    on = cut()
    act(on, only(on), Check(by="inspected", note="strap whole"))
    on.on_event(event("strap_cut", 2, device="tag1"), TAG, now_us=NOW_US)
    refused(on, CLOSING, "reported it again since ada checked it")
    act(on, only(on), Check(by="replaced", note="new tag fitted"))
    assert kinds(act(on, only(on), CLOSING)) == ["resolved"]


def test_only_a_tamper_is_checked() -> None:
    on = desk()
    notice(on, "panic", 1)
    refused(on, Check(by="inspected", note="x"), "only a tamper")


def test_whoever_sends_somebody_has_it_in_hand_and_says_how_it_ended() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    [sent] = act(on, only(on), Dispatch(to=" unit 7 ", note="nearest car"))
    assert (sent.kind, sent.actor) == ("dispatched", "ada")
    assert (sent.data.dispatched_to, sent.data.acknowledged_by) == ("unit 7", "ada")
    assert sent.data.dispatched_at == to_iso(NOW_US)
    refused(on, CLOSING, "still lasts")
    assert kinds(step(on, 2, Level.CLEAR)) == ["returned"]  # and does not close by itself
    [closed] = act(on, only(on), Resolve(outcome="breach", note="stopped at the corner"), "bob")
    assert (closed.data.resolved_by, closed.data.outcome) == ("bob", "breach")
    assert on.open_alerts() == []


def test_nobody_sent_is_nobody_named() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    refused(on, Dispatch(to="  "), "say who was sent")


def test_an_alert_is_given_to_somebody_and_back() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    [given] = act(on, only(on), Assign(to="bob"))
    assert (given.kind, given.data.assigned_to, given.data.acknowledged_by) == (
        "assigned",
        "bob",
        None,
    )
    refused(on, Assign(to="bob"), "bob's already")
    act(on, only(on), Acknowledge())
    assert only(on).assigned_to == "bob"  # seen by ada, and still his
    act(on, only(on), Assign(to=""))
    refused(on, Assign(to=""), "nobody's already")


def test_acknowledging_what_is_nobodys_makes_it_ones_own() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    [taken] = act(on, only(on), Acknowledge())
    assert taken.data.assigned_to == "ada"


def test_a_shelved_alert_comes_back_by_itself_and_asks_anew() -> None:
    on = desk()
    step(on, 1, Level.PRE_ALERT)
    [put] = act(on, only(on), Shelve(minutes=30, reason="roadworks: his only way to work"))
    assert (put.data.shelved_by, put.data.shelf_reason) == (
        "ada",
        "roadworks: his only way to work",
    )
    until_us = from_iso(put.data.shelved_until or "")
    assert until_us == NOW_US + 30 * MINUTE_US
    refused(on, Shelve(minutes=30, reason="again"), "ada has shelved it until")
    assert on.advance(until_us - 1) == []
    [back] = on.advance(until_us)
    assert (back.kind, back.actor, back.data.shelved_until) == ("unshelved", "system", None)
    assert back.data.asks_since == to_iso(until_us)
    assert on.advance(until_us + MINUTE_US) == []


def test_tier_1_is_never_shelved_and_leaves_the_shelf() -> None:
    on = desk()
    step(on, 1, Level.PRE_ALERT)
    act(on, only(on), Shelve(minutes=30, reason="known"))
    [worse] = step(on, 2, Level.CONTACT)
    assert (worse.data.tier, worse.data.shelved_until, worse.data.shelf_reason) == (1, None, "")
    refused(on, Shelve(minutes=30, reason="known"), "never shelved")
    refused(on, Unshelve(), "not on the shelf")


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Shelve(minutes=0, reason="x"), "from 1 to 480"),
        (Shelve(minutes=481, reason="x"), "from 1 to 480"),
        (Shelve(minutes=5, reason="  "), "needs a reason"),
    ],
)
def test_the_shelf_asks_for_an_end_and_a_reason(wanted: Shelve, text: str) -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    refused(on, wanted, text)


def test_taken_off_the_shelf_by_a_person() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    act(on, only(on), Shelve(minutes=5, reason="x"))
    [back] = act(on, only(on), Unshelve(), "bob")
    assert (back.kind, back.actor) == ("unshelved", "bob")


def test_a_restart_keeps_what_lies_on_the_shelf() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    act(on, only(on), Shelve(minutes=5, reason="x"))
    again = desk()
    again.load_snapshot(on.snapshot())
    assert kinds(again.advance(NOW_US + 5 * MINUTE_US))[0] == "unshelved"


def test_she_is_told_by_hand_where_the_profile_leaves_it_to_staff() -> None:
    on = desk()
    watch = msgspec.structs.replace(WATCH, profile="france")
    [raised] = on.on_transition(transition(1, Level.PRE_ALERT), watch, now_us=NOW_US)
    assert not raised.data.told
    assert raised.data.procedure[:2] == ("call_wearer", "tell_protected")
    outbox = Outbox(PROFILES, {"phone1": msgspec.structs.replace(PHONE, language="fr")}.get)
    outbox.take(raised, now_us=NOW_US)
    assert outbox.pending("handset") == []
    [told] = act(on, only(on), Tell(way="north"))
    assert (told.kind, told.data.told, told.data.acknowledged_by) == ("told", True, "ada")
    outbox.take(told, now_us=NOW_US)
    [notice] = [decode_command(delivery.payload) for delivery in outbox.pending("handset")]
    assert isinstance(notice, Notify)
    assert notice.text.startswith("Allez maintenant vers le nord")
    assert "secteur" in notice.text
    [over, *_] = on.on_transition(transition(2, Level.CLEAR), watch, now_us=NOW_US)
    outbox.take(over, now_us=NOW_US)
    assert len(outbox.pending("handset")) == 2  # the end is told where the beginning was


def test_what_the_profile_tells_by_itself_is_not_told_by_hand() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    refused(on, Tell(), "nothing to tell her by hand")
