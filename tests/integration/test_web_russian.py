"""The pages in Russian: no word of English is left on them but names."""

import re
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from tests.integration.web_calls import LINE, a_call, put, talking
from tests.integration.web_helpers import Browser, signed_in
from tests.integration.web_lines import lines_site

NAMES = frozenset(
    """
    Telegram Astergram Asterisk API JSON OpenAPI CSV English QR NTP UDP Etc UTC Anna Sales id api hash my telegram org
    BotFather inline post dial delay rtp LIMITED from python aiohttp anna b Bot setinline vCard Premium SMS start ID PNG
    JPEG admin TURN coturn static auth secret SOCKS HTTP MTProxy
    """.split()  # noqa: SIM905 - a text is easier to read here
)
HIDDEN = re.compile(r"<(head|script|style|code|pre|textarea|title)\b.*?</\1>", re.S)
KEPT = re.compile(r'\b(?:aria-label|title|placeholder|data-confirm|data-copied|hx-confirm)="([^"]*)"')


@pytest.fixture
async def russian(tmp_path: Path) -> AsyncIterator[Browser]:
    """A reader of the whole program, in which calls have been, and one has just ended."""
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        lines = [LineSettings(number=LINE, name="Sales")]
        async with (
            lines_site(tmp_path, telegram, lines) as shown,
            signed_in(shown.site, Accept_Language="ru") as reader,
        ):
            await put(shown.site, a_call(1, time.time() - 60))
            async with talking(shown.site.services.registry) as call:
                call.end(outcome.by_administrator(Direction.IN, talking=True))
            reader.http.headers["X-Call"] = call.id
            yield reader


def english(html: str) -> set[str]:
    """The words in Latin letters that a reader sees or hears, names aside."""
    html = HIDDEN.sub(" ", html)
    spoken = " ".join(KEPT.findall(html))
    shown = unescape(re.sub(r"<[^>]*>", " ", html) + " " + spoken)
    shown = re.sub(r"\S*[@+/_.]\S*\w|[0-9a-f]{12}", " ", shown)  # numbers, addresses, names of files and keys
    return set(re.findall(r"[A-Za-z]+", shown)) - NAMES


@pytest.mark.parametrize(
    "path",
    [
        "/overview/today", "/overview/calls", "/calls", "/calls/{call}", "/charts?period=today", "/charts?period=30d",
        "/charts?period=own", "/charts?period=365d", "/charts?from=2027-01-02&to=2027-01-01", "/settings",
        "/lines/{line}/try", "/lines/{line}/try/call", "/lines/{line}/lists", "/lines/{line}/limits",
        "/lines/{line}/card", "/nothing-there",
    ],
)  # fmt: skip
async def test_no_english_is_left(russian: Browser, path: str) -> None:
    address = path.format(line=LINE, call=russian.http.headers["X-Call"])
    html = (await russian.get(address)).text
    assert english(html) == set()


async def test_badges_and_seconds_of_a_test_call(russian: Browser) -> None:
    html = (await russian.get(f"/lines/{LINE}/try/call")).text
    badges = re.findall(r'<span class="badge">(\w+)</span>', html)
    assert set(badges) == {"Telegram", "Asterisk", "Astergram"}
    assert html.count("\u0441</span>") == len(badges), "a Russian s"


async def test_units_and_numbers_of_a_plot(russian: Browser) -> None:
    html = (await russian.get(f"/calls/{russian.http.headers['X-Call']}")).text
    labels = re.findall(r'<text class="chart-label"[^>]*>([^<]+)</text>', html)
    assert {"2,5 мс", "-20 дБ"} <= set(labels)
    assert not [label for label in labels if "." in label]
