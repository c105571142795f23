"""Everything about alerts that the service needs, made together: policy, deliveries, desk, self-test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nats.js import JetStreamContext

from alerts.channels import Channel
from alerts.deliveries import ChannelName
from alerts.desk import Desk
from alerts.escalation import Escalation
from alerts.model import AlertChange
from console.hub import Hub
from cordon.carried import Carried
from cordon.contact_channels import contact_channels, set_up
from cordon.outgoing import Outgoing
from cordon.places import Places
from cordon.policy import Policy
from cordon.probe import Probe
from cordon.sections import Alerts
from devices.instants import Clock
from ingest.mqtt import MqttBroker, Publisher


@dataclass(frozen=True, slots=True)
class Alerting:
    """The parts, not running yet.

    Attributes:
        channels: To contacts.
        new_desk: Makes an empty desk.
        places: Where devices are; must be given the partition.
        carried: Who carries them; must be given the partition.
        probe: None where the service does not try itself.
    """

    policy: Policy
    channels: Mapping[ChannelName, Channel]
    publisher: Publisher
    outgoing: Outgoing
    new_desk: Callable[[], Desk]
    places: Places
    carried: Carried
    probe: Probe | None


def make_alerting(
    settings: Alerts,
    js: JetStreamContext,
    broker: MqttBroker,
    hub: Hub,
    clock: Clock,
    *,
    rules: str,
    build: str,
) -> Alerting:
    """Make them.

    Args:
        settings: See `cordon.settings.Alerts`.
        js: For the streams of decisions and alerts.
        broker: For agencies and handsets.
        hub: Open consoles.
        clock: The time.
        rules: Version of the engine's rules, for what is decided.
        build: Version of the code.

    Raises:
        CordonError: A file or a setting cannot be used.
    """
    policy = Policy(settings, set_up(settings))
    profiles, contacts = policy.profiles, policy.contacts
    places, carried = Places(), Carried()
    channels = contact_channels(settings, contacts, places.of, clock)
    publisher = Publisher(broker, identifier="cordon-alerts-0")

    def show(change: AlertChange) -> None:
        if not change.data.synthetic:
            hub.publish_alert(change.data, change.kind)

    outgoing = Outgoing(
        js,
        publisher,
        profiles,
        carried.bearer_of,
        show,
        clock,
        contacts=contacts,
        channels=channels,
        operators=hub.__len__,
        handsets_of=carried.handsets_of,
    )
    escalation = Escalation(profiles, contacts, outgoing.outbox.arrived, carried.bearer_of)
    return Alerting(
        policy=policy,
        channels=channels,
        publisher=publisher,
        outgoing=outgoing,
        new_desk=lambda: Desk(profiles, rules=rules, build=build, escalation=escalation),
        places=places,
        carried=carried,
        probe=Probe(broker, contacts, channels, clock) if settings.probe else None,
    )
