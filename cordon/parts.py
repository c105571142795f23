"""The running parts of the service, for those who look at several of them."""

from __future__ import annotations

from dataclasses import dataclass

from console.hub import Hub
from cordon.broker_watch import BrokerWatch
from cordon.caseload_feed import CaseloadFeed
from cordon.forwarding import Forwarder
from cordon.heartbeat import Heartbeat
from cordon.outgoing import Outgoing
from cordon.policy import Policy
from cordon.probe import Probe
from cordon.strangers import Strangers
from cordon.supervision import Supervisor
from cordon.worker import Worker
from evidence.reader import Reader
from evidence.writer import Writer
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import Publisher


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs in one process of the service.

    Attributes:
        forwarder: None where the settings name no port for it.
        watch: None where the settings give no system rights at the broker.
    """

    gateway: Gateway
    journal: JournalWriter
    worker: Worker
    outgoing: Outgoing
    publisher: Publisher
    writer: Writer
    history: Reader
    feed: CaseloadFeed
    hub: Hub
    supervisor: Supervisor
    heartbeat: Heartbeat
    policy: Policy
    probe: Probe | None
    strangers: Strangers
    forwarder: Forwarder | None
    watch: BrokerWatch | None
