"""The installation's time zone, and how a reader's browser writes times."""

import csv
import io
import re
from argparse import Namespace
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from ari_app import api_client
from ari_app.cli import calls as cli_calls
from tests.integration.web_calls import a_call, calls_site, put
from tests.integration.web_helpers import Browser, Clock, Site, program, signed_in

KIRITIMATI = "Pacific/Kiritimati"  # UTC+14: wherever the tests run, a day there is another one for most of the time
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=ZoneInfo(KIRITIMATI)).timestamp()
HOUR_S = 3600.0


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with calls_site(tmp_path, clock=Clock(NOON)) as served:
        yield served


async def set_zone(page: Site, zone: str | None) -> None:
    async with program(page) as cli:
        answer = await cli.ask("PATCH", "/api/installation", json={"timezone": zone})
        assert answer.status == 200, answer.text


def text(html: str) -> str:
    return " ".join(html.split()).replace("\u202f", " ")


async def test_it_is_set_on_the_page_and_shown_on_each(page: Site) -> None:
    async with signed_in(page) as admin:
        assert "Times: " in (await admin.get("/calls")).text
        done = await admin.post("/settings/installation", {"timezone": "pacific/kiritimati"})
        assert (done.status, done.path) == (200, "/settings")
        assert f'name="timezone" type="text" value="{KIRITIMATI}"' in done.text
        for address in ("/", "/calls", "/charts", "/settings"):
            assert f"Times: {KIRITIMATI} (UTC+14:00)" in (await admin.get(address)).text
        refused = await admin.post("/settings/installation", {"timezone": "Atlantis"})
        assert refused.status == 422
        assert "&#39;Atlantis&#39; is no time zone, such as Europe/Moscow." in refused.text
        assert 'name="timezone" type="text" value="Atlantis"' in refused.text
        assert page.services.installation.settings.timezone == KIRITIMATI
        await admin.post("/settings/installation", {"timezone": ""})
        assert page.services.installation.settings.timezone == ""


async def test_a_wrong_one_is_told_in_russian(page: Site) -> None:
    async with signed_in(page, Accept_Language="ru") as admin:
        refused = await admin.post("/settings/installation", {"timezone": "Atlantis"})
        assert "&#39;Atlantis&#39; — не часовой пояс" in refused.text


async def test_programs_set_and_see_it(page: Site) -> None:
    async with program(page) as cli:
        await set_zone(page, KIRITIMATI)
        assert (await (await cli.get("/api/installation")).json())["timezone"] == KIRITIMATI
        assert (await (await cli.get("/api/status")).json())["timezone"] == KIRITIMATI
        answer = await cli.ask("PATCH", "/api/installation", json={"timezone": "Atlantis"})
        assert (answer.status, "is no time zone" in answer.text) == (422, True)
        await set_zone(page, None)
        assert (await (await cli.get("/api/installation")).json())["timezone"] == ""


async def test_times_are_shown_and_days_begin_in_it(page: Site) -> None:
    """A call at 0:30 of the day there, and one at 23:30 of the day before: both are of one day in most other zones."""
    await set_zone(page, KIRITIMATI)
    await put(page, a_call(1, NOON - 11.5 * HOUR_S), a_call(2, NOON - 12.5 * HOUR_S))
    async with signed_in(page, Accept_Language="en-GB") as admin, program(page) as cli:
        html = text((await admin.get("/calls")).text)
        assert "15/01/2027, 00:30<" in html
        assert "14/01/2027, 23:30<" in html
        assert "15 Jan 2027, 00:30:00<" in (await admin.get(f"/calls/{1:012x}")).text
        for query, found in (("from=2027-01-15", 1), ("to=2027-01-14", 2)):
            (id,) = re.findall(r'<a href="/calls/([0-9a-f]{12})">', (await admin.get(f"/calls?{query}")).text)
            assert int(id, 16) == found
        assert "<dt>Inbound</dt><dd>1" in text((await admin.get("/overview/today")).text)
        assert "<dt>Calls</dt><dd>1</dd>" in text((await admin.get("/charts?period=today")).text)
        assert (await (await cli.get("/api/figures/today")).json())["incoming"] == 1
        figures = await (await cli.get("/api/figures?period=today")).json()
        assert figures["start"] == NOON - 12 * HOUR_S


async def test_an_export_says_its_zone(page: Site) -> None:
    await put(page, a_call(1, NOON))
    await set_zone(page, KIRITIMATI)
    async with signed_in(page) as admin, program(page) as cli:
        for asked, address in ((admin, "/calls.csv"), (cli, "/api/calls.csv")):
            (row,) = csv.DictReader(io.StringIO((await asked.get(address)).text.removeprefix("\ufeff")))
            assert (row["began"], row["timezone"]) == ("2027-01-15T12:00:00+14:00", KIRITIMATI)


async def test_the_command_line_lists_calls_in_it(page: Site, capsys: pytest.CaptureFixture[str]) -> None:
    await put(page, a_call(1, NOON))
    await set_zone(page, KIRITIMATI)
    settings = SimpleNamespace(socket=page.socket)
    async with api_client.program(cast(Any, settings)) as api:
        await cli_calls.run(Namespace(action="list", find="", last=5, json=False), api)
    printed = capsys.readouterr().out
    assert f"Began ({KIRITIMATI})" in printed
    assert "2027-01-15 12:00:00" in printed


@pytest.mark.parametrize(
    ("header", "short"),
    [
        ("en-GB,en;q=0.9", "15/01/2027, 15:05"), ("en-US,en;q=0.9", "1/15/27, 3:05 PM"),
        ("de-DE,de;q=0.9,en;q=0.5", "15/01/2027, 15:05"), ("ru-RU,ru;q=0.9", "15.01.2027, 15:05"),
    ],
)  # fmt: skip
async def test_times_are_written_as_the_browser_would(page: Site, header: str, short: str) -> None:
    await set_zone(page, KIRITIMATI)
    await put(page, a_call(1, NOON + 3 * HOUR_S + 300))
    async with signed_in(page, Accept_Language=header) as admin:
        assert f">{short}</time>" in text((await admin.get("/calls")).text)


async def test_a_chosen_language_keeps_the_countrys_way(page: Site) -> None:
    await set_zone(page, KIRITIMATI)
    await put(page, a_call(1, NOON + 3 * HOUR_S + 300))
    async with signed_in(page, Accept_Language="ru-RU") as admin:
        await choose_english(admin)
        html = text((await admin.get("/calls")).text)
        assert 'lang="en"' in html
        assert ">15/01/2027, 15:05</time>" in html


async def choose_english(admin: Browser) -> None:
    await admin.get("/calls")
    assert (await admin.post("/choices", {"language": "en"})).status == 200
