"""Settings: one schema, read from a TOML file and from the environment.

Every setting has one name: ``section.key`` in the file, ``CORDON_SECTION_KEY`` in the
environment, which wins. ``cordon config`` prints the schema with what is in force.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from cordon.errors import CordonError

ENVIRONMENT_PREFIX = "CORDON_"
SETTINGS_FILE_VARIABLE = "CORDON_SETTINGS"
_RESERVED = {"SETTINGS", "DATA", "TEST_DSN", "SKIP_ASSETS", "CHROMIUM"}

Port = Annotated[int, Meta(ge=0, le=65_535)]


class SettingsError(CordonError):
    """A setting that cannot be used; names the file or variable."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Broker(_Section, frozen=True):
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


class Database(_Section, frozen=True):
    """TimescaleDB, or plain PostgreSQL."""

    url: Annotated[
        str, Meta(description="postgresql://user:password@host/name. Empty: an embedded server.")
    ] = ""


class Engine(_Section, frozen=True):
    """The worker that decides and alerts."""

    sweep_interval_s: Annotated[
        float, Meta(gt=0, le=60, description="How often time alone is looked at.")
    ] = 1.0
    checkpoint_interval_s: Annotated[
        float, Meta(gt=0, le=600, description="How much is replayed after a crash, at most.")
    ] = 5.0


class Alerts(_Section, frozen=True):
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


class Operator(_Section, frozen=True):
    """Someone who may open the console."""

    name: Annotated[str, Meta(min_length=1, max_length=80, description="As written on alerts.")]
    token_sha256: Annotated[
        str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of the operator's access token.")
    ]


class Console(_Section, frozen=True):
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


class Forwarding(_Section, frozen=True):
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


class Logs(_Section, frozen=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe level.")
    ] = "info"
    format: Annotated[
        Literal["json", "text"], Meta(description="json for machines, text for people.")
    ] = "json"


class Settings(_Section, frozen=True):
    """All settings of a Cordon installation."""

    state_directory: Annotated[str, Meta(description="Data of the embedded servers, caches.")] = (
        ".cordon"
    )
    broker: Broker = msgspec.field(default_factory=Broker)
    database: Database = msgspec.field(default_factory=Database)
    engine: Engine = msgspec.field(default_factory=Engine)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    console: Console = msgspec.field(default_factory=Console)
    forwarding: Forwarding = msgspec.field(default_factory=Forwarding)
    logs: Logs = msgspec.field(default_factory=Logs)


def load_settings(file: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from defaults, then the file, then the environment.

    Args:
        file: A TOML file; None takes the one `CORDON_SETTINGS` names, if any.
        environment: Variables; those that start with `CORDON_` must be known.

    Raises:
        SettingsError: The file cannot be read, or a value does not fit.
    """
    if file is None and environment.get(SETTINGS_FILE_VARIABLE):
        file = Path(environment[SETTINGS_FILE_VARIABLE])
    document = _read(file) if file else {}
    _convert(document, f"in {file}")
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name not in _RESERVED:
            _place(document, variable, name.lower(), value)
    return _convert(document, f"in {file} or the environment" if file else "in the environment")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {file} is not TOML: {error}") from error


def _convert(document: dict[str, Any], where: str) -> Settings:
    try:
        return msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"A setting {where} does not fit: {error}. `cordon config` prints what is possible."
        ) from error


def _place(document: dict[str, Any], variable: str, name: str, value: str) -> None:
    """Put an environment variable's value where the file would have it."""
    for field in msgspec.structs.fields(Settings):
        inner = field.type
        if name == field.name:
            document[field.name] = value
            return
        is_section = isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        key = name.removeprefix(f"{field.name}_")
        if is_section and key != name and key in inner.__struct_fields__:
            is_list = "tuple" in str(get_type_hints(inner)[key])
            document.setdefault(field.name, {})[key] = _json(variable, value) if is_list else value
            return
    raise SettingsError(
        f"The environment variable {variable} names no setting. `cordon config` lists them all."
    )


def _json(variable: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingsError(f"{variable} must be a JSON list: {error}") from error


_SECRETS = {
    *("nats_url", "system_url", "mqtt_password", "url", "webhook_secret"),
    *("sms_url", "sms_authorization", "email_password", "push_private_key"),
}


def describe(settings: Settings) -> str:
    """The schema with the values in force, as TOML that `load_settings` reads back.

    Passwords are not shown: what may hold one is printed as a comment.
    """
    lines = ["# Settings in force. Each can also be set as CORDON_<SECTION>_<KEY>.", ""]
    sections = []
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if isinstance(value, msgspec.Struct):
            sections.append((field.name, value))
        else:
            lines += _describe_field(type(settings), field.name, value)
    for name, section in sections:
        lines += ["", f"# {(type(section).__doc__ or '').splitlines()[0]}", f"[{name}]"]
        for key in section.__struct_fields__:
            lines += _describe_field(type(section), key, getattr(section, key))
    return "\n".join(lines) + "\n"


def _describe_field(owner: type, key: str, value: Any) -> list[str]:
    hint = get_type_hints(owner, include_extras=True)[key]
    texts = [meta.description for meta in get_args(hint)[1:] if isinstance(meta, Meta)]
    comment = [f"# {text}" for text in texts if text]
    if key in _SECRETS and value:
        return [*comment, f'# {key} = "(set, not shown)"']
    return [*comment, f"{key} = {_toml(value)}"]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, msgspec.Struct):
        pairs = (f"{key} = {_toml(getattr(value, key))}" for key in value.__struct_fields__)
        return "{ " + ", ".join(pairs) + " }"
    return json.dumps(value, ensure_ascii=False)  # TOML knows no surrogates
