"""Settings: one name each, from file and environment, printed so that they can be read back."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from cordon.cli import operator
from cordon.sections import Operator
from cordon.settings import Settings, SettingsError, describe, load_settings

DIGEST = "a" * 64


def test_defaults_need_neither_file_nor_environment() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cordon.toml"
    file.write_text('[console]\nport = 1234\nhost = "10.0.0.1"\n')
    settings = load_settings(file, {"CORDON_CONSOLE_PORT": "4321"})
    assert (settings.console.port, settings.console.host) == (4321, "10.0.0.1")


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cordon.toml"
    file.write_text('state_directory = "/var/lib/cordon"\n')
    settings = load_settings(None, {"CORDON_SETTINGS": str(file), "PATH": "/bin"})
    assert settings.state_directory == "/var/lib/cordon"


def test_lists_come_as_json() -> None:
    settings = load_settings(
        None,
        {"CORDON_CONSOLE_OPERATORS": f'[{{"name": "Kim", "token_sha256": "{DIGEST}"}}]'},
    )
    assert settings.console.operators == (Operator(name="Kim", token_sha256=DIGEST),)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CORDON_CONSOLE_PORT": "99999"}, "console.port"),
        ({"CORDON_CONSOLE_PORT": "often"}, "console.port"),
        ({"CORDON_CONSOLE_PROT": "1"}, "CORDON_CONSOLE_PROT names no setting"),
        ({"CORDON_CONSOLE_OPERATORS": "Kim"}, "CORDON_CONSOLE_OPERATORS must be a JSON list"),
        ({"CORDON_BROKER_SYNC_INTERVAL": "sometimes"}, "broker.sync_interval"),
        ({"CORDON_SETTINGS": "/nowhere/cordon.toml"}, "/nowhere/cordon.toml cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(None, environment)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[console]\nprot = 1\n", "prot"), ("port 5", "is not TOML"), ("[engine]\nx = 1", "x")],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "cordon.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(file, {})


def test_what_is_printed_can_be_read_back() -> None:
    settings = load_settings(
        None,
        {
            "CORDON_CONSOLE_ALLOWED_HOSTS": '["centre.example"]',
            "CORDON_CONSOLE_OPERATORS": f'[{{"name": "Kim", "token_sha256": "{DIGEST}"}}]',
        },
    )
    printed = describe(settings)
    assert msgspec.convert(tomllib.loads(printed), Settings) == settings


@pytest.mark.parametrize(
    "name",
    ["Kim", 'Kim "K" O\\Hara', "\N{GRINNING FACE} Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"],
)
def test_the_line_for_an_operator_lets_that_operator_in(tmp_path: Path, name: str) -> None:
    said = CliRunner().invoke(operator, [name]).output
    (token,) = re.findall(r"shown only now: (\S+)", said)
    file = tmp_path / "cordon.toml"
    file.write_text("[console]\n" + said.splitlines()[-1])
    settings = load_settings(file, {})
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert settings.console.operators == (Operator(name=name, token_sha256=digest),)
    assert msgspec.convert(tomllib.loads(describe(settings)), Settings) == settings


def test_no_password_is_printed() -> None:
    printed = describe(
        load_settings(
            None,
            {
                "CORDON_DATABASE_URL": "postgresql://u:hunter2@h/d",
                "CORDON_BROKER_NATS_URL": "nats://u:hunter2@h:4222",
                "CORDON_BROKER_MQTT_PASSWORD": "hunter2",
            },
        )
    )
    assert "hunter2" not in printed
    assert printed.count("(set, not shown)") == 3
