"""The HTTP Bot API on a port of its own, for an unmodified aiogram (https://core.telegram.org/bots/api)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .bot_arguments import read_arguments
from .bot_errors import BotApiError
from .bot_methods import BotMethods
from .bots import Bots
from .faults import Faults

log = logging.getLogger(__name__)

MAX_BODY = 11 << 20  # a photo of 10 MB, https://core.telegram.org/bots/api#sendphoto, and its form
SHUTDOWN_S = 1.0  # for connections whose request has already been cancelled


class BotApi:
    """Serves `/bot<token>/<method>`. Its port stays its own while it is stopped, so clients are refused, not lost.

    Args:
        faults: what is refused or delayed, by method in lower case and by the bot's @username.
    """

    def __init__(self, bots: Bots, methods: BotMethods, faults: Faults) -> None:
        self._bots = bots
        self._methods = methods
        self._faults = faults
        self._address = ("127.0.0.1", 0)
        self._held: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._requests: set[asyncio.Task[Any]] = set()
        self.addresses: set[str] = set()  # from which requests have come
        self.counted: Counter[str] = Counter()  # requests that came, by method in lower case
        self.refused: Counter[int] = Counter()  # by error code

    @property
    def url(self) -> str:
        """The base for `aiogram.client.telegram.TelegramAPIServer.from_base`."""
        return f"http://{self._address[0]}:{self._address[1]}"

    async def open(self, host: str, port: int) -> None:
        """Take an address and begin to serve there; port 0 takes a free one."""
        self._address = (host, port)
        self._hold()
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop serving, and give the port back."""
        await self.stop()
        if self._held is not None:
            self._held.close()
            self._held = None

    async def start(self) -> None:
        """Serve on the port that is held; nothing happens when it is being served."""
        if self._runner is not None or self._held is None:
            return
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._note_address])
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        app.router.add_route("*", "/{anything:.*}", self._not_found)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.SockSite(self._runner, self._held).start()
        self._held = None

    async def stop(self) -> None:
        """Cut every connection and refuse new ones, as when the Bot API is out of reach."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for site in list(runner.sites):
            await site.stop()
        self._hold()
        for request in self._requests:
            request.cancel()
        await runner.cleanup()

    def _hold(self) -> None:
        """Bind the port and do not listen: nobody else gets it, and whoever connects is refused."""
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(self._address)
        except OSError as error:
            held.close()
            raise OSError(error.errno, f"the Bot API cannot have {self.url}: {error.strerror}") from error
        self._held, self._address = held, held.getsockname()

    async def _serve(self, request: web.Request) -> web.Response:
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        try:
            return web.json_response({"ok": True, "result": await self._perform(request)})
        except BotApiError as error:
            self.refused[error.code] += 1
            return _refusal(error)
        except Exception:
            log.exception("%s failed in the local Telegram's Bot API", request.match_info["method"])
            return _refusal(BotApiError(500, "the local Telegram failed; its log says why"))
        finally:
            self._requests.discard(task)

    async def _perform(self, request: web.Request) -> Any:
        bot = self._bots.by_token(request.match_info["token"])
        if bot is None:
            raise BotApiError(401)
        method = request.match_info["method"]
        self.counted[method.lower()] += 1
        arguments = await read_arguments(request)
        delay_s = self._faults.strike(method.lower(), f"@{bot.username}", set)
        if delay_s:
            await asyncio.sleep(delay_s)
        return await self._methods.call(bot, method, arguments)

    @web.middleware
    async def _note_address(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.addresses.add(request.remote or "")
        return await handler(request)

    async def _not_found(self, request: web.Request) -> web.Response:
        return _refusal(BotApiError(404))


def _refusal(error: BotApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    headers = {}
    if error.retry_after is not None:
        body["parameters"] = {"retry_after": error.retry_after}
        headers["Retry-After"] = str(error.retry_after)
    return web.json_response(body, status=error.code, headers=headers)
