"""Prometheus itself reads /metrics, and runs each query of the dashboard and of the alert rules."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.sandbox.processes import RETRY_S
from ari_app.sandbox.prometheus import PrivatePrometheus, prometheus, promtool
from tests.integration.web_helpers import browser, site
from tests.unit.test_metrics import everything

MONITORING = Path(__file__).parents[2] / "docs/monitoring"
ALERTS = MONITORING / "alerts.yml"
SCRAPED_S = 60.0
"""A generous limit: it takes a second."""
LINE = 'line="+79990000001"'
CALLS = f'astergram_calls_total{{{LINE}, direction="in", status="%s"}}'
REFUSED = f'astergram_calls_refused_total{{{LINE}, direction="in", reason="%s"}}'
HOURS = 3 * 60
"""Minutes of data that an alert is tried with."""
READY = {"astergram_ready": 1, "astergram_draining": 0}
# What makes each alert fire: series, and their values from minute to minute; what is not named is as it should be.
FIRES: dict[str, dict[str, float | str]] = {
    "AstergramDown": {'up{job="astergram"}': 0},
    "AstergramRestartsAgainAndAgain": {'process_start_time_seconds{job="astergram"}': "0+1x180"},
    "AstergramNotReady": {**READY, "astergram_ready": 0},
    "AstergramDrainedForLong": {**READY, "astergram_ready": 0, "astergram_draining": 1},
    "AstergramAsteriskAway": {'astergram_asterisk_connected{over="ari"}': 0},
    "AstergramNatsAway": {
        'astergram_cluster_connected{instance="a"}': 0,
        'astergram_cluster_machine_up{instance="a", machine="a"}': 1,
        'astergram_cluster_machine_up{instance="a", machine="b"}': 0,
    },
    "AstergramMachineSilent": {
        'astergram_cluster_machine_up{instance="a", machine="a"}': 1,
        'astergram_cluster_machine_up{instance="a", machine="b"}': 0,
        'astergram_cluster_machine_up{instance="c", machine="b"}': 0,
        'astergram_cluster_connected{instance="a"}': 1,
        'astergram_cluster_connected{instance="c"}': 1,
    },
    "AstergramLightRed": {f'astergram_line_status{{{LINE}, light="account", colour="red"}}': 1},
    "AstergramLightOrange": {f'astergram_line_status{{{LINE}, light="bot", colour="orange"}}': 1},
    "AstergramLinePaused": {
        f'astergram_line_pause_remaining_seconds{{{LINE}, request="phone.requestCall", reason="FLOOD_WAIT"}}': 90
    },
    "AstergramTelegramConnectsOften": {f"astergram_telegram_connects_total{{{LINE}}}": "0+1x180"},
    "AstergramManyCallsFail": {CALLS % "ANSWER": "0+1x180", CALLS % "ERROR": "0+1x180"},
    "AstergramCallsRefused": {REFUSED % "CpuShort": "0+1x180"},
    "AstergramMediaConnectsLate": {
        'astergram_call_media_connect_seconds_bucket{direction="in", le="2.0"}': 0,
        'astergram_call_media_connect_seconds_bucket{direction="in", le="5.0"}': "0+1x180",
        'astergram_call_media_connect_seconds_bucket{direction="in", le="+Inf"}': "0+1x180",
    },
    "AstergramPacketsLost": {
        "astergram_audio_packets_total": "0+3000x180",
        "astergram_audio_packets_lost_total": "0+100x180",
    },
    "AstergramAudioLate": {"astergram_audio_late_ratio": 0.01},
    "AstergramNoRoom": {**READY, "astergram_calls_room": 0},
    "AstergramEventsWait": {'astergram_events_waiting{to="ami"}': 2000},
    "AstergramEventsLost": {
        'astergram_events_lost_total{to="ami"}': "0+1x180",
        'astergram_events_given_up_total{to="ami"}': 0,
    },
    "AstergramDatabaseTrouble": {"astergram_store_trouble": 1},
    "AstergramWritesLost": {"astergram_store_writes_lost_total": "0+1x180"},
    "AstergramUnexpectedErrors": {"astergram_unexpected_errors_total": "0+1x180"},
    "AstergramClockWrong": {"astergram_telegram_clock_offset_seconds": -30},
}
WELL: dict[str, float | str] = {
    **READY,
    'up{job="astergram"}': 1,
    'process_start_time_seconds{job="astergram"}': 1,
    'astergram_asterisk_connected{over="ari"}': 1,
    'astergram_cluster_connected{instance="a"}': 1,
    'astergram_cluster_connected{instance="b"}': 1,
    'astergram_cluster_machine_up{instance="a", machine="a"}': 1,
    'astergram_cluster_machine_up{instance="a", machine="b"}': 0,  # which does not reach NATS, and says so itself
    'astergram_cluster_machine_up{instance="b", machine="b"}': 1,
    f'astergram_line_status{{{LINE}, light="account", colour="green"}}': 1,
    f'astergram_line_status{{{LINE}, light="account", colour="red"}}': 0,
    f'astergram_line_status{{{LINE}, light="bot", colour="grey"}}': 1,
    f"astergram_telegram_connects_total{{{LINE}}}": 3,
    CALLS % "ANSWER": "0+1x180",
    CALLS % "BUSY": "0+1x180",
    CALLS % "ERROR": 2,
    REFUSED % "LineBusy": "0+1x180",
    "astergram_calls_room": 5,
    "astergram_audio_packets_total": "0+3000x180",
    "astergram_audio_packets_lost_total": "0+1x180",
    "astergram_audio_late_ratio": 0.001,
    'astergram_events_waiting{to="ami"}': 3,
    "astergram_store_trouble": 0,
    "astergram_unexpected_errors_total": 1,
    "astergram_telegram_clock_offset_seconds": 0.4,
}


def series(values: dict[str, float | str]) -> list[dict[str, str]]:
    return [
        {"series": name, "values": str(value) if isinstance(value, str) else f"{value}x{HOURS}"}
        for name, value in values.items()
    ]


def tried(firing: dict[str, float | str], query: str, value: float) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": series(firing),
        "promql_expr_test": [
            {"expr": query, "eval_time": "170m", "exp_samples": [{"labels": "{}", "value": value}]},
        ],
    }


async def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    status, said = await promtool("check", "rules", ALERTS)
    assert status == 0, said
    assert f"SUCCESS: {len(FIRES)} rules found" in said, "each is tried below"


async def test_each_alert_fires_for_its_reason_and_is_quiet_else(tmp_path: Path) -> None:
    firing = 'count(ALERTS{alertstate="firing"%s}) or vector(0)'
    tests = [tried(values, firing % f', alertname="{name}"', 1) for name, values in FIRES.items()]
    tests.append(tried(WELL, firing % "", 0))
    file = tmp_path / "alerts.test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    status, said = await promtool("test", "rules", file)
    assert status == 0, said


async def test_promtool_has_nothing_to_say_about_the_metrics(tmp_path: Path) -> None:
    async with everything(tmp_path) as program:
        text, _ = await program.metrics.exposition()
    assert await promtool("check", "metrics", given=text) == (0, "")


@pytest.fixture
async def scraping(tmp_path: Path) -> AsyncIterator[PrivatePrometheus]:
    """Prometheus with the rules, after a few scrapes of a program in which each metric has a value."""
    (tmp_path / "page").mkdir()
    async with (
        everything(tmp_path) as program,
        site(tmp_path / "page", {"metrics_allow": ["127.0.0.1"]}, metrics=program.metrics) as page,
        browser(page) as opened,
    ):
        assert (await opened.get("/metrics")).status == 200
        job = {"job_name": "astergram", "static_configs": [{"targets": [page.url.removeprefix("http://")]}]}
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "200ms"}
        configuration = {"global": every, "rule_files": [str(ALERTS)], "scrape_configs": [job]}
        async with prometheus(tmp_path, configuration) as server, asyncio.timeout(SCRAPED_S):
            await server.until("count_over_time(astergram_calls_total[1m]) >= 3")  # not up: that counts failures, too
            yield server


def queries(panel: dict[str, Any]) -> Iterator[str]:
    yield from (target["expr"] for target in panel.get("targets", ()))


def filled(query: str) -> str:
    """As Grafana sends it, with "All" chosen."""
    for name, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$line", ".*"), ("$job", "astergram")):
        query = query.replace(name, value)
    assert "$" not in query
    return query


async def test_each_query_finds_something_in_the_real_output(scraping: PrivatePrometheus) -> None:
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    found = {
        (panel["title"], query): await scraping.query(filled(query))
        for panel in dashboard["panels"]
        for query in queries(panel)
    }
    assert len(found) > 30
    assert [which for which, result in found.items() if not result] == []
    for variable in dashboard["templating"]["list"][1:]:
        metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        assert await scraping.ask(f"/label/{label}/values", **{"match[]": filled(metric)}), variable["name"]
    for annotation in dashboard["annotations"]["list"]:
        await scraping.query(filled(annotation["expr"]))  # nothing was started in between, and it is a query


async def test_prometheus_evaluates_each_rule(scraping: PrivatePrometheus) -> None:
    async with asyncio.timeout(SCRAPED_S):
        while True:
            (group,) = (await scraping.ask("/rules"))["groups"]
            if all(rule["health"] != "unknown" for rule in group["rules"]):
                break
            await asyncio.sleep(RETRY_S)
    assert {rule["name"] for rule in group["rules"]} == set(FIRES)
    assert {rule["name"]: rule["lastError"] for rule in group["rules"] if rule.get("lastError")} == {}
    fired = {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}
    assert fired == set(), "all is well, but for a pause that is short"
