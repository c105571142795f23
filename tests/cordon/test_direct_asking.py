"""Whom the service asks when something is wrong with itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.contacts import Contact, Contacts, parse_contacts
from alerts.deliveries import Delivery
from alerts.escalation_rules import AskedRole
from cordon.direct_asking import ASKED_LIMIT, DirectAsking
from tests.alerts.builders import NOW_US

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


class Listening:
    """A channel that keeps who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, delivery: Delivery) -> None:
        """Take it."""
        self.asked.append(delivery.recipient)


async def asked_of(contacts: tuple[Contact, ...], *roles: AskedRole) -> list[str]:
    sms, webhook = Listening(), Listening()
    asking = DirectAsking(
        Contacts(contacts, ("sms", "webhook", "eido")), {"sms": sms, "webhook": webhook}
    )
    await asking.ask(roles, "self_test", "Cordon: alerts may not come", "Look.", NOW_US)
    assert asking.asked == len(sms.asked) + len(webhook.asked)
    return sorted({*sms.asked, *webhook.asked})


async def test_the_contacts_of_the_documentation_are_found_whatever_their_agency() -> None:
    blocks = OPERATIONS.read_text().split("```toml\n")[1:]
    [sample] = [text for block in blocks if (text := block.split("```")[0])[:11] == "[[contact]]"]
    contacts = parse_contacts(sample.encode(), "docs/operations.md")
    assert all(one.agency for one in contacts if one.role == "supervisor")
    assert await asked_of(contacts, "technical", "supervisor") == ["Duty supervisor"]


async def test_a_dispatch_system_is_no_technical_contact() -> None:
    cad = Contact(name="CAD", role="technical", webhook="https://cad.example/x", format="eido")
    sue = Contact(name="Sue", role="supervisor", agency="centre", sms="+34600000001")
    assert await asked_of((cad, sue), "technical", "supervisor") == ["Sue"]


async def test_whoever_cannot_be_reached_is_not_the_one_who_is_asked() -> None:
    by_mail = Contact(name="Tess", role="technical", agency="centre", email="tess@centre.example")
    sue = Contact(name="Sue", role="supervisor", agency="centre", sms="+34600000001")
    assert await asked_of((by_mail, sue), "technical", "supervisor") == ["Sue"]


@pytest.mark.parametrize("count", [ASKED_LIMIT - 1, ASKED_LIMIT + 1])
async def test_a_limited_number_of_the_first_role_that_has_anybody_is_asked(count: int) -> None:
    many = tuple(
        Contact(name=f"T{number}", role="technical", agency=f"a{number}", sms="+34600000001")
        for number in range(count)
    )
    names = [one.name for one in many[:ASKED_LIMIT]]
    assert await asked_of(many, "technical", "supervisor") == names
