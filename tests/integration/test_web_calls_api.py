"""The calls and their figures by the JSON API."""

import asyncio
import csv
import io
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app import api_client
from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import EndedByAdministrator
from ari_app.cli import calls as cli_calls
from tests.integration.web_calls import LINE, OTHER, a_call, calls_site, measured, put, talking
from tests.integration.web_helpers import Browser, Site, held_to_its_document, program, signed_in

DAY_S = 86400.0


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with calls_site(tmp_path) as served:
        yield served


@pytest.fixture
async def cli(page: Site) -> AsyncIterator[Browser]:
    async with program(page) as opened:
        yield opened


async def got(cli: Browser, path: str, **query: Any) -> Any:
    answer = await cli.get(path, params=query)
    assert answer.status == 200, answer.text
    return await answer.json()


async def test_live_calls_are_told_and_ended(page: Site, cli: Browser) -> None:
    assert await got(cli, "/api/calls/live") == []
    async with talking(page.services.registry) as call:
        measured(page.services.registry, call, 6)
        (live,) = await got(cli, "/api/calls/live")
        assert (live["state"], live["call"]["id"], live["call"]["name"]) == ("talking", call.id, "Анна Ёлкина")
        assert (live["call"]["status"], live["from_telegram_dbfs"]) == (None, -25.0)
        assert (await cli.ask("POST", f"/api/calls/{call.id}/hangup")).status == 204
        async with asyncio.timeout(5):
            await call.ended()
    assert (await cli.ask("POST", f"/api/calls/{call.id}/hangup")).status == 404
    assert call.ending is not None
    assert call.ending.reason == EndedByAdministrator()


async def test_who_may_read_only_ends_no_call(page: Site, cli: Browser) -> None:
    body = {"name": "reader", "right": "read"}
    made = await (await cli.ask("POST", "/api/access/tokens", json=body)).json()
    async with signed_in(page), talking(page.services.registry) as call, program(page, made["token"]) as reader:
        assert (await reader.get("/api/calls/live")).status == 200
        assert (await reader.ask("POST", f"/api/calls/{call.id}/hangup")).status == 403
        assert call.ending is None
        call.end(outcome.shut_down(talking=True))


async def test_calls_are_found_by_pages(page: Site, cli: Browser) -> None:
    now = page.clock.now
    await put(page, *(a_call(number, now + number) for number in range(10)))
    await put(page, a_call(20, now + 20, line=OTHER, direction="out", answered=False, status="BUSY"))
    whole = await got(cli, "/api/calls", limit=4, offset=2)
    assert (whole["total"], [int(each["id"], 16) for each in whole["calls"]]) == (11, [8, 7, 6, 5])
    for query in (
        {"line": OTHER},
        {"direction": "out"},
        {"status": "BUSY"},
        {"answered": "false"},
        {"since": now + 15},
    ):
        assert [each["status"] for each in (await got(cli, "/api/calls", **query))["calls"]] == ["BUSY"], query
    assert (await got(cli, "/api/calls", text="ANN", until=now + 3))["total"] == 3


async def test_one_call_is_told_whole(page: Site, cli: Browser) -> None:
    async with talking(page.services.registry) as call:
        call.end(outcome.by_administrator(Direction.IN, talking=True))
    told = await got(cli, f"/api/calls/{call.id}")
    assert (told["state"], told["ending"], told["call"]["cause"]) == ("ended", "Ended by the administrator.", 16)
    assert told["events"][0] == {
        "at_s": told["events"][0]["at_s"], "side": "telegram", "way": "from", "text": "+79990000002 calls",
        "type": "CallOffered", "fields": {"caller": "+79990000002"},
    }  # fmt: skip
    assert len(told["audio"]) == 5
    assert told["to_answer_s"] is not None
    answer = await cli.get(f"/api/calls/{call.id}", headers={"Accept-Language": "ru"})
    assert (await answer.json())["ending"] == "Завершён администратором."
    assert (await cli.get(f"/api/calls/{0:012x}")).status == 404


async def test_the_export_is_what_was_asked_for(page: Site, cli: Browser) -> None:
    await put(page, *(a_call(number, page.clock.now + number, line=OTHER if number else LINE) for number in range(3)))
    answer = await cli.get("/api/calls.csv", params={"line": OTHER})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [int(row["id"], 16) for row in rows] == [2, 1]


async def test_page_api_and_command_line_export_the_same_harmless_cells(page: Site, tmp_path: Path) -> None:
    await put(page, a_call(1, page.clock.now, name="a;=1+1;b", username="＝1+1"))
    settings = SimpleNamespace(socket=page.socket)
    options = Namespace(action="export", find="", file=tmp_path / "calls.csv")
    async with api_client.program(cast(Any, settings)) as api:
        await cli_calls.run(options, api)
    async with signed_in(page) as admin, program(page) as cli:
        exports = [(await admin.get("/calls.csv")).text, (await cli.get("/api/calls.csv")).text]
    exports.append((await asyncio.to_thread(options.file.read_bytes)).decode())
    assert exports[0] == exports[1] == exports[2]
    assert ""","a;'=1+1;b",""" in exports[0]
    assert ""","'＝1+1",""" in exports[0]


async def test_figures(page: Site, cli: Browser) -> None:
    now = page.clock.now
    await put(page, a_call(1, now), a_call(2, now - 3 * DAY_S, line=OTHER, answered=False, status="BUSY"))
    today = await got(cli, "/api/figures/today")
    assert (today["incoming"], today["answered"], today["missed"], today["to_answer_s"]) == (1, 1, 0, 4.0)
    week = await got(cli, "/api/figures", period="7d")
    assert sum(each["calls"]["answered"] + each["calls"]["unanswered"] for each in week["hours"]) == 2
    assert [each["line"] for each in week["lines"]] == [LINE, OTHER]
    assert week["to_answer"]["percentiles"] == {"50": 4.0, "90": 4.0, "95": 4.0}
    assert len((await got(cli, "/api/figures", period="today", line=OTHER))["lines"]) == 0
    own = await got(cli, "/api/figures", period="own", first="2026-12-31", last="2027-01-15")
    assert [(each["day"], each["calls"]["answered"]) for each in own["days"]][-1] == ("2027-01-15", 1)
    assert (len(own["days"]), len(own["hours"])) == (16, 16 * 24)
    year = await got(cli, "/api/figures", period="365d")
    assert (len(year["days"]), len(year["hours"])) == (365, 0)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/calls", {"limit": 501}), ("/api/calls", {"limit": 0}), ("/api/calls", {"offset": -1}),
        ("/api/calls", {"since": "nan"}), ("/api/calls", {"until": "inf"}), ("/api/calls", {"answered": "1"}),
        ("/api/calls", {"text": "a\0b"}), ("/api/calls", {"text": "x" * 201}), ("/api/calls", {"line": "101"}),
        ("/api/calls", {"status": "ANSWERED"}), ("/api/calls.csv", {"direction": "up"}), ("/api/calls/xyz", {}),
        ("/api/figures", {"period": "year"}), ("/api/figures", {"period": "own", "first": "2027-13-01"}),
        ("/api/figures", {"period": "own", "first": "2027-01-02", "last": "2027-01-01"}),
        ("/api/figures", {"period": "own", "first": "1980-01-02", "last": "2027-01-01"}),
        ("/api/figures", {"period": "own", "last": "9999-12-31"}),
    ],
)  # fmt: skip
async def test_what_is_not_valid_is_refused(cli: Browser, path: str, query: dict[str, Any]) -> None:
    assert (await cli.get(path, params=query)).status == 422


@pytest.mark.timeout(180)
async def test_schemathesis_finds_no_answer_outside_of_the_document(page: Site, tmp_path: Path) -> None:
    await put(page, *(a_call(number, page.clock.now + number) for number in range(3)))
    await held_to_its_document(page, tmp_path, "^/api/(calls|connect|doctor)", "--exclude-operation-id", "place_call")
    # no schema says which of two days is the later one, nor which days there are
    await held_to_its_document(page, tmp_path, "^/api/figures", "--exclude-checks", "positive_data_acceptance")
