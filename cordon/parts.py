"""The running parts of the service, for those who look at several of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.channels import Channel
from alerts.deliveries import ChannelName
from console.hub import Hub
from cordon.backroom import BackroomProcess
from cordon.caseload_feed import CaseloadFeed
from cordon.forwarding import Forwarder
from cordon.heartbeat import Heartbeat
from cordon.identity.assembly import Identity
from cordon.nearness import Nearness
from cordon.outgoing import Outgoing
from cordon.policy import Policy
from cordon.probe import Probe
from cordon.record_watch import RecordWatch
from cordon.state_keeper import StateKeeper
from cordon.strangers import Strangers
from cordon.supervision import Supervisor
from cordon.worker import Worker
from evidence.reader import Reader
from evidence.sealer import SealerFigures
from evidence.writer import Writer
from ingest.decoder import Decoder
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import Publisher
from ingest.slow_lane import SlowLane


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs in one process of the service.

    Attributes:
        decoder: Knows with what devices sign.
        channels: To contacts.
        forwarder: None where the settings name no port for it.
        writer: The history's writer, here or in the back room.
        sealer: The sealer, or the figures of the one in the back room; None where it runs apart.
    """

    gateway: Gateway
    journal: JournalWriter
    decoder: Decoder
    slow_lane: SlowLane
    worker: Worker
    outgoing: Outgoing
    publisher: Publisher
    writer: Writer | BackroomProcess
    history: Reader
    record: RecordWatch
    feed: CaseloadFeed
    states: StateKeeper
    hub: Hub
    supervisor: Supervisor
    heartbeat: Heartbeat
    nearness: Nearness
    policy: Policy
    channels: Mapping[ChannelName, Channel]
    probe: Probe | None
    strangers: Strangers
    forwarder: Forwarder | None
    identity: Identity
    sealer: SealerFigures | None = None
