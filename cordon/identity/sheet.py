"""The page that is handed to whoever sets a device up: what to type, or to scan."""

from __future__ import annotations

import html
from dataclasses import dataclass

import msgspec
import segno

from cordon.identity.certificates import printed


@dataclass(frozen=True, slots=True)
class Setup:
    """What a device must know to connect.

    Attributes:
        broker: ``host:port``.
        tls: Whether the listener speaks TLS.
        ca_fingerprint: SHA-256 of the CA that is to be trusted; empty: not known here.
        password: Empty for a device that shows a certificate, or keeps what it has.
        sign: ``hmac`` or ``ed25519`` for a device that is given a key to sign with.
        key_number: By which its messages name that key.
        signing_key: HMAC secret or private half, hexadecimal; empty where the device has it.
    """

    device: str
    broker: str
    tls: bool
    ca_fingerprint: bytes
    password: str = ""
    sign: str = ""
    key_number: int = 0
    signing_key: str = ""

    def scanned(self) -> str:
        """What the QR code says: JSON."""
        document: dict[str, str | int] = {
            "v": 1,
            "broker": self.broker,
            "tls": self.tls,
            "user": self.device,
            "password": self.password,
            "ca_sha256": self.ca_fingerprint.hex(),
        }
        if self.sign:
            document |= {"sign": self.sign, "key_number": self.key_number}
            document |= {"signing_key": self.signing_key}
        return msgspec.json.encode({k: v for k, v in document.items() if v != ""}).decode()


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
  @page {{ size: A4; margin: 20mm }}
  body {{ font: 11pt/1.4 system-ui, sans-serif; margin: 2rem }}
  section {{ break-after: page; max-width: 42rem }}
  dt {{ font-weight: 600; margin-top: .6rem }}
  dd {{ margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }}
  svg {{ width: 60mm; height: 60mm }}
</style>
{sections}
</html>
"""
_SECTION = """<section>
<h1>{device}</h1>
{code}
<dl>
{rows}
</dl>
<p>Whoever has this page can speak for this device. Hand it to the one who sets the device up, and
destroy it afterwards. Lost? <code>cordon device revoke {device} --reason ...</code> shuts the device
out within a minute.</p>
</section>"""


_ALGORITHMS = {"hmac": "HMAC-SHA-256", "ed25519": "Ed25519"}


def sheet(setups: list[Setup]) -> str:
    """An HTML page to be printed, one sheet of paper per device."""
    return _PAGE.format(
        title="Cordon: devices to set up", sections="\n".join(_section(setup) for setup in setups)
    )


def _section(setup: Setup) -> str:
    values = {
        "Broker (MQTT 3.1.1)": setup.broker + (", TLS 1.2 or later" if setup.tls else ", no TLS"),
        "User name and client id": setup.device,
        "Password": setup.password or "none here: it shows its certificate, or keeps what it has",
        "Topics": f"cordon/v1/{setup.device}/fix, event, status, receipt; command to subscribe to",
        "SHA-256 of the CA to trust": printed(setup.ca_fingerprint) or "not known here",
    }
    if setup.sign:
        values |= {
            "Signs its messages with": f"{_ALGORITHMS[setup.sign]}, key number {setup.key_number}",
            "Key to sign with (hexadecimal)": setup.signing_key or "the one it made itself",
        }
    rows = "\n".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
        for name, value in values.items()
    )
    code = segno.make(setup.scanned(), micro=False).svg_inline(scale=4)
    return _SECTION.format(device=html.escape(setup.device), code=code, rows=rows)
