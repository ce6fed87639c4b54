"""TCP connections of Telethon's: straight to Telegram, or by way of a proxy."""

import asyncio
import logging
import secrets
import socket
from collections import defaultdict
from typing import Any

from telethon.network import MTProtoPlainSender
from telethon.network.connection import ConnectionTcpFull, ConnectionTcpMTProxyRandomizedIntermediate
from telethon.tl.functions import ReqPqMultiRequest

from ari_app.backoff import Backoff
from ari_app.telegram.proxy import Proxy, ProxyKind
from ari_app.telegram.proxy_route import ProxyFailed, ProxyRoute, mtproxy_closed, proxy_failed, through

UNACKNOWLEDGED_S = 4.0
SHORT_S = 5.0
"""A connection that breaks before that is no use; the next one, and no more, may come at once."""
PAUSE = Backoff(first_s=0.25, last_s=4.0)
DC = 2  # any of Telegram's data centres


class ReconnectPause:
    """Pauses before a connection where those before it were accepted and broke at once.

    Telethon connects again without a pause then, hundreds of times a second; it pauses where it is refused.
    """

    def __init__(self) -> None:
        self._made_at: float | None = None
        self._short = 0

    async def wait(self) -> None:
        """Before one is made."""
        made_at, self._made_at = self._made_at, None
        is_short = made_at is not None and asyncio.get_running_loop().time() - made_at < SHORT_S
        self._short = self._short + 1 if is_short else 0
        if self._short > 1:
            await asyncio.sleep(PAUSE.pause_s(self._short - 1))

    def made(self) -> None:
        """It is there."""
        self._made_at = asyncio.get_running_loop().time()


class Connection(ConnectionTcpFull):  # type: ignore[misc]  # Telethon has no type hints
    """TCP that breaks when the other side has gone without a word, so that Telethon connects again (tcp(7)).

    By way of a proxy where the client has a `ProxyRoute`.
    """

    _proxy: ProxyRoute | None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pause = ReconnectPause()

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:
        await self._pause.wait()
        await super()._connect(timeout=timeout, ssl=ssl)
        self._pause.made()
        _break_when_silent(self._writer)
        if self._proxy:
            self._proxy.connected()

    async def _proxy_connect(self, timeout: float | None = None, local_addr: Any = None) -> socket.socket:
        assert self._proxy is not None
        try:
            return await through(self._proxy.proxy, self._ip, self._port, timeout)
        except ProxyFailed as failure:
            raise self._proxy.fails(failure) from failure


class MtProxyConnection(ConnectionTcpMTProxyRandomizedIntermediate):  # type: ignore[misc]
    """The same to an MTProxy, which passes packets on to the data centre that they name."""

    def __init__(self, ip: str, port: int, dc_id: int, *, proxy: ProxyRoute, **options: Any) -> None:
        its = proxy.proxy
        # Telethon cuts the first two digits off where they are dd, also those of a secret that begins with them.
        super().__init__(ip, port, dc_id, proxy=(its.host, its.port, f"dd{its.secret}"), **options)
        self._route = proxy
        self._pause = ReconnectPause()

    @staticmethod
    def address_info(proxy: Any) -> tuple[str, int]:
        """Host and port."""
        its = proxy.proxy if isinstance(proxy, ProxyRoute) else Proxy(ProxyKind.MTPROXY, *proxy[:2])
        return its.host, its.port

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:
        await self._pause.wait()
        try:
            await super()._connect(timeout=timeout, ssl=ssl)
        except OSError as error:
            closed = self._writer is not None and self._reader.at_eof()
            if self._writer is not None:
                self._writer.close()
            failure = mtproxy_closed(self._route.proxy) if closed else proxy_failed(self._route.proxy, error)
            raise self._route.fails(failure) from error
        self._pause.made()
        _break_when_silent(self._writer)
        self._route.connected()


def _break_when_silent(writer: asyncio.StreamWriter) -> None:
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_S * 1000))


async def answered_by_mtproxy(proxy: Proxy, within_s: float) -> None:
    """Have Telegram answer by way of an MTProxy, in the clear (req_pq_multi, what every client begins with).

    Raises ProxyFailed.
    """
    loggers: defaultdict[str, logging.Logger] = defaultdict(lambda: logging.getLogger(__name__))
    connection = MtProxyConnection("", 0, DC, proxy=ProxyRoute(proxy), loggers=loggers)
    try:
        async with asyncio.timeout(within_s):
            await connection.connect()
            nonce = int.from_bytes(secrets.token_bytes(16), "big", signed=True)
            await MTProtoPlainSender(connection, loggers=loggers).send(ReqPqMultiRequest(nonce))
    except ProxyFailed:
        raise
    except asyncio.IncompleteReadError as error:
        raise mtproxy_closed(proxy) from error
    except Exception as error:  # what an answer can't be read for, Telethon says in many ways
        raise proxy_failed(proxy, error) from error
    finally:
        await connection.disconnect()
