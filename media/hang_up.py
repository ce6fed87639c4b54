"""Hangs a call up in Asterisk by ARI, where its controller is gone: the leg would stay in its bridge, in silence."""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from media.types import AriLogin

log = logging.getLogger(__name__)

HANG_UP_S = 10.0
"""For all of it, with an Asterisk that is slow or just starting again. What is left then, the next controller finds."""
REQUEST_S = 3.0
"""A request to ARI can stall for good."""
AGAIN_S = 1.0
"""Between two tries."""
REASON = "congestion"
"""Q.850 cause 34, as for whatever a lost controller leaves behind: a phone that is not answered yet gets 503."""

THE_CALLS = {"Stasis", "AppDial2", ""}
"""Where a channel of the call is, as `app_name`: AppDial2, while it is originated and not answered."""


async def hang_up(ari: AriLogin, channels: Iterable[str], bridge: str) -> None:
    """Hang up these channels and those in the bridge, and remove the bridge. What is gone is no error; never raises."""
    try:
        async with asyncio.timeout(HANG_UP_S), _session(ari) as session:
            hanging = _Hanging(ari.url, session)
            while not await _tried(hanging, tuple(channels), bridge):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(AGAIN_S)
    except TimeoutError:
        log.error("the call is not hung up in Asterisk after %g s; the next controller does it", HANG_UP_S)  # noqa: TRY400


def _session(ari: AriLogin) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth(ari.user, ari.password)},
        timeout=aiohttp.ClientTimeout(total=REQUEST_S),
        raise_for_status=True,
    )


async def _tried(hanging: "_Hanging", channels: tuple[str, ...], bridge: str) -> bool:
    try:
        await hanging.everything(channels, bridge)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.warning("hanging the call up in Asterisk: %s: %s", type(error).__name__, error)
        return False
    return True


class _Hanging:
    """The requests of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def everything(self, channels: tuple[str, ...], bridge: str) -> None:
        if bridge and (found := await self._ask("GET", "bridges", bridge)):
            channels += tuple(found["channels"])
        for channel in channels:
            if (there := await self._ask("GET", "channels", channel)) and _is_the_calls(there):
                await self._ask("DELETE", "channels", channel, f"?reason={REASON}")
        if bridge:
            await self._ask("DELETE", "bridges", bridge)

    async def _ask(self, method: str, kind: str, any_id: str, query: str = "") -> Any:
        """What it says; None where there is no such thing (any more)."""
        url = URL(f"{self._url}/{kind}/{quote(any_id, safe='')}{query}", encoded=True)
        try:
            async with self._session.request(method, url) as response:
                return await response.json() if response.status == HTTPStatus.OK else None
        except aiohttp.ClientResponseError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def _is_the_calls(channel: Any) -> bool:
    """Not one that its dialplan has again. Before Asterisk 16.12 that is not told."""
    return channel["dialplan"].get("app_name", "Stasis") in THE_CALLS
