"""HTTP requests by way of a proxy (aiohttp-socks)."""

from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError

from ari_app.telegram.proxy import Proxy
from ari_app.telegram.proxy_route import TYPES

PROXY_ERRORS = (ProxyConnectionError, ProxyError, ProxyTimeoutError)
"""What a request raises where there is no way through; the cause is python-socks' error."""


def proxy_connector(proxy: Proxy) -> ProxyConnector:
    """For a session of aiohttp's; not by an MTProxy."""
    user, password = (proxy.user, proxy.password) if proxy.user else (None, None)
    return ProxyConnector(proxy.host, proxy.port, TYPES[proxy.kind], user, password, rdns=True)
