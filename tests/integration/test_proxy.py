"""All that goes to Telegram goes by the proxy, and what is wrong with that is said where somebody looks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ari_app.doctor import Grade, Topic
from ari_app.lines.installation import BotUntried
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.telegram.bot import BotState
from ari_app.telegram.line import Line, LineState
from tests.integration.web_helpers import Browser, form_in, program, signed_in
from tests.integration.web_lines import LINE, Lines, lines_site
from tests.proxies import FROM, LOGIN, PASSWORD, SECRET, USER, ProxyServer, proxy_server

KINDS = ("socks5", "http", "mtproxy")
FOR_ALL = ("socks5", "http")
BOT = "astergram_bot"
SOON_S = 40.0
NUMBER = {"number": LINE}


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        server.add_user(LINE, "Line")
        yield server


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110 - several parts, each with events of its own
            await asyncio.sleep(0.02)


async def sign_in(lines: Lines, telegram: LocalTelegram) -> Line:
    """Sign the line in by code, and wait until it is at work."""
    await lines.book.sign_ins.begin(LINE, "code")
    signing = lines.book.sign_ins.of(LINE)
    assert signing
    await signing.code(telegram.login_code(LINE))
    await lines.book.sign_ins.adopted(LINE)
    line = lines.book.line(LINE)
    await until(lambda: line.state is LineState.READY)
    return line


async def telegram_findings(lines: Lines) -> list[tuple[Grade, str]]:
    found = await lines.site.services.doctor.examine()
    return [(each.grade, f"{each.sentence}") for each in found if each.topic is Topic.TELEGRAM]


@pytest.mark.parametrize("login", [True, False], ids=["login", "open"])
@pytest.mark.parametrize("kind", FOR_ALL)
async def test_nothing_goes_past_the_proxy(tmp_path: Path, telegram: LocalTelegram, kind: str, login: bool) -> None:
    async with proxy_server(kind, login=login) as proxy:
        async with lines_site(tmp_path, telegram, [LineSettings.of(NUMBER)], proxy=proxy.url) as lines:
            await sign_in(lines, telegram)
            token = telegram.add_bot(BOT).token
            with suppress(BotUntried):  # a busy machine is too late: it went by the proxy all the same
                await lines.site.services.installation.change({"bot_token": token})
            await lines.site.services.installation.change({"bot_token": token}, untried=True)
            await until(lambda: lines.bot.state is BotState.READY)
            await lines.site.services.account_setup.look(LINE)
            found = await telegram_findings(lines)
            assert [grade for grade, _ in found] == [Grade.OK, Grade.OK], found
            assert proxy.name in found[0][1]
            used = proxy.used
            telegram.drop_connections()
            await until(lambda: proxy.used > used)
        assert telegram.addresses == {FROM}


async def test_an_mtproxy_carries_lines_but_no_bot(tmp_path: Path, telegram: LocalTelegram) -> None:
    async with (
        proxy_server("mtproxy", telegram_port=telegram.port) as proxy,
        lines_site(tmp_path, telegram, [LineSettings.of(NUMBER)], proxy=proxy.url) as lines,
    ):
        await sign_in(lines, telegram)
        token = telegram.add_bot(BOT).token
        await lines.site.services.installation.change({"bot_token": token}, untried=True)
        await until(lambda: "MTProxy carries no bot" in str(lines.bot.sentence))
        found = await telegram_findings(lines)
        assert [grade for grade, _ in found] == [Grade.OK, Grade.PROBLEM], found
        assert telegram.addresses == {FROM}
        wrong = proxy.url.replace(SECRET, "00" * 16)
        await lines.site.services.installation.change({"proxy": wrong})
        line = lines.book.line(LINE)
        await until(lambda: "has closed the connection" in str(line.condition))
        assert proxy.name in str(line.condition)
        found = await telegram_findings(lines)
        assert found[0][0] is Grade.PROBLEM
        assert "has closed the connection" in found[0][1]


async def gone(proxy: ProxyServer) -> None:
    await proxy.stop()


async def of_another_kind(proxy: ProxyServer) -> None:
    proxy.kind = {"http": "socks5", "socks5": "http"}[proxy.kind]
    await restarted(proxy)


async def with_another_login(proxy: ProxyServer) -> None:
    proxy.login = True
    await restarted(proxy)


async def refusing(proxy: ProxyServer) -> None:
    proxy.refusal = {"http": 503, "socks5": 4}[proxy.kind]
    await restarted(proxy)


async def silent(proxy: ProxyServer) -> None:
    proxy.silent = True
    await restarted(proxy)


async def restarted(proxy: ProxyServer) -> None:
    await proxy.stop()
    await proxy.start()


FAULTS: dict[Callable[[ProxyServer], Coroutine[Any, Any, None]], str] = {
    gone: "can't be reached",
    of_another_kind: "",
    with_another_login: "refuses the login",
    refusing: "does not get through to Telegram",
    silent: "does not answer in time",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("kind", FOR_ALL)
async def test_what_is_wrong_with_the_proxy_is_said_and_got_over(
    tmp_path: Path, telegram: LocalTelegram, kind: str, fault: Callable[[ProxyServer], Coroutine[Any, Any, None]]
) -> None:
    async with (
        proxy_server(kind, login=False) as proxy,
        lines_site(tmp_path, telegram, [LineSettings.of(NUMBER)], proxy=proxy.url) as lines,
    ):
        line = await sign_in(lines, telegram)
        token = telegram.add_bot(BOT).token
        await lines.site.services.installation.change({"bot_token": token}, untried=True)
        await until(lambda: lines.bot.state is BotState.READY)
        name, said = proxy.name, FAULTS[fault]
        await fault(proxy)
        for sentence in (lambda: str(line.condition), lambda: str(lines.bot.sentence)):
            await until(lambda sentence=sentence: name in sentence() and said in sentence())  # type: ignore[misc]
        found = await telegram_findings(lines)
        assert [grade for grade, _ in found] == [Grade.PROBLEM, Grade.PROBLEM], found
        assert all(said in sentence for _, sentence in found), found
        async with proxy_server("http") as another:
            await lines.site.services.installation.change({"proxy": another.url})
            await until(lambda: line.state is LineState.READY and lines.bot.state is BotState.READY)
        assert telegram.addresses == {FROM}


async def test_a_sign_in_says_what_is_wrong(tmp_path: Path, telegram: LocalTelegram) -> None:
    async with proxy_server("socks5") as proxy:
        url = proxy.url.replace(LOGIN, "other:login")
        async with lines_site(tmp_path, telegram, [LineSettings.of(NUMBER)], proxy=url) as lines:
            view = await lines.book.sign_ins.begin(LINE, "code")
            assert proxy.name in str(view.error)
            assert "refuses the login" in str(view.error)


async def test_the_page_and_the_api_set_it_and_never_show_it(tmp_path: Path, telegram: LocalTelegram) -> None:
    form = "/settings/installation"
    async with (
        lines_site(tmp_path, telegram) as lines,
        proxy_server("socks5") as proxy,
        signed_in(lines.site) as admin,
        program(lines.site) as api,
    ):
        await admin.get("/settings")
        answer = await admin.post(form, form_in(await admin.get("/settings"), form) | {"proxy": "secret-nonsense"})
        assert "Enter socks5://" in answer.text
        assert "secret-nonsense" not in answer.text
        answer = await admin.post(form, form_in(await admin.get("/settings"), form) | {"proxy": proxy.url})
        assert answer.path == "/settings"
        assert proxy.name in answer.text
        assert_no_secret(answer.text)
        shown = await (await api.ask("GET", "/api/installation")).json()
        assert shown["proxy"] == "set"
        refused = await api.ask("PATCH", "/api/installation", json={"proxy": "socks5://secret-nonsense"})
        assert refused.status == 422
        assert "secret-nonsense" not in refused.text
        await admin.post(form, form_in(await admin.get("/settings"), form) | {"remove_proxy": "on"})
        assert lines.site.services.installation.settings.proxy is None
        await use(api, proxy)


async def use(api: Browser, proxy: ProxyServer) -> None:
    answer = await api.ask("PATCH", "/api/installation", json={"proxy": proxy.url})
    assert answer.status == 200
    assert_no_secret(answer.text)
    assert (await api.ask("PATCH", "/api/installation", json={"proxy": None})).status == 200


def assert_no_secret(text: str) -> None:
    assert not any(secret in text for secret in (USER, PASSWORD, LOGIN, SECRET))
