"""What can be seen of Telegram from here: its servers, the Bot API, its clock."""

from __future__ import annotations

import asyncio

import aiohttp

from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import Message, message
from ari_app.os_words import in_words

CONNECT_TIMEOUT_S = 5.0
OFFSET_ADVICE_S = 5.0

_NO_ANSWER = message("no answer within {seconds} s", seconds=round(CONNECT_TIMEOUT_S))
_FIREWALL = message("Let this machine connect to Telegram: a firewall or the provider stands in the way.")


async def telegram(surroundings: Surroundings) -> list[Finding]:
    """Whether Telegram's servers take a connection."""
    servers = surroundings.telegram_servers
    errors = await asyncio.gather(*(_refusal(host, port) for host, port in servers))
    found = [
        (problem if all(errors) else advice)(
            Topic.TELEGRAM,
            message("Telegram at {host}:{port} takes no connection: {detail}", host=host, port=port, detail=error),
            _FIREWALL,
        )
        for (host, port), error in zip(servers, errors, strict=True)
        if error
    ]
    if not all(errors):
        reached = ", ".join(f"{host}:{port}" for (host, port), error in zip(servers, errors, strict=True) if not error)
        sentence = message(
            "Telegram takes connections at {reached}. Whether UDP for the audio gets through can't be seen from here:"
            " a test call shows it.",
            reached=reached,
        )
        found.insert(0, ok(Topic.TELEGRAM, sentence))
    return found


async def _refusal(host: str, port: int) -> Message | str:
    """Why there is no connection; empty if there is one."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return _NO_ANSWER
    except OSError as error:
        return in_words(error)
    writer.close()
    return ""


async def bot_api(surroundings: Surroundings) -> list[Finding]:
    """Whether the Bot API answers; which answer does not matter."""
    url = surroundings.bot_api_url
    if not url:
        return []
    try:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S),
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False),
        ):
            pass
    except TimeoutError:
        detail: Message | str = _NO_ANSWER
    except aiohttp.ClientError as error:
        detail = in_words(error)
    else:
        return [ok(Topic.TELEGRAM, message("The Bot API answers at {url}.", url=url))]
    return [
        problem(
            Topic.TELEGRAM, message("The Bot API at {url} does not answer: {detail}", url=url, detail=detail), _FIREWALL
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
