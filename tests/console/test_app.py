"""The API as a client meets it: sessions, answers, refusals, headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from alerts.deliveries import DeliveryRecord
from alerts.protection import Protection, Reason
from console.app import BODY_BYTES, create_app
from console.backend import NotAvailableError
from console.files import MAP_LIBRARY, read_static
from console.gate import CSP
from console.views import ALERTS_SHOWN, Health, RefusalView, UnassignedView
from tests.console.application import ORIGIN, SAME_ORIGIN, World
from tests.console.fake import OPERATOR, TOKEN, alert, grid_town, make_hub, panic


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.client:
        yield made


@pytest.fixture
def inside(world: World) -> World:
    world.enter()
    return world


def test_nothing_is_served_without_a_session(world: World) -> None:
    for path in (
        "picture",
        "alerts",
        "refusals",
        "unassigned",
        "basemap",
        "stream",
        "session",
        "openapi.json",
    ):
        answer = world.client.get(f"/api/v1/{path}")
        assert answer.status_code == 401, path
        assert set(answer.json()) == {"error", "what_to_do"}
    assert world.act("a1", "acknowledge", version=1).status_code == 401
    page = world.client.get("/")
    assert page.status_code == 401
    assert "sign-in address" in page.text


def test_entering_sets_a_strict_cookie_and_leaves_the_token_behind(world: World) -> None:
    answer = world.client.get("/enter", params={"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    for part in ("cordon_8000=", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert part in cookie
    assert world.client.get("/").status_code == 200
    assert world.client.get("/api/v1/session").json() == {"operator": OPERATOR, "build": "0.1.0"}


def test_a_wrong_token_and_too_many_of_them(world: World) -> None:
    for _ in range(10):
        answer = world.client.get("/enter", params={"token": "guess"})
        assert answer.status_code == 401
    answer = world.client.get("/enter", params={"token": TOKEN})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_leaving_ends_the_session(inside: World) -> None:
    assert inside.client.post("/leave").status_code == 403
    assert inside.client.post("/leave", headers=SAME_ORIGIN).status_code == 204
    assert inside.client.get("/api/v1/picture").status_code == 401


def test_a_damaged_cookie_is_no_session(world: World) -> None:
    for cookie in ("cordon_8000=\u00e9", 'cordon_8000="', "a,b;;=;=", "cordon_8000"):
        headers = {b"Cookie": cookie.encode("latin-1")}
        assert world.client.get("/api/v1/session", headers=headers).status_code == 401


def test_the_picture_holds_everything(inside: World) -> None:
    inside.backend.alerts["a1"] = alert("a1")
    picture = inside.client.get("/api/v1/picture").json()
    assert set(picture) == {"server_time", "devices", "watches", "zones", "alerts", "service"}
    assert picture["devices"][0]["accuracy_m"] == 18.0
    assert picture["watches"][0]["low_m"] == 221.0
    assert picture["zones"][0]["geometry"]["type"] == "Polygon"
    assert inside.client.get("/api/v1/alerts").json() == picture["alerts"]


def test_acknowledge_then_resolve(inside: World) -> None:
    inside.backend.alerts["a1"] = panic("a1")
    answer = inside.act("a1", "acknowledge", version=1)
    assert answer.status_code == 200
    assert answer.json()["acknowledged_by"] == OPERATOR
    answer = inside.act(
        "a1", "resolve", version=2, outcome="help_given", note="Officer spoke to both."
    )
    assert answer.json()["resolved_by"] == OPERATOR
    assert inside.backend.calls == [
        ("acknowledge", "a1", OPERATOR),
        ("resolve", "a1", OPERATOR, "Officer spoke to both."),
    ]


def test_a_conflict_names_who_acted_and_gives_the_alert_as_it_is(inside: World) -> None:
    inside.backend.alerts["a1"] = alert("a1", version=4, acknowledged_by="Ben")
    answer = inside.act("a1", "acknowledge", version=3)
    assert answer.status_code == 409
    problem = answer.json()
    assert "acknowledged by Ben" in problem["error"]
    assert problem["alert"]["version"] == 4


def test_an_unknown_alert_an_illegal_step_and_a_bad_body(inside: World) -> None:
    assert inside.act("nobody", "acknowledge", version=1).status_code == 404
    inside.backend.alerts["a1"] = alert("a1")
    closing = {"outcome": "no_breach", "note": "n"}
    answer = inside.act("a1", "resolve", version=1, **closing)
    assert answer.status_code == 422
    assert "acknowledge it first" in answer.json()["error"]
    for body in ({}, {"version": "one"}, {"version": 0}, {"version": 1, "extra": 1}):
        answer = inside.act("a1", "acknowledge", **body)
        assert answer.status_code == 422, body
        assert set(answer.json()) == {"error", "what_to_do"}
    answer = inside.act("a1", "resolve", version=1, outcome="no_breach", note="x" * 2001)
    assert answer.status_code == 422
    answer = inside.act("a1", "resolve", version=1, outcome="no_breach", note="x" * BODY_BYTES)
    assert answer.status_code == 413
    assert inside.backend.alerts["a1"].version == 1


def test_every_step_has_an_address(inside: World) -> None:
    inside.backend.alerts["a1"] = panic("a1", condition="tamper", level="case_open", tier=2)
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("shelve", {"minutes": 30, "reason": "known"}, "shelved_by"),
        ("unshelve", {}, "shelved_by"),
        ("assign", {"to": "Ben"}, "assigned_to"),
        ("dispatch", {"to": "unit 7"}, "dispatched_by"),
        ("check", {"by": "inspected", "note": "case whole"}, "checked_by"),
        ("resolve", {"outcome": "device_at_fault", "note": "worn latch"}, "resolved_by"),
    ]
    said = {"assign": "Ben", "unshelve": None}
    for version, (name, body, field) in enumerate(steps, 1):
        answer = inside.act("a1", name, version=version, **body)
        assert answer.status_code == 200, answer.text
        assert answer.json()[field] == said.get(name, OPERATOR)
    assert inside.backend.alerts == {}


def test_a_step_with_a_word_that_is_not_known_is_refused(inside: World) -> None:
    inside.backend.alerts["a1"] = panic("a1", acknowledged_by="Ben")
    answer = inside.act("a1", "resolve", version=1, outcome="fine", note="n")
    assert answer.status_code == 422
    assert inside.backend.calls == []


def test_a_receipt_of_staff_and_what_was_given_up(inside: World) -> None:
    confirmed = inside.client.post("/api/v1/deliveries/d1/receipt", headers=SAME_ORIGIN)
    assert confirmed.status_code == 204
    unknown = inside.client.post("/api/v1/deliveries/d2/receipt", headers=SAME_ORIGIN)
    assert unknown.status_code == 404
    assert inside.backend.calls[0] == ("confirm", "d1", OPERATOR)
    inside.backend.letters = [
        DeliveryRecord(
            id="d1/refused",
            type="cordon.delivery.refused",
            time="2026-11-23T00:00:00Z",
            delivery_id="d1",
            alert_id="a1",
            change_id="a1/1",
            channel="webhook",
            recipient="Control",
            state="refused",
            reason="the receiver refuses it (HTTP 401)",
        )
    ]
    [letter] = inside.client.get("/api/v1/deliveries/failed").json()
    assert (letter["channel"], letter["recipient"]) == ("webhook", "Control")


def test_who_is_protected_how_well(inside: World) -> None:
    inside.backend.protected = [
        Protection(
            person="p1",
            state="degraded",
            reasons=(Reason("battery_low", None),),
            since=None,
            verified_at=None,
            valid_until="2026-11-23T00:00:00Z",
            title="t",
            what_to_do="w",
        )
    ]
    [found] = inside.client.get("/api/v1/protection").json()
    assert (found["state"], found["reasons"][0]["code"]) == ("degraded", "battery_low")


def test_the_load(inside: World) -> None:
    figures = inside.client.get("/api/v1/load").json()
    assert (figures["raised_10_min"], figures["flood_since"]) == (0, None)


def test_another_sites_page_can_change_nothing(inside: World) -> None:
    inside.backend.alerts["a1"] = alert("a1")
    foreign = {"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"}
    for headers in (foreign, {}):
        answer = inside.client.post(
            "/api/v1/alerts/a1/acknowledge", json={"version": 1}, headers=headers
        )
        assert answer.status_code == 403
    assert inside.backend.calls == []


def test_another_name_for_this_machine_is_refused(inside: World) -> None:
    answer = inside.client.get("/api/v1/picture", headers={"Host": "attacker.example"})
    assert answer.status_code == 403
    assert "allowed hosts" in answer.json()["what_to_do"]


def test_probes_and_metrics_need_nothing(world: World) -> None:
    headers = {"Host": "10.1.2.3:8080"}
    assert world.client.get("/healthz", headers=headers).status_code == 200
    assert world.client.get("/metrics", headers=headers).text == "cordon_up 1\n"
    world.backend.state = Health(live=True, ready=False, reasons=("the broker is away",))
    assert world.client.get("/healthz", headers=headers).status_code == 200
    answer = world.client.get("/readyz", headers=headers)
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the broker is away"]


def test_refusals_and_their_limit(inside: World) -> None:
    row = RefusalView(
        device="d9", code="latitude", reason="r", count=3, last_time="2026-11-23T00:00:00Z"
    )
    inside.backend.rows = [row] * 5
    assert len(inside.client.get("/api/v1/refusals").json()) == 5
    assert len(inside.client.get("/api/v1/refusals?limit=2").json()) == 2
    for limit in ("0", "501", "many"):
        assert inside.client.get(f"/api/v1/refusals?limit={limit}").status_code == 422


def test_refusals_that_cannot_be_looked_up_are_explained(inside: World) -> None:
    async def away(limit: int) -> list[RefusalView]:
        raise NotAvailableError(f"the database is away; {limit} rows were wanted")

    inside.backend.refusals = away  # type: ignore[method-assign]
    answer = inside.client.get("/api/v1/refusals")
    assert answer.status_code == 503
    assert "database is away" in answer.json()["error"]


def test_devices_that_nobody_carries_and_their_limit(inside: World) -> None:
    row = UnassignedView(
        device="d9",
        reports=3,
        first_time="2026-11-23T00:00:00Z",
        last_time="2026-11-23T00:01:00Z",
    )
    inside.backend.strangers = [row] * 5
    assert inside.client.get("/api/v1/unassigned?limit=2").json() == [
        msgspec.to_builtins(row),
        msgspec.to_builtins(row),
    ]
    assert inside.client.get("/api/v1/unassigned?limit=501").status_code == 422


def test_the_basemap_or_none(inside: World) -> None:
    assert inside.client.get("/api/v1/basemap").status_code == 204
    inside.backend.map = grid_town(51.75, -1.25)
    answer = inside.client.get("/api/v1/basemap")
    assert answer.headers["content-type"].startswith("application/geo+json")
    assert answer.json()["type"] == "FeatureCollection"


def test_security_headers_stand_on_every_answer(inside: World) -> None:
    paths = ("/", "/api/v1/picture", "/static/main.js", "/healthz", "/nothing", "/enter?token=x")
    for path in paths:
        headers = inside.client.get(path).headers
        assert headers["content-security-policy"] == CSP, path
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == (
            "no-cache" if path in paths[:1] + paths[2:3] else "no-store"
        )


def test_unknown_addresses_and_methods_are_explained(inside: World) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/api/v1/picture", 405)):
        answer = inside.client.request(method, path, headers=SAME_ORIGIN)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "what_to_do"}


def test_a_fault_of_ours_tells_nothing_of_what_was_in_it(inside: World) -> None:
    def broken() -> None:
        raise ZeroDivisionError("lat 51.7520")

    inside.backend.picture = broken  # type: ignore[method-assign, assignment]
    answer = inside.client.get("/api/v1/picture")
    assert answer.status_code == 500
    assert "51.7520" not in answer.text
    assert "request_failed" in answer.json()["what_to_do"]


def test_files_carry_their_type_and_are_not_sent_twice(inside: World) -> None:
    answer = inside.client.get("/static/main.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    again = inside.client.get("/static/main.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/nothing.js",
        "/static/",
        "/static/..%2fapp.py",
    ],
)
def test_only_the_pages_files_are_served(inside: World, path: str) -> None:
    assert inside.client.get(path).status_code in {404, 405}


def test_pages_hold_no_inline_code_and_no_foreign_address() -> None:
    for name, file in read_static().items():
        if name.startswith("vendor/"):
            continue
        text = file.content.decode()
        assert "innerHTML =" not in text, name
        for address in ("http://", "https://", "//cdn"):
            stripped = text.replace("http://www.w3.org/", "")
            assert address not in stripped, (name, address)
    page = read_static()["index.html"].content.decode()
    assert "<script>" not in page
    assert " style=" not in page
    assert " onclick=" not in page


def test_the_description_of_the_api_is_json_only(inside: World) -> None:
    described = inside.client.get("/api/v1/openapi.json").json()
    assert "/api/v1/alerts/{alert_id}/acknowledge" in described["paths"]
    assert "/api/v1/picture" in described["paths"]
    for path in ("/api/v1", "/api/v1/swagger", "/api/v1/redoc", "/schema", "/docs"):
        answer = inside.client.get(path)
        assert "cdn" not in answer.text
        assert "text/html" not in answer.headers["content-type"], path


def test_the_map_librarys_files_are_known_by_the_name_the_page_uses() -> None:
    text = read_static()["map.js"].content.decode()
    assert f'"/static/{MAP_LIBRARY.removesuffix(".mjs")}"' in text


async def test_too_many_pages_are_told_so() -> None:
    world = World()
    world.hub = make_hub(world.backend.time, subscriptions=0)
    app = create_app(world.backend, world.hub, world.access, lambda: b"")
    with TestClient(app, base_url=ORIGIN) as client:
        client.get("/enter", params={"token": TOKEN})
        answer = client.get("/api/v1/stream")
        assert answer.status_code == 503
        assert "Close a page" in answer.json()["what_to_do"]


def test_very_many_alerts_are_given_page_by_page_the_most_urgent_first(inside: World) -> None:
    for number in range(3 * ALERTS_SHOWN):
        found = alert(f"a{number:05}", tier=1 + (number % 4 != 0))
        inside.backend.alerts[found.alert_id] = found
    picture = inside.client.get("/api/v1/picture").json()
    assert len(picture["alerts"]) == ALERTS_SHOWN
    assert picture["service"]["alerts_open"] == [375, 1125, 0, 0]
    assert [one["tier"] for one in picture["alerts"]] == [1] * 375 + [2] * 125
    pages = [
        inside.client.get("/api/v1/alerts", params={"limit": 400, "offset": offset}).json()
        for offset in range(0, 3 * ALERTS_SHOWN, 400)
    ]
    ids = [one["alert_id"] for page in pages for one in page]
    assert sorted(ids) == sorted(inside.backend.alerts)
    assert inside.client.get("/api/v1/alerts", params={"limit": 501}).status_code == 422
