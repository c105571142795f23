"""Commands: nothing for the protected person can be addressed to a tag."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.commands import (
    CommandFormatError,
    FixInterval,
    HandsetAddress,
    HandsetCommand,
    Locate,
    Notify,
    TagAddress,
    Text,
    address_of,
    command_topic,
    decode_command,
    encode_for_handset,
    encode_for_tag,
    to_handset,
    to_tag,
)
from devices.watches import Bearer

TIMES = {"id": "c1", "time": "2026-11-23T12:00:00Z", "expires": "2026-11-23T12:05:00Z"}
TAG, HANDSET = TagAddress("tag-1"), HandsetAddress("phone-1")
NOTIFY = Notify(
    **TIMES,
    alert_id="a1",
    version=3,
    kind="level",
    tier=1,
    level="contact",
    title="He is near",
    text="Go to a safe place. The police have been told.",
    fix_times={"tag-1": "2026-11-23T11:59:58Z", "phone-1": "2026-11-23T11:59:59Z"},
)
MESSAGE = Text(**TIMES, message="Call the centre, please.")


def test_payloads() -> None:
    out = to_handset(HANDSET, NOTIFY)
    assert out.topic == "cordon/v1/phone-1/command"
    payload = json.loads(out.payload)
    assert payload["type"] == "notify"
    assert payload["id"] == "c1"
    assert payload["fix_times"]["tag-1"] == "2026-11-23T11:59:58Z"
    interval = to_tag(TAG, FixInterval(**TIMES, interval_s=15))
    assert interval.topic == "cordon/v1/tag-1/command"
    assert json.loads(interval.payload) == {"type": "fix_interval", **TIMES, "interval_s": 15}
    assert json.loads(encode_for_tag(Locate(**TIMES))) == {"type": "locate", **TIMES}
    assert json.loads(encode_for_handset(MESSAGE))["type"] == "message"


def test_no_command_has_room_for_a_position() -> None:
    fields = {
        name for kind in (Notify, Text, Locate, FixInterval) for name in kind.__struct_fields__
    }
    assert not {name for name in fields if name.startswith(("lat", "lon", "dist", "bear", "zone"))}


def test_a_type_checker_refuses_content_for_a_tag() -> None:
    # mypy reads this file and reports an ignore that is not needed: should the types ever let
    # one of these pass, the check of types fails. At run time the same is refused.
    with pytest.raises(TypeError, match="never be sent to a tag"):
        to_tag(TAG, NOTIFY)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="never be sent to a tag"):
        encode_for_tag(MESSAGE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="handset"):
        to_handset(TAG, NOTIFY)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tag"):
        to_tag(HANDSET, Locate(**TIMES))  # type: ignore[arg-type]


@given(
    st.sampled_from(["tag", "handset", "home_unit"]),
    st.sampled_from(["wearer", "protected", None]),
)
def test_only_a_protected_persons_handset_may_be_told(kind: Any, role: Any) -> None:
    bearer = Bearer(device="d", kind=kind, person=role and "x", role=role, fix_interval_s=60)
    address = address_of(bearer)
    assert command_topic(address) == "cordon/v1/d/command"
    assert isinstance(address, HandsetAddress) == ((kind, role) == ("handset", "protected"))


@pytest.mark.parametrize(
    "command", [NOTIFY, MESSAGE, Locate(**TIMES), FixInterval(**TIMES, interval_s=5)]
)
def test_devices_read_what_is_sent(command: HandsetCommand) -> None:
    assert decode_command(encode_for_handset(command)) == command


def test_unknown_fields_are_passed_over() -> None:
    assert decode_command(json.dumps({"type": "locate", **TIMES, "new": 1}).encode()) == Locate(
        **TIMES
    )


@given(st.binary(max_size=40))
def test_nonsense_is_no_command(payload: bytes) -> None:
    with pytest.raises(CommandFormatError):
        decode_command(payload)


@pytest.mark.parametrize(
    "command",
    [
        Text(**TIMES, message="x" * 501),
        FixInterval(**TIMES, interval_s=0),
        Text(**(TIMES | {"id": "x" * 9000}), message="x"),
    ],
)
def test_limits_hold_on_the_way_out(command: HandsetCommand) -> None:
    with pytest.raises(CommandFormatError):
        encode_for_handset(command)
