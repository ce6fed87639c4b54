"""What can be seen of Telegram from here: its servers, the Bot API, its clock."""

from __future__ import annotations

import asyncio

import aiohttp

from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import Message, message
from ari_app.os_words import in_words
from ari_app.telegram.connection import answered_by_mtproxy
from ari_app.telegram.proxy import Proxy, ProxyKind
from ari_app.telegram.proxy_http import PROXY_ERRORS, proxy_connector
from ari_app.telegram.proxy_route import ProxyFailed, proxy_failed, through

CONNECT_TIMEOUT_S = 5.0
OFFSET_ADVICE_S = 5.0

_NO_ANSWER = message("no answer within {seconds} s", seconds=round(CONNECT_TIMEOUT_S))
_FIREWALL = message("Let this machine connect to Telegram: a firewall or the provider stands in the way.")
_PROXY = message(
    "Correct it in Settings, or repair the proxy: neither the lines nor the bot get to Telegram without it."
)


async def telegram(surroundings: Surroundings) -> list[Finding]:
    """Whether Telegram's servers take a connection."""
    proxy = surroundings.proxy
    if proxy and proxy.kind is ProxyKind.MTPROXY:
        return await _by_mtproxy(proxy)
    servers = surroundings.telegram_servers
    errors = await asyncio.gather(*(_refusal(host, port, proxy) for host, port in servers))
    found = [
        (problem if all(errors) else advice)(
            Topic.TELEGRAM,
            error.sentence
            if isinstance(error, ProxyFailed)
            else message("Telegram at {host}:{port} takes no connection: {detail}", host=host, port=port, detail=error),
            _PROXY if proxy else _FIREWALL,
        )
        for (host, port), error in zip(servers, errors, strict=True)
        if error
    ]
    if not all(errors):
        reached = ", ".join(f"{host}:{port}" for (host, port), error in zip(servers, errors, strict=True) if not error)
        sentence = (
            message(
                "Telegram takes connections at {reached} by way of the proxy {proxy}. The audio goes without it:"
                " whether UDP gets through, a test call shows.",
                reached=reached,
                proxy=proxy,
            )
            if proxy
            else message(
                "Telegram takes connections at {reached}. Whether UDP for the audio gets through can't be seen from"
                " here: a test call shows it.",
                reached=reached,
            )
        )
        found.insert(0, ok(Topic.TELEGRAM, sentence))
    return found


async def _refusal(host: str, port: int, proxy: Proxy | None) -> Message | str | ProxyFailed:
    """Why there is no connection; empty if there is one."""
    try:
        if proxy:
            (await through(proxy, host, port, CONNECT_TIMEOUT_S)).close()
            return ""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except ProxyFailed as failure:
        return failure
    except TimeoutError:
        return _NO_ANSWER
    except OSError as error:
        return in_words(error)
    writer.close()
    return ""


async def _by_mtproxy(proxy: Proxy) -> list[Finding]:
    """Whether an MTProxy takes its secret and gets an answer from Telegram, as a client gets that connects."""
    try:
        await answered_by_mtproxy(proxy, CONNECT_TIMEOUT_S)
    except ProxyFailed as failure:
        return [problem(Topic.TELEGRAM, failure.sentence, _PROXY)]
    sentence = message(
        "Telegram answers by way of the proxy {proxy}. The audio goes without it: whether UDP gets through, a test call"
        " shows.",
        proxy=proxy,
    )
    return [ok(Topic.TELEGRAM, sentence)]


async def bot_api(surroundings: Surroundings) -> list[Finding]:
    """Whether the Bot API answers; which answer does not matter."""
    url, proxy = surroundings.bot_api_url, surroundings.proxy
    if not url:
        return []
    if proxy and proxy.kind is ProxyKind.MTPROXY:
        return [
            problem(
                Topic.TELEGRAM,
                message("The proxy {proxy} is an MTProxy, which carries no bot: there is no keypad.", proxy=proxy),
                message("Enter a SOCKS5 or HTTP proxy in Settings."),
            )
        ]
    remedy = _PROXY if proxy else _FIREWALL
    try:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S),
            aiohttp.ClientSession(connector=proxy_connector(proxy) if proxy else None) as session,
            session.get(url, allow_redirects=False),
        ):
            pass
    except TimeoutError as error:
        if proxy:
            return [problem(Topic.TELEGRAM, proxy_failed(proxy, error).sentence, remedy)]
        detail: Message | str = _NO_ANSWER
    except PROXY_ERRORS as error:
        assert proxy is not None
        return [problem(Topic.TELEGRAM, proxy_failed(proxy, error.__cause__ or error).sentence, remedy)]
    except aiohttp.ClientError as error:
        detail = in_words(error)
    else:
        return [ok(Topic.TELEGRAM, message("The Bot API answers at {url}.", url=url))]
    return [
        problem(
            Topic.TELEGRAM, message("The Bot API at {url} does not answer: {detail}", url=url, detail=detail), remedy
        )
    ]


def clock(surroundings: Surroundings) -> list[Finding]:
    """How far Telegram's clock and this machine's are apart; nothing if no line is connected."""
    offset_s = surroundings.telegram_offset_s
    if offset_s is None:
        return []
    if abs(offset_s) > OFFSET_ADVICE_S:
        return [
            advice(
                Topic.TIME,
                message("This machine's clock and Telegram's are {seconds} s apart.", seconds=round(abs(offset_s))),
                message("Start an NTP client, such as systemd-timesyncd or chrony."),
            )
        ]
    return [ok(Topic.TIME, message("This machine's clock and Telegram's agree."))]
