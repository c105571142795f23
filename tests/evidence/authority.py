"""A time stamping authority for tests: OpenSSL behind a small HTTP server."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from evidence.timestamps import Authority, read_roots

_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Test authority
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[stamping]
serial = serial
crypto_device = builtin
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""
_KEY = "-newkey rsa:2048 -nodes"
_SETUP = f"""
req -x509 {_KEY} -keyout root.key -out root.pem -days 9 -config tsa.cnf -extensions root
req {_KEY} -keyout signer.key -out signer.csr -config tsa.cnf
x509 -req -in signer.csr -CA root.pem -CAkey root.key -set_serial 2 -days 9 -out signer.pem
""".strip().splitlines()
_REPLY = "ts -reply -config tsa.cnf -section stamping -queryfile query -out answer"


def openssl(folder: Path, command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["openssl", *command.split()], cwd=folder, capture_output=True, check=False
    )


@contextlib.contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """An authority with a root of its own, in a thread."""
    folder.mkdir()
    (folder / "tsa.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    for command in [*_SETUP[:2], _SETUP[2] + " -extfile tsa.cnf -extensions signer"]:
        done = openssl(folder, command)
        assert done.returncode == 0, done.stderr

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            (folder / "query").write_bytes(self.rfile.read(length))
            done = openssl(folder, _REPLY)
            self.send_response(500 if done.returncode else 200)
            self.end_headers()
            self.wfile.write((folder / "answer").read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Authority(
            f"http://127.0.0.1:{server.server_address[1]}", read_roots(folder / "root.pem")
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
