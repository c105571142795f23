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
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta

from cordon.errors import CordonError
from cordon.sections import (
    Alerts,
    Broker,
    Console,
    Database,
    Engine,
    Evidence,
    Forwarding,
    Logs,
    Section,
)

ENVIRONMENT_PREFIX = "CORDON_"
SETTINGS_FILE_VARIABLE = "CORDON_SETTINGS"
_RESERVED = {"SETTINGS", "DATA", "TEST_DSN", "SKIP_ASSETS", "CHROMIUM"}


class SettingsError(CordonError):
    """A setting that cannot be used; names the file or variable."""


class Settings(Section, frozen=True):
    """All settings of a Cordon installation."""

    state_directory: Annotated[str, Meta(description="Data of the embedded servers, caches.")] = (
        ".cordon"
    )
    broker: Broker = msgspec.field(default_factory=Broker)
    database: Database = msgspec.field(default_factory=Database)
    engine: Engine = msgspec.field(default_factory=Engine)
    evidence: Evidence = msgspec.field(default_factory=Evidence)
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
    *("nats_url", "system_url", "mqtt_password", "url", "authorization_url", "issuer_seed"),
    *("webhook_secret", "sms_url", "sms_authorization", "email_password", "push_private_key"),
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
