"""The proxy by which everything goes to Telegram: what may be entered for one. `proxy_route.py` goes through it.

What Telegram's own apps exchange is understood, too: links to t.me/socks and t.me/proxy
(core.telegram.org/api/links#mtproxy-links and #socks5-proxy-links).
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from ari_app.i18n import message
from ari_app.wrong import Told

MTPROXY_SECRET = 16  # bytes
PADDED, FAKE_TLS = b"\xdd", b"\xee"  # what a secret may begin with, if it is longer
FORM = message(
    "Enter socks5://USER:PASSWORD@HOST:PORT, http://USER:PASSWORD@HOST:PORT (both also without a login), or a link to "
    "t.me/socks or t.me/proxy."
)
LONG = message("A login of a proxy has up to 255 characters of ASCII in its name and its password.")
NO_SECRET = message("The MTProxy's secret is none: it has 32 hexadecimal digits, and perhaps dd before them.")
NO_FAKE_TLS = message(
    "This MTProxy disguises itself as a web site (its secret begins with ee), which Astergram can't: use one whose "
    "secret begins with dd, or a SOCKS5 or HTTP proxy."
)


class ProxyKind(Enum):
    """What a proxy speaks."""

    SOCKS5 = "SOCKS5"
    HTTP = "HTTP"
    MTPROXY = "MTProxy"


SCHEMES = {"socks5": ProxyKind.SOCKS5, "socks5h": ProxyKind.SOCKS5, "http": ProxyKind.HTTP}
LINKS = {"socks": ProxyKind.SOCKS5, "proxy": ProxyKind.MTPROXY}


@dataclass(frozen=True)
class Proxy:
    """A proxy; ``secret``: an MTProxy's, as 32 hexadecimal digits. As a text it has no login and no secret."""

    kind: ProxyKind
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind.value} {host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """What an administrator has entered; raises Told, which quotes nothing of it."""
        try:
            url = urlsplit(text.strip())
            port = url.port
        except ValueError:
            raise Told(FORM) from None
        if kind := SCHEMES.get(url.scheme):
            if not (url.hostname and port) or url.path.strip("/") or url.query or url.fragment:
                raise Told(FORM)
            return _with_login(kind, url.hostname, port, unquote(url.username or ""), unquote(url.password or ""))
        if url.scheme == "tg":
            named = url.netloc
        elif url.scheme in ("http", "https", "") and (url.hostname in ("t.me", "telegram.me") or not url.netloc):
            named = url.path.removeprefix("t.me").strip("/")
        else:
            raise Told(FORM)
        return _of_link(LINKS.get(named), {key: values[0] for key, values in parse_qs(url.query).items()})


def proxy_entered(secret: SecretStr | None) -> SecretStr | None:
    """The same, once it is seen to be a proxy's; raises Told."""
    if secret:
        Proxy.parse(secret.get_secret_value())
    return secret


def _with_login(kind: ProxyKind, host: str, port: int, user: str, password: str) -> Proxy:
    if not (user + password).isascii() or max(len(user), len(password)) > 255:
        raise Told(LONG)
    return Proxy(kind, host, port, user, password)


def _of_link(kind: ProxyKind | None, given: dict[str, str]) -> Proxy:
    host, port = given.get("server", ""), given.get("port", "")
    if kind is None or not host or not (port.isdecimal() and 0 < int(port) < 2**16):
        raise Told(FORM)
    if kind is ProxyKind.MTPROXY:
        return Proxy(kind, host, int(port), secret=_secret(given.get("secret", "")))
    return _with_login(kind, host, int(port), given.get("user", ""), given.get("pass", ""))


def _secret(text: str) -> str:
    """As 32 hexadecimal digits; links have it in hexadecimal or base64."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        try:
            raw = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise Told(NO_SECRET) from None
    if raw[:1] == FAKE_TLS and len(raw) > MTPROXY_SECRET:
        raise Told(NO_FAKE_TLS)
    if len(raw) == MTPROXY_SECRET + 1 and raw[:1] == PADDED:
        raw = raw[1:]
    if len(raw) != MTPROXY_SECRET:
        raise Told(NO_SECRET)
    return raw.hex()
