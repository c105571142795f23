"""The application over a fake service, and a client to talk to it."""

from __future__ import annotations

from typing import Any

import httpx
from litestar import Litestar
from litestar.testing import TestClient

from console.access import Access
from console.app import create_app
from console.hub import Hub
from tests.console.fake import TOKEN, FakeBackend, make_access, make_hub

ORIGIN = "http://127.0.0.1:8000"
SAME_ORIGIN = {"Origin": ORIGIN}


class World:
    """The application, what stands behind it, and a client that keeps cookies."""

    def __init__(self) -> None:
        self.backend = FakeBackend()
        self.hub: Hub = make_hub(self.backend.time, beat_s=0.05)
        self.access: Access = make_access(self.backend.time)
        self.app: Litestar = create_app(
            self.backend, self.hub, self.access, lambda: b"cordon_up 1\n"
        )
        self.client = TestClient(self.app, base_url=ORIGIN)

    def enter(self) -> None:
        answer = self.client.get("/enter", params={"token": TOKEN}, follow_redirects=False)
        assert answer.status_code == 303

    def act(self, alert_id: str, act: str, **body: Any) -> httpx.Response:
        address = f"/api/v1/alerts/{alert_id}/{act}"
        return self.client.post(address, json=body, headers=SAME_ORIGIN)
