"""Two hundred lines: searched, by state, page by page; only rows that changed are sent again, and all compressed."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.lines.health import Colour, Remedy
from tests.integration.web_calls import calls_site
from tests.integration.web_helpers import Browser, Site, signed_in
from tests.integration.web_lines import ManyLines

MANY = 200
PART = {"HX-Request": "true"}


@pytest.fixture
def lines() -> ManyLines:
    lines = ManyLines(MANY)
    lines.change("+79990000120", Colour.RED, "Sign in, please.")
    lines.change("+79990000150", Colour.ORANGE, "Waiting.")
    return lines


@pytest.fixture
async def page(tmp_path: Path, lines: ManyLines) -> AsyncIterator[Site]:
    async with calls_site(tmp_path, lines=lines, statuses=lines) as served:
        yield served


@pytest.fixture
async def admin(page: Site) -> AsyncIterator[Browser]:
    async with signed_in(page) as opened:
        yield opened


def names(html: str) -> list[str]:
    """The lines that are shown."""
    return re.findall(r'<td class="who"><a href="[^"]*">([^<]*)</a>', html)


async def test_the_overview_begins_with_what_asks_for_somebody(admin: Browser) -> None:
    html = (await admin.get("/")).text
    assert names(html) == ["Line 120", "Line 150", *(f"Line {n}" for n in range(8))]
    assert "200 lines" in html
    assert "Page 1 of 20" in html
    assert '<a class="button small" rel="next" href="/?page=2#found-lines">' in html
    assert names((await admin.get("/?page=2")).text)[0] == "Line 8"


BUTTONS = {
    Remedy.SIGN_IN: 'href="/lines/+79990000120/signin"',
    Remedy.APPLICATION: 'href="/settings#field-api_id"',
    Remedy.BOT_TOKEN: 'href="/settings#field-bot_token"',
    Remedy.START_BOT: 'action="/lines/+79990000120/setup"',
    Remedy.INLINE_MODE: 'href="tg://resolve?domain=BotFather"',
    Remedy.DOCTOR: 'href="/connect"',
}


@pytest.mark.parametrize("remedy", Remedy)
async def test_what_asks_for_something_has_the_button_that_does_it(
    admin: Browser, lines: ManyLines, remedy: Remedy
) -> None:
    lines.change("+79990000120", Colour.RED, "Something is needed.", remedy)
    row = (await admin.get("/")).text.partition('data-line="+79990000120"')[2].partition("</tr>")[0]
    assert BUTTONS[remedy] in row


async def test_all_lines_are_found_page_by_page(admin: Browser) -> None:
    assert names((await admin.get("/lines")).text) == [f"Line {n}" for n in range(50)]
    html = (await admin.get("/lines?page=4")).text
    assert names(html) == [f"Line {n}" for n in range(150, 200)]
    assert 'href="/lines?page=3#found-lines"' in html
    assert "Page 4 of 4" in html
    html = (await admin.get("/lines?page=5")).text
    assert names(html) == []
    assert "There is no such page. To the first one" in html


@pytest.mark.parametrize("path", ["/", "/lines"])
async def test_they_are_searched_by_name_number_and_state(admin: Browser, path: str) -> None:
    assert names((await admin.get(path + "?q=lInE+19")).text)[:2] == ["Line 19", "Line 190"]
    assert names((await admin.get(path + "?q=%2B79990000007")).text) == ["Line 7"]
    assert names((await admin.get(path + "?state=red")).text) == ["Line 120"]
    html = (await admin.get(path + "?q=line+15&state=orange")).text
    assert names(html) == ["Line 150"]
    assert "1 line<" in html
    assert 'href="' + path + '?q=line+15&amp;state=green#found-lines"' in html
    html = (await admin.get(path + "?q=nobody")).text
    assert "No line fits." in html
    assert (await admin.get(path + "?state=purple")).status == 422


async def test_a_search_answers_with_the_list_alone_and_is_in_the_address(admin: Browser) -> None:
    answer = await admin.get("/lines?q=line+19&state=green", headers=PART)
    assert answer.headers["HX-Push-Url"] == "/lines?q=line+19&state=green"
    assert answer.text.lstrip().startswith('<div id="found-lines"')
    answer = await admin.get("/overview/lines?q=line+19", headers=PART)
    assert answer.headers["HX-Push-Url"] == "/?q=line+19"
    answer = await admin.get("/lines?q=line+19&live=1", headers=PART)
    assert "HX-Push-Url" not in answer.headers
    assert 'id="found-lines"' not in answer.text


@pytest.mark.parametrize(("path", "part"), [("/", "/overview/lines?live=1"), ("/lines?page=3", "/lines?page=3&live=1")])
async def test_only_rows_that_changed_are_sent(admin: Browser, lines: ManyLines, path: str, part: str) -> None:
    html = (await admin.get(path)).text
    headers = {**PART, "X-Have": " ".join(re.findall(r'data-version="(\w+)"', html))}
    rows = re.findall(r'<tr id="(line-\d+)"', html)
    again = (await admin.get(part, headers=headers)).text
    assert names(again) == []
    assert re.findall(r'<tr id="(line-\d+)" data-version="\w+" data-same></tr>', again) == rows, (
        "they keep their places"
    )
    lines.change("+79990000120", Colour.RED, "Sign in again.")
    again = (await admin.get(part, headers=headers)).text
    assert names(again) == ["Line 120"]
    assert "Sign in again." in again
    assert again.count("data-same") == len(rows) - 1


async def test_few_lines_need_no_search(tmp_path: Path) -> None:
    lines = ManyLines(10)
    async with calls_site(tmp_path, lines=lines, statuses=lines) as page, signed_in(page) as admin:
        for path in ("/", "/lines"):
            html = (await admin.get(path)).text
            assert len(names(html)) == 10
            assert 'name="q"' not in html


@pytest.mark.parametrize("path", ["/", "/lines", "/static/astergram.css", "/api/openapi.json"])
async def test_what_is_sent_is_compressed_for_who_understands_it(admin: Browser, path: str) -> None:
    answer = await admin.get(path, headers={"Accept-Encoding": "gzip, deflate"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    plain = await admin.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert int(plain.headers["Content-Length"]) > 1000
    assert plain.text.splitlines()[0] == answer.text.splitlines()[0]


async def test_live_events_are_not_compressed(admin: Browser) -> None:
    """Or they would wait in a buffer."""
    async with admin.http.get(admin.url + "/events", headers={"Accept-Encoding": "gzip"}) as response:
        assert "Content-Encoding" not in response.headers
        assert (await response.content.readline()).startswith(b"retry:")
