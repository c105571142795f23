"""What a device may do at the broker, in every format: its own, and nobody else's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cordon.identity.authorizer import OWNTRACKS_KINDS, all_rights
from devices.credentials import CredentialError, is_device_id
from ingest.formats import owntracks
from tests.devices.test_credentials import covers, odd_ids

names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True) | st.text(min_size=1, max_size=8)


@given(names, names, odd_ids)
def test_only_the_phone_of_an_owntracks_topic_may_publish_there(
    user: str, phone: str, other: str
) -> None:
    mine = owntracks.device_id(user, phone)
    subject = f"owntracks.{user}.{phone}"
    for device in {mine, other}:
        try:
            rights = all_rights(device)
        except CredentialError:
            assert not is_device_id(device)
            continue
        reached = any(covers(p, subject) for p in rights.publish)
        assert not reached or device == mine
        assert not any("*" in p or ">" in p for p in (*rights.publish, *rights.subscribe))


def test_a_phone_has_the_topics_of_the_app() -> None:
    rights = all_rights("anna__phone-1")
    assert "owntracks.anna.phone-1" in rights.publish
    assert {f"owntracks.anna.phone-1.{kind}" for kind in OWNTRACKS_KINDS} <= set(rights.publish)
    assert rights.subscribe == ("cordon.v1.anna__phone-1.command", "owntracks.anna.phone-1.cmd")
    assert len(all_rights("tag-1").publish) == 4
