"""The history on the page: search, filters, paging, export; one call opened; charts."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pytest

from ari_app.api_client import program as api_of
from ari_app.calls import outcome
from ari_app.calls.events import DigitsDialled, Note
from ari_app.calls.outcome import Direction
from ari_app.calls.samples import Sample
from ari_app.cli import calls as cli_calls
from ari_app.cli.parser import parse
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.call_details import ToldCall
from ari_app.reports.history import History
from ari_app.reports.samples import as_columns
from ari_app.reports.whole_calls import WholeCalls
from ari_app.store.calls import Details
from ari_app.store.shared_calls import SharedCall, SharedCallRepository, StreamProgress
from ari_app.store.store import open_store
from ari_app.telegram.phone import Discarded, DiscardReason
from tests.integration.web_calls import ANNA, LINE, MALLORY, OTHER, SCRIPT, a_call, calls_site, put, talking
from tests.integration.web_helpers import Browser, Site, program, signed_in

ROW = re.compile(r'<td class="who"><a href="/calls/([0-9a-f]{12})">')
LINK = re.compile(r'rel="(prev|next)" href="([^"]+)"')
DAY_S = 86400.0
UNANSWERED = {"answered": False, "status": "BUSY", "to_answer_s": None, "talked_s": 0.0}


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with calls_site(tmp_path) as served:
        yield served


@pytest.fixture
async def admin(page: Site) -> AsyncIterator[Browser]:
    async with signed_in(page) as browser:
        yield browser


async def shown(admin: Browser, address: str) -> list[int]:
    """The numbers of the calls on a page."""
    answer = await admin.get(address)
    assert answer.status == 200, answer.text
    return [int(id, 16) for id in ROW.findall(answer.text)]


def local_day(at: float) -> date:
    return datetime.fromtimestamp(at).date()


# --- the history


async def test_no_calls_yet(admin: Browser) -> None:
    assert "There are no calls yet." in (await admin.get("/calls")).text
    assert "No call fits." in (await admin.get("/calls?q=anna")).text


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/calls", [5, 4, 3, 2, 1]),
        ("/calls?q=&line=&direction=&result=&from=&to=", [5, 4, 3, 2, 1]),
        ("/calls?q=%D1%91%D0%9B%D0%9A", [3]),  # ёЛК
        (f"/calls?q={quote('<script>')}", [4]),
        (f"/calls?line={quote(OTHER)}", [2]),
        ("/calls?direction=out", [5]),
        ("/calls?result=answered", [5, 4, 3, 2]),
        ("/calls?result=unanswered", [1]),
        ("/calls?result=BUSY", [1]),
        ("/calls?result=ERROR", []),
        ("/calls?result=answered&direction=in&q=7999", [3]),
    ],
)
async def test_calls_are_found(page: Site, admin: Browser, address: str, found: list[int]) -> None:
    now = page.clock.now
    await put(
        page,
        a_call(1, now + 1, **UNANSWERED),
        a_call(2, now + 2, line=OTHER),
        a_call(3, now + 3, name=ANNA.name, phone=ANNA.phone),
        a_call(4, now + 4, name=SCRIPT),
        a_call(5, now + 5, direction="out"),
    )
    assert await shown(admin, address) == found


async def test_days_are_whole_and_local(page: Site, admin: Browser) -> None:
    now = page.clock.now
    await put(page, *(a_call(days, now - days * DAY_S) for days in range(4)))
    first, last = local_day(now - 2 * DAY_S), local_day(now - DAY_S)
    assert await shown(admin, f"/calls?from={first}&to={last}") == [1, 2]
    assert await shown(admin, f"/calls?from={first}") == [0, 1, 2]
    assert await shown(admin, f"/calls?to={first - timedelta(days=1)}") == [3]


@pytest.mark.parametrize(
    "query",
    [
        "direction=up", "result=maybe", "from=today", "from=0001-01-01", "to=9999-12-31", "from=2027-02-30", "page=0",
        "page=-1", "page=one", "page=99999999999999999999", "page=²",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_valid_is_refused(admin: Browser, query: str) -> None:
    answer = await admin.get(f"/calls?{query}")
    assert (answer.status, "Unexpected error" in answer.text) == (422, False)
    assert (await admin.get(f"/calls.csv?{query}")).status == 422


async def test_pages_keep_the_filters(page: Site, admin: Browser) -> None:
    await put(page, *(a_call(number, page.clock.now + number, name="Anna & Co") for number in range(120)))
    await put(page, a_call(200, page.clock.now, name="Boris"))
    first = await admin.get("/calls?q=anna+%26&direction=in")
    assert "120 calls" in first.text
    assert "Page 1 of 3" in first.text
    links = dict(LINK.findall(first.text))
    assert links == {"next": "/calls?q=anna+%26&amp;direction=in&amp;page=2"}
    second = await admin.get(links["next"].replace("&amp;", "&"))
    assert [int(id, 16) for id in ROW.findall(second.text)] == [*range(69, 19, -1)]
    assert 'name="q" type="search" value="anna &amp;"' in second.text
    assert set(dict(LINK.findall(second.text))) == {"prev", "next"}
    assert await shown(admin, "/calls?q=anna&page=3") == [*range(19, -1, -1)]
    assert "There is no such page." in (await admin.get("/calls?q=anna&page=4")).text


async def test_only_the_first_page_goes_on_by_itself(page: Site, admin: Browser) -> None:
    await put(page, *(a_call(number, page.clock.now + number) for number in range(60)))
    assert 'data-live="call"' in (await admin.get("/calls")).text
    assert 'data-live="call"' not in (await admin.get("/calls?page=2")).text


async def test_htmx_gets_the_calls_alone_and_a_clean_address(page: Site, admin: Browser) -> None:
    await put(page, a_call(1, page.clock.now))
    part = await admin.get("/calls?q=anna&line=&direction=in&result=", headers={"HX-Request": "true"})
    assert part.text.startswith('<section id="found"')
    assert part.headers["HX-Push-Url"] == "/calls?q=anna&direction=in"
    refreshed = await admin.get("/calls?q=anna&live=1", headers={"HX-Request": "true"})
    assert "<section" not in refreshed.text, "an element that is replaced forgets which news it has still to follow"
    assert "HX-Push-Url" not in refreshed.headers, "what is typed meanwhile stays in the address, too"


async def test_the_export_has_what_was_chosen(page: Site, admin: Browser) -> None:
    now = page.clock.now
    await put(page, *(a_call(number, now + number, name=f"Anna {number}") for number in range(3)))
    await put(page, a_call(9, now, name="=cmd()", line=OTHER, **UNANSWERED))
    html = (await admin.get("/calls?result=answered&page=1")).text
    assert 'href="/calls.csv?result=answered"' in html
    answer = await admin.get("/calls.csv?result=answered")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["person"] for row in rows] == ["Anna 2", "Anna 1", "Anna 0"]
    (other,) = csv.DictReader(io.StringIO((await admin.get(f"/calls.csv?line={quote(OTHER)}")).text))
    assert other["person"] == "'=cmd()"


async def test_names_are_escaped_everywhere(page: Site, admin: Browser) -> None:
    evil = {"name": SCRIPT, "peer": SCRIPT, "pbx_party": SCRIPT, "username": SCRIPT, "reason": SCRIPT, "line": SCRIPT}
    await put(page, a_call(1, page.clock.now, **evil))
    addresses = ["/calls", f"/calls/{1:012x}", f"/calls?q={quote(SCRIPT)}&line={quote(SCRIPT)}", "/charts?period=today"]
    async with talking(page.services.registry, MALLORY) as call:
        call.add_event(Note("telegram", SCRIPT))
        for address in (*addresses, f"/calls/{call.id}"):
            html = (await admin.get(address)).text
            assert SCRIPT not in html, address
            assert "&lt;script&gt;alert(1)" in html, address
            assert "&amp;lt;" not in html, address
        call.end(outcome.shut_down(talking=True))


# --- one call


async def test_one_call(page: Site, admin: Browser) -> None:
    async with talking(page.services.registry) as call:
        call.end(outcome.telegram_ended(Discarded(DiscardReason.HANGUP, 5), Direction.IN, talking=True))
    html = (await admin.get(f"/calls/{call.id}")).text
    assert "Анна Ёлкина" in html
    assert "Ended on Telegram: hung up." in html
    assert "/hangup" not in html, "a call that is over can't be ended"
    flow = re.findall(r'<li class="event (\w+) (\w*)">', html)
    assert flow == [
        ("telegram", "from"), ("telegram", "to"), ("telegram", "to"), ("asterisk", "to"), ("asterisk", "from"),
        ("asterisk", "to"), ("telegram", "to"), ("astergram", ""), ("astergram", ""), ("astergram", ""),
    ]  # fmt: skip
    assert html.count('<svg class="chart-drawing"') == 3
    assert "data-live" not in html
    assert (await admin.get("/calls/nothing")).status == 404


async def test_a_live_call_goes_on(page: Site, admin: Browser) -> None:
    async with talking(page.services.registry) as call:
        html = (await admin.get(f"/calls/{call.id}")).text
        assert f'action="/calls/{call.id}/hangup"' in html
        assert f'data-key="{call.id}" hx-get="/calls/{call.id}/now" ' in html
        assert html.count('data-live="call"') == 1
        assert f'<a href="/people/{ANNA.id}">' in html
        call.add_event(DigitsDialled(1))
        assert "A digit was dialled" in (await admin.get(f"/calls/{call.id}/now")).text
        assert "<svg" in (await admin.get(f"/calls/{call.id}/audio")).text
        call.end(outcome.shut_down(talking=True))
    assert "Astergram was stopped." in (await admin.get(f"/calls/{call.id}/now")).text


async def test_a_live_row_shows_how_long_they_have_talked(page: Site, admin: Browser) -> None:
    """In the history, and in what is exported of it: it was kept when they began to talk."""
    async with talking(page.services.registry) as call, program(page) as cli:
        await page.services.store.written()
        call._talking_since -= 75.0
        html = " ".join((await admin.get("/calls")).text.split())
        (since,) = re.findall(r'talked"><span class="running number" data-since="([0-9.]+)">1:', html)
        assert 75.0 <= page.clock.now - float(since) < 120.0
        (row,) = csv.DictReader(io.StringIO((await admin.get("/calls.csv")).text.removeprefix("\ufeff")))
        assert 75.0 <= float(row["seconds_talked"]) < 120.0
        (found,) = (await (await cli.get("/api/calls")).json())["calls"]
        assert 75.0 <= found["talked_s"] < 120.0
        call.end(outcome.shut_down(talking=True))
    assert "data-since" not in (await admin.get("/calls")).text


async def test_a_call_without_audio_says_so(page: Site, admin: Browser) -> None:
    await put(page, a_call(1, page.clock.now, **UNANSWERED))
    html = (await admin.get(f"/calls/{1:012x}")).text
    assert "The audio was not measured" in html
    assert "No events are recorded." in html


async def test_a_call_is_told_in_russian(page: Site) -> None:
    async with signed_in(page, Accept_Language="ru") as admin:
        async with talking(page.services.registry) as call:
            call.end(outcome.telegram_ended(Discarded(DiscardReason.HANGUP, 5), Direction.IN, talking=True))
        html = (await admin.get(f"/calls/{call.id}")).text
        assert "Завершён в Telegram: абонент завершил вызов." in html
        assert "Вызов на 101@from-telegram" in html
        assert "1 звонок<" in (await admin.get("/calls")).text.replace(" · ", "<")


# --- charts


async def test_charts_of_a_period_and_a_line(page: Site, admin: Browser) -> None:
    now = page.clock.now
    await put(page, a_call(1, now), a_call(2, now - 3 * DAY_S, **UNANSWERED), a_call(3, now - 20 * DAY_S, line=OTHER))
    for query, calls in (("period=today", 1), ("", 2), ("period=30d", 3), (f"period=30d&line={quote(OTHER)}", 1)):
        html = " ".join((await admin.get(f"/charts?{query}")).text.split())
        assert f"<dt>Calls</dt><dd>{calls}</dd>" in html
        assert html.count('<svg class="chart-drawing"') == html.count("<table>") > 0
    assert (await admin.get("/charts?period=year")).status == 422


@pytest.mark.parametrize(
    ("query", "calls", "title", "columns"),
    [
        ("period=90d", 2, "Calls per day", 90), ("period=365d", 3, "Calls per week", 53),
        ("period=own&from=2026-01-01&to=2026-03-31", 1, "Calls per day", 90),
        ("period=own&from=2025-12-11&to=2027-01-15", 4, "Calls per week", 58),
        ("from=2024-01-01&to=2027-01-15", 4, "Calls per month", 37),
        ("period=own&from=2027-01-15&to=2027-01-15", 1, "Calls per hour", 24),
        ("period=own&to=2027-01-14", 0, "Calls per day", 0), ("period=own", 1, "Calls per day", 30),
        ("from=2027-01-01&to=", 1, "Calls per day", 15),
    ],
)  # fmt: skip
async def test_charts_of_any_days(page: Site, admin: Browser, query: str, calls: int, title: str, columns: int) -> None:
    """Now is 15 January 2027; calls are kept for 400 days."""
    now = page.clock.now
    await put(page, *(a_call(ago, now - ago * DAY_S) for ago in (0, 60, 300, 400)))
    answer = await admin.get(f"/charts?{query}")
    html = " ".join(answer.text.split())
    assert answer.status == 200
    assert f"<dt>Calls</dt><dd>{calls}</dd>" in html
    assert f'<figcaption class="chart-title">{title}</figcaption>' in html
    first = html.partition("chart-title")[2].partition("</figure>")[0]
    assert first.count('<th scope="row">') == columns, "also those without calls"


async def test_days_of_ones_own_can_be_chosen_from_any_period(admin: Browser) -> None:
    usual = (await admin.get("/charts")).text
    assert '<option value="own">Days of your own</option>' in usual
    assert 'name="from"' not in usual
    own = (await admin.get("/charts?period=own")).text
    assert 'name="from" type="date" value="2026-12-17"' in own
    assert 'name="to" type="date" value="2027-01-15"' in own
    assert "<button>Show</button>" in own


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2027-01-15&to=2027-01-14", "The last day is before the first one."),
        ("from=1999-01-15&to=2027-01-14", "Choose at most 3660 days."),
    ],
)
async def test_days_that_are_none_are_told_beside_the_field(admin: Browser, query: str, said: str) -> None:
    answer = await admin.get(f"/charts?{query}")
    assert answer.status == 422
    assert f'<p class="error">{said}</p>' in answer.text
    assert f'value="{query[5:15]}"' in answer.text
    assert "chart-title" not in answer.text
    for wrong in ("from=0001-01-01", "from=2027-02-30", "to=9999-12-31"):
        assert (await admin.get(f"/charts?period=own&{wrong}")).status == 422


async def test_charts_name_lines_and_write_as_the_reader_does(page: Site) -> None:
    await put(page, a_call(1, page.clock.now), a_call(2, page.clock.now, line=OTHER))
    async with signed_in(page, Accept_Language="en-GB") as british:
        html = (await british.get("/charts?period=30d")).text
        assert ">15 Jan</text>" in html
        assert f">{LINE}</text>" in html
        assert f">{OTHER}</text>" in html
    async with signed_in(page, Accept_Language="en-US") as american:
        assert ">Jan 15</text>" in (await american.get("/charts?period=30d")).text
    async with signed_in(page, Accept_Language="ru") as russian:
        assert ">15 янв.</text>" in (await russian.get("/charts?period=30d")).text


async def test_charts_without_calls(admin: Browser) -> None:
    html = (await admin.get("/charts")).text
    assert "There are no calls in this period." in html
    assert '<svg class="chart-drawing"' not in html


# --- the calls of other machines of a cluster


class Elsewhere:
    """What the other machine tells of its calls; it is away without any."""

    def __init__(self) -> None:
        self.told: dict[str, ToldCall] = {}

    async def of(self, machine: str, call_id: str) -> ToldCall | None:
        if not self.told:
            raise EngineAway("away")
        return self.told.get(call_id)

    async def anywhere(self, call_id: str) -> tuple[str, ToldCall] | None:
        return ("pbx-2", self.told[call_id]) if call_id in self.told else None


@asynccontextmanager
async def in_a_cluster(folder: Path) -> AsyncIterator[tuple[Site, Elsewhere]]:
    cluster, elsewhere = SimpleNamespace(machine="pbx-1", machines=list, trouble=None), Elsewhere()
    async with open_store(folder / "whole.db") as store:
        whole = WholeCalls(History(store), cast(Any, elsewhere))
        async with calls_site(folder, cluster=cluster, store=store, history=whole.history, whole_calls=whole) as page:
            yield page, elsewhere


DETAILS = Details(
    json.dumps([{"at_s": 0.25, "type": "CallOffered", "caller": "Boris"}]),
    json.dumps({"rings_s": 0.5, "pbx_answered_s": 4.5, "accepted_s": 4.75, "talks_s": 5.0}),
    json.dumps(as_columns([Sample(6.0, 2.5, 1, 20, -20.0, -25.0)])),
)


async def test_a_call_of_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with in_a_cluster(tmp_path) as (page, elsewhere), signed_in(page) as admin, program(page) as cli:
        theirs = a_call(2, page.clock.now + 2, name="Boris", machine="pbx-2")
        shared = SharedCallRepository(page.services.store)
        await shared.receive("calls", [SharedCall(theirs, 1)], StreamProgress("1"))
        await put(page, a_call(1, page.clock.now + 1))
        listed = (await admin.get("/calls")).text
        assert re.findall(r'<td class="machine">([^<]*)</td>', listed) == ["pbx-2", "pbx-1"]
        rows = list(csv.DictReader(io.StringIO((await admin.get("/calls.csv")).text)))
        assert [row["machine"] for row in rows] == ["pbx-2", ""]
        found = await (await cli.get("/api/calls?text=boris")).json()
        assert [each["machine"] for each in found["calls"]] == ["pbx-2"]

        async def seen() -> tuple[str, Any, str]:
            """On the page, by the API, and by the command line."""
            its_socket: Any = SimpleNamespace(socket=page.socket)
            async with api_of(its_socket) as api:
                await cli_calls.run(parse(["calls", "show", theirs.id]), api)
            whole = await (await cli.get(f"/api/calls/{theirs.id}")).json()
            return (await admin.get(f"/calls/{theirs.id}")).text, whole, capsys.readouterr().out

        html, whole, printed = await seen()
        for text in (html, whole["missing"], printed):
            assert "are on machine pbx-2, which does not answer" in text
        assert (whole["events"], whole["to_answer_s"], whole["call"]["talked_s"]) == ([], 4.0, 50.0)
        assert "The audio was not measured" not in html

        elsewhere.told[theirs.id] = ToldCall(replace(theirs, machine=""), "ended", DETAILS)
        html, whole, printed = await seen()
        assert '<b class="side">Telegram:</b> Boris calls' in html
        assert '<svg class="chart-drawing"' in html
        assert "0.250 s  telegram  Boris calls" in printed
        assert (whole["missing"], whole["events"][0]["text"]) == ("", "Boris calls")
        assert (whole["to_answer_s"], whole["to_audio_s"], whole["audio"][0]["jitter_ms"]) == (4.0, 0.5, 2.5)


async def test_a_call_that_goes_on_elsewhere(tmp_path: Path) -> None:
    async with in_a_cluster(tmp_path) as (page, elsewhere), signed_in(page) as admin, program(page) as cli:
        over = a_call(2, page.clock.now, name="<i>Boris</i>")
        live = replace(over, status=None, cause=None, reason="", ended_at=None)
        path = f"/calls/{over.id}"
        assert (await admin.get(path)).status == 404
        elsewhere.told[over.id] = ToldCall(live, "talking", DETAILS)
        html = (await admin.get(path)).text
        assert f'hx-get="{path}/now" hx-trigger="every 5s, again"' in html
        assert f'hx-get="{path}/audio" hx-trigger="every 5s, again"' in html
        assert 'name="machine" value="pbx-2"' in html
        assert f'action="{path}/hangup"' not in html
        assert "<i>" not in html
        whole = await (await cli.get(f"/api{path}")).json()
        assert (whole["state"], whole["call"]["machine"]) == ("talking", "pbx-2")

        shown_anew = {"X-Live": "1", "HX-Request": "true"}
        assert (await admin.get(f"{path}/now", headers=shown_anew)).status == 200
        elsewhere.told[over.id] = ToldCall(over, "ended", DETAILS)
        for part in ("now", "audio"):
            assert (await admin.get(f"{path}/{part}", headers=shown_anew)).status == 286, "htmx asks no more"
        elsewhere.told.clear()
        gone = await admin.get(f"{path}/now", headers=shown_anew)
        assert (gone.status, "No machine that answers has this call now." in gone.text) == (286, True)


async def test_one_machine_has_no_column_for_it(page: Site, admin: Browser) -> None:
    await put(page, a_call(1, page.clock.now))
    assert "Machine" not in (await admin.get("/calls")).text
