"""What programs get that watch this one: /health, /ready, /metrics."""

from pathlib import Path
from typing import Any

import pytest

from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.lines.health import StatusMonitor
from ari_app.telegram.bot import Bot
from ari_app.telegram.line import LineState
from ari_app.web.http.errors import PROBLEM_JSON
from tests.integration.web_helpers import browser, program, signed_in, site
from tests.unit.test_metrics import LINE, Read, connection, line


def parts(lines: dict[str, Any] | None = None, ari: Any = None) -> dict[str, Any]:
    bus = EventBus()
    registry = CallRegistry(bus)
    statuses = StatusMonitor(lines or {}, ari or connection(), Bot(), bus, registry.drain)
    return {"bus": bus, "registry": registry, "statuses": statuses}


async def test_whoever_asks_learns_that_it_lives(tmp_path: Path) -> None:
    async with site(tmp_path) as page, browser(page) as probe, program(page) as here:
        for each in (probe, here):
            answer = await each.get("/health")
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
            assert "Set-Cookie" not in answer.headers


async def test_it_is_ready_when_calls_can_be_taken(tmp_path: Path) -> None:
    lines = {LINE: line(), "+79990000009": line(state=LineState.CONNECTING)}
    async with site(tmp_path, **parts(lines)) as page, browser(page) as probe:
        answer = await probe.get("/ready")
        assert (answer.status, await answer.json()) == (200, {"status": "ready", "lines": 2, "lines_ready": 1})
        page.services.registry.begin_drain()
        answer = await probe.get("/ready")
        problem = await answer.json()
        assert (answer.status, answer.headers["Content-Type"]) == (503, PROBLEM_JSON)
        assert problem["errors"] == [{"where": "drain", "reason": "Astergram takes no new calls: it is being drained."}]
        page.services.registry.cancel_drain()
        assert (await probe.get("/ready")).status == 200


@pytest.mark.parametrize(
    ("lines", "ari", "where"),
    [
        ({}, connection(), []),  # it waits for its administrator, on the page
        ({LINE: line(pauses={"phone.requestCall": (60.0, "FLOOD_WAIT_60")})}, connection(), []),
        ({LINE: line()}, connection(ConnectionState.WAITING, last_error=OSError("secret host")), ["asterisk"]),
        ({LINE: line(state=LineState.SIGNED_OUT)}, connection(), ["lines"]),
        ({LINE: line(frozen="FROZEN_METHOD_INVALID")}, connection(), ["lines"]),
        ({LINE: line(state=LineState.CONNECTING)}, connection(ConnectionState.CONNECTING), ["asterisk", "lines"]),
    ],
)
async def test_why_it_is_not_ready_names_nobody(tmp_path: Path, lines: Any, ari: Any, where: list[str]) -> None:
    async with site(tmp_path, **parts(lines, ari)) as page, browser(page) as probe:
        answer = await probe.get("/ready")
    assert answer.status == (503 if where else 200)
    assert [each["where"] for each in (await answer.json()).get("errors", [])] == where
    assert "secret" not in answer.text
    assert LINE not in answer.text


async def test_figures_are_for_who_may_read(tmp_path: Path) -> None:
    async with site(tmp_path, **parts({LINE: line()})) as page:
        async with browser(page) as nobody:
            answer = await nobody.get("/metrics")
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        async with signed_in(page) as admin:
            assert (await admin.get("/metrics")).status == 200
        async with program(page) as here:
            token = (await (await here.ask("POST", "/api/access/tokens", json={"name": "prometheus"})).json())["token"]
        async with program(page, token) as prometheus:
            answer = await prometheus.get("/metrics")
            assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert Read(answer.text)("ready") == 1
            assert answer.headers["Content-Security-Policy"]
            answer = await prometheus.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({"metrics_allow": ["127.0.0.2"]}, {}, 200),
        ({"metrics_allow": ["127.0.0.2"]}, {"Authorization": "Bearer wrong"}, 401),
        ({"metrics_allow": ["127.0.0.0/30"]}, {}, 200),
        ({"metrics_allow": ["10.0.0.0/8", "::1"]}, {}, 401),
        ({"metrics_allow": ["10.0.0.0/8"], "proxies": ["127.0.0.2"]}, {"X-Forwarded-For": "10.1.2.3"}, 200),
        ({"metrics_allow": ["127.0.0.2"], "proxies": ["127.0.0.2"]}, {"X-Forwarded-For": "192.0.2.1"}, 401),
        ({"metrics_allow": ["10.0.0.0/8"]}, {"X-Forwarded-For": "10.1.2.3"}, 401),
    ],
)
async def test_a_network_may_read_without_a_token(
    tmp_path: Path, settings: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    async with site(tmp_path, settings) as page, browser(page, "127.0.0.2") as prometheus:
        assert (await prometheus.get("/metrics", headers=headers)).status == status
        assert (await prometheus.get("/api/status")).status == 401, "nothing else"
