"""The sections of the settings: every setting with its meaning, limits and default."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65_535)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused."""


class Broker(Section, frozen=True):
    """The NATS server with its MQTT listener."""

    nats_url: Annotated[
        str, Meta(description="nats://user:password@host:4222. Empty: an embedded server.")
    ] = ""
    system_url: Annotated[
        str,
        Meta(description="The same with system account credentials, to see refused connections."),
    ] = ""
    mqtt_host: Annotated[str, Meta(description="Host of the MQTT listener.")] = "127.0.0.1"
    mqtt_port: Annotated[Port, Meta(description="Port of the MQTT listener.")] = 1883
    mqtt_user: Annotated[str, Meta(description="The service's MQTT user.")] = ""
    mqtt_password: Annotated[str, Meta(description="The service's MQTT password.")] = ""
    devices: Annotated[
        Literal["registered", "open"],
        Meta(
            description="'registered': a device comes in with its credential and speaks for itself "
            "alone. 'open': whoever reaches the MQTT port may speak for any device."
        ),
    ] = "registered"
    mqtt_tls: Annotated[bool, Meta(description="Whether the MQTT listener speaks TLS.")] = True
    mqtt_ca: Annotated[
        str,
        Meta(
            description="PEM file of the CA that the service trusts there. Empty: Cordon's own (see "
            "`cordon ca`), or the system's with a server of yours."
        ),
    ] = ""
    mqtt_certificate: Annotated[
        str,
        Meta(description="Embedded: PEM file of the listener. Empty: issued by Cordon's own CA."),
    ] = ""
    mqtt_key: Annotated[str, Meta(description="Embedded: PEM file of its key.")] = ""
    mqtt_client_certificates: Annotated[
        bool, Meta(description="Embedded: let nobody in without a certificate of mqtt_ca.")
    ] = False
    mqtt_service_certificate: Annotated[
        str, Meta(description="PEM file the service shows to a server of yours that demands one.")
    ] = ""
    mqtt_service_key: Annotated[str, Meta(description="PEM file of its key.")] = ""
    mqtt_listen: Annotated[
        str,
        Meta(
            pattern=r"^(.+):[0-9]{1,5}$",
            description="Embedded: where devices are heard, host:port; port 0: any free one.",
        ),
    ] = "127.0.0.1:0"
    public_address: Annotated[
        str,
        Meta(
            description="Where devices reach the MQTT listener, host:port: printed for those who "
            "set devices up, and the name in the certificate."
        ),
    ] = ""
    authorization_url: Annotated[
        str,
        Meta(
            description="A server of yours: NATS address of the authorization account; see "
            "docs/operations.md. Empty: it lets devices in by its own rules."
        ),
    ] = ""
    issuer_seed: Annotated[
        str,
        Meta(description="The same: seed of the key that signs (`cordon authorize --new-key`)."),
    ] = ""
    log_file: Annotated[
        str,
        Meta(description="The same: its log, if it is on this machine, to see what it forbids."),
    ] = ""
    store_bytes: Annotated[
        int,
        Meta(
            ge=64_000_000,
            description="JetStream files together, bytes; at most max_file of a server of yours.",
        ),
    ] = 4 * 1024**3
    sync_interval: Annotated[
        str,
        Meta(
            pattern=r"^(always|[0-9]+(ms|s|m))$",
            description="Embedded: how often the journal is forced to disk. '1s' risks the last "
            "second in a power cut; 'always' risks nothing and carries under 1,000 fixes/s.",
        ),
    ] = "1s"


class Database(Section, frozen=True):
    """TimescaleDB, or plain PostgreSQL."""

    url: Annotated[
        str, Meta(description="postgresql://user:password@host/name. Empty: an embedded server.")
    ] = ""
    disk_bytes: Annotated[
        int,
        Meta(ge=0, description="How large it may grow, to be warned in time; 0: not known."),
    ] = 0


class Engine(Section, frozen=True):
    """The worker that decides and alerts."""

    sweep_interval_s: Annotated[
        float, Meta(gt=0, le=60, description="How often time alone is looked at.")
    ] = 1.0
    checkpoint_interval_s: Annotated[
        float, Meta(gt=0, le=600, description="How much is replayed after a crash, at most.")
    ] = 5.0


class Witness(Section, frozen=True):
    """A program of another organisation that remembers the log's heads."""

    url: Annotated[str, Meta(pattern="^https?://", description="Where it answers.")]
    keys: Annotated[
        tuple[str, ...], Meta(min_length=1, description="Its public keys, as it prints them.")
    ]


class Authority(Section, frozen=True):
    """A time stamping authority (RFC 3161)."""

    url: Annotated[str, Meta(pattern="^https?://", description="Where it answers.")]
    roots: Annotated[str, Meta(description="PEM file of certificates that its own leads up to.")]


class Evidence(Section, frozen=True):
    """The tamper-evident log over all that is stored."""

    sealer: Annotated[
        Literal["service", "apart"],
        Meta(description="Who seals: the service, or `cordon evidence seal` beside it."),
    ] = "service"
    seal_interval_s: Annotated[
        float,
        Meta(gt=0, le=600, description="Time between two batches: what is younger can be altered."),
    ] = 10.0
    origin: Annotated[
        str,
        Meta(
            pattern=r"^[^\s+]*$",
            description="Name of the log, as example.org/cordon. Empty: one is made up. Stays.",
        ),
    ] = ""
    key_file: Annotated[
        str,
        Meta(description="Its secret keys; beside it lies what was signed. Empty: made here."),
    ] = ""
    witnesses: Annotated[
        tuple[Witness, ...], Meta(description="Who is shown every head; see docs/evidence.md.")
    ] = ()
    quorum: Annotated[
        int, Meta(ge=1, le=16, description="How many of them must sign for a head to count.")
    ] = 2
    second_person: Annotated[
        bool,
        Meta(
            description="A pack goes out only after somebody else approved it: `cordon evidence request`. "
            "false: for one person on duty; each pack then says that nobody approved it."
        ),
    ] = True
    timestamp_authorities: Annotated[
        tuple[Authority, ...], Meta(description="Of others, never your own: they stamp heads.")
    ] = ()
    timestamp_interval_s: Annotated[
        float, Meta(ge=10, le=86_400, description="Time between two stamps of each.")
    ] = 600.0
    retain_positions_days: Annotated[
        int,
        Meta(
            ge=0,
            description="What devices sent is kept so long; 0: for ever. `cordon evidence retain`.",
        ),
    ] = 0
    retain_decisions_days: Annotated[
        int,
        Meta(ge=0, description="Decisions, anomalies, health of devices, commands; 0: for ever."),
    ] = 0
    retain_alerts_days: Annotated[
        int, Meta(ge=0, description="Alerts and who was told; 0: for ever.")
    ] = 0
    retain_caseload_days: Annotated[
        int,
        Meta(
            ge=0,
            description="Versions of the caseload that are not in force any more and that nothing "
            "stored refers to, and names of people of whom nothing else is stored; 0: for ever.",
        ),
    ] = 0


class Alerts(Section, frozen=True):
    """Who is told of alerts, and who is asked when nobody acts."""

    profiles: Annotated[
        str,
        Meta(description="Folder of jurisdiction profiles of your own; they win by their names."),
    ] = ""
    contacts: Annotated[
        str, Meta(description="TOML file of who can be asked beside the consoles. Empty: nobody.")
    ] = ""
    probe: Annotated[
        bool,
        Meta(
            description="A synthetic pair walks into its ring every minute through the whole way; "
            "without its alert in time, supervisors are asked over channels that need no broker."
        ),
    ] = False
    webhook_secret: Annotated[
        str,
        Meta(description="whsec_ and base64: signs webhooks. Empty: none are sent."),
    ] = ""
    eido_element: Annotated[
        str,
        Meta(
            pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)+)?$",
            description="Domain name under which dispatch systems know this service: contacts with "
            'format = "eido" are sent incidents (NENA EIDO). Empty: none are sent.',
        ),
    ] = ""
    sms_url: Annotated[
        str, Meta(description="HTTP gateway for text messages. Empty: none are sent.")
    ] = ""
    sms_authorization: Annotated[
        str, Meta(description="Value of the Authorization header for the gateway.")
    ] = ""
    sms_body: Annotated[
        str, Meta(description="JSON that is posted, with $to, $text and $id within quotes.")
    ] = '{"to": "$to", "text": "$text", "reference": "$id"}'
    email_host: Annotated[
        str, Meta(description="SMTP server that mail is handed to. Empty: none is sent.")
    ] = ""
    email_port: Annotated[Port, Meta(description="Its port.")] = 587
    email_sender: Annotated[str, Meta(description="Address that mail comes from.")] = ""
    email_user: Annotated[str, Meta(description="User at the server; empty: none.")] = ""
    email_password: Annotated[str, Meta(description="The password.")] = ""
    email_starttls: Annotated[
        bool, Meta(description="Encrypt before anything is said; false only on this machine.")
    ] = True
    push_private_key: Annotated[
        str,
        Meta(description="VAPID key (base64url) for Web Push. UnifiedPush and ntfy need none."),
    ] = ""
    push_contact: Annotated[
        str, Meta(description="mailto: address for operators of push services.")
    ] = ""


class Operator(Section, frozen=True):
    """Someone who may open the console."""

    name: Annotated[str, Meta(min_length=1, max_length=80, description="As written on alerts.")]
    token_sha256: Annotated[
        str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of the operator's access token.")
    ]


class Console(Section, frozen=True):
    """The web console and its HTTP API."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="0: any free port.")] = 0
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="Host names the console answers to, besides loopback.")
    ] = ()
    operators: Annotated[
        tuple[Operator, ...], Meta(description="Who may sign in; see `cordon operator`.")
    ] = ()
    basemap: Annotated[
        str, Meta(description="GeoJSON file of streets and water to draw below people.")
    ] = ""


class Forwarding(Section, frozen=True):
    """Positions that another server posts over HTTP, such as Traccar."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="0: there is no such listener.")] = 0
    token_sha256: Annotated[
        str,
        Meta(
            pattern="^([0-9a-f]{64})?$",
            description="SHA-256 of the token that the other server sends; see `cordon operator`.",
        ),
    ] = ""


class Logs(Section, frozen=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe level.")
    ] = "info"
    format: Annotated[
        Literal["json", "text"], Meta(description="json for machines, text for people.")
    ] = "json"
