"""Connections to Telegram through a proxy, and why there is none, in a sentence."""

import socket

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy as ProxyClient

from ari_app.i18n import Message, message
from ari_app.os_words import in_words
from ari_app.telegram.errors import Unreachable
from ari_app.telegram.proxy import Proxy, ProxyKind

SAID_MOST = 100  # characters of a proxy's own words
HTTP_LOGIN_REFUSED = 407
SOCKS5_LOGIN_REFUSED = ("No acceptable authentication methods", "authentication failure")
"""In python-socks' sentences, which have no codes for them."""

TYPES = {ProxyKind.SOCKS5: ProxyType.SOCKS5, ProxyKind.HTTP: ProxyType.HTTP}


class ProxyFailed(Unreachable):
    """There is no way through the proxy; ``sentence`` says which proxy, why, and what to do."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


def proxy_failed(proxy: Proxy, error: BaseException) -> ProxyFailed:
    """Why a connection through a proxy has failed: an error of python-socks', or an OSError."""
    # What is no proxy may have answered anything.
    said = "".join(each if each.isprintable() else "?" for each in str(error))[:SAID_MOST]
    if isinstance(error, ProxyError) and (
        error.error_code == HTTP_LOGIN_REFUSED or any(each in said for each in SOCKS5_LOGIN_REFUSED)
    ):
        return ProxyFailed(
            message("The proxy {proxy} refuses the login: correct its user and password in Settings.", proxy=proxy)
        )
    if isinstance(error, ProxyError):
        return ProxyFailed(
            message(
                "The proxy {proxy} does not get through to Telegram ({error}): see that it may, and that it is of "
                "this kind, or enter another one in Settings.",
                proxy=proxy,
                error=said or type(error).__name__,
            )
        )
    if isinstance(error, TimeoutError):
        return ProxyFailed(
            message(
                "The proxy {proxy} does not answer in time: see that it runs and gets through to Telegram, or enter "
                "another one in Settings.",
                proxy=proxy,
            )
        )
    return ProxyFailed(
        message(
            "The proxy {proxy} can't be reached ({error}): see that it runs, and that its address and port in Settings "
            "are right.",
            proxy=proxy,
            error=in_words(error.__cause__ if isinstance(error, ProxyConnectionError) and error.__cause__ else error),
        )
    )


def mtproxy_closed(proxy: Proxy) -> ProxyFailed:
    """An MTProxy says nothing of what it does not like."""
    return ProxyFailed(
        message(
            "The proxy {proxy} has closed the connection: see that its secret in Settings is right, and that it gets "
            "through to Telegram.",
            proxy=proxy,
        )
    )


async def through(proxy: Proxy, host: str, port: int, timeout: float | None) -> socket.socket:
    """A connection to there by way of a SOCKS5 or HTTP proxy, which looks names up itself. Raises ProxyFailed."""
    user, password = (proxy.user, proxy.password) if proxy.user else (None, None)
    client = ProxyClient(TYPES[proxy.kind], proxy.host, proxy.port, user, password, rdns=True)
    try:
        return await client.connect(host, port, timeout)
    except (ProxyError, ProxyTimeoutError, OSError, ValueError) as error:
        raise proxy_failed(proxy, error) from error


class ProxyRoute:
    """The way of one Telethon client through its proxy.

    ``failure``: why there was none when it was last tried. Once the client has been connected, Telethon tries again by
    itself whenever it gets an OSError; before, it gets our error, which it passes on.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.failure: ProxyFailed | None = None
        self._connected_once = False

    def connected(self) -> None:
        """A try has got through."""
        self._connected_once, self.failure = True, None

    def fails(self, failure: ProxyFailed) -> Exception:
        """A try has failed: what to raise."""
        self.failure = failure
        return ConnectionError(str(failure)) if self._connected_once else failure
