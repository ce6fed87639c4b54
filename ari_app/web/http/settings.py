"""[web]: the admin page."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise ValueError(f"{text!r} is no address such as https://pbx.example.com")
    return text.rstrip("/")


def _network(given: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(given))
    except ValueError:
        raise ValueError(f"{given!r} is no address or network, such as 127.0.0.1 or 10.0.0.0/8") from None


class WebSettings(BaseModel):
    """``public_url``: where browsers find the page if not at host and port: behind a proxy that speaks TLS, say.

    ``allowed_hosts``: further names that the page may be asked for by; addresses and localhost always work.
    ``proxies``: whose X-Forwarded-For is believed. ``session_hours`` and ``idle_hours``: how long a browser stays
    signed in at most, and without asking for anything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(8090, ge=0, le=65535)
    public_url: Annotated[str, AfterValidator(_origin)] = ""
    allowed_hosts: tuple[str, ...] = ()
    proxies: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)], ...] = ()
    session_hours: float = Field(12.0 * 14, gt=0)
    idle_hours: float = Field(24.0, gt=0)

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.public_url.startswith("https://")
