"""[web]: the admin page."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.lines.retention import AuditDays
from ari_app.networks import Network

HOUR_S = 3600.0


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise ValueError(f"{text!r} is no address such as https://pbx.example.com")
    return text.rstrip("/")


class WebSettings(BaseModel):
    """The admin page and the JSON API."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: Annotated[bool, Setting(message("The admin page is served"))] = True
    host: Annotated[
        str,
        Setting(
            message("Address to listen at"),
            message("Put a proxy with TLS in front of it before you open it to a network: docs/admin.md."),
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Setting(message("Port to listen at"))] = Field(8090, ge=0, le=65535)
    public_url: Annotated[
        str,
        AfterValidator(_origin),
        Setting(message("Where browsers find it"), message("If not there: https://pbx.example.com, say.")),
    ] = ""
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            message("Further host names"),
            message("By which the page may be asked for; addresses and localhost always work."),
        ),
    ] = ()
    proxies: Annotated[
        tuple[Network, ...],
        Setting(
            message("Trusted proxies"), message("Networks whose X-Forwarded-For is believed, such as 127.0.0.1/32.")
        ),
    ] = ()
    metrics_allow: Annotated[
        tuple[Network, ...],
        Setting(
            message("Who may read /metrics without a token"),
            message("Addresses or networks, such as 192.0.2.10. A proxy that is not in proxies hides who asks."),
        ),
    ] = ()
    session_hours: Annotated[float, Setting(message("Longest session of a browser"), unit=message("h"))] = Field(
        12.0 * 14, gt=0
    )
    idle_hours: Annotated[
        float,
        Setting(
            message("Longest session of a browser that is not used"),
            unit=message("h"),
        ),
    ] = Field(24.0, gt=0)

    require_two_factor: Annotated[
        tuple[Literal["administrator", "operator", "viewer"], ...],
        Setting(
            message("Roles that need two-factor authentication"),
            message("Who has none yet has to turn it on when they next sign in."),
        ),
    ] = ()
    audit_days: AuditDays = 400

    @property
    def browsers_s(self) -> tuple[float, float]:
        """How long a browser stays signed in, and how long one that is not used, in seconds."""
        return self.session_hours * HOUR_S, self.idle_hours * HOUR_S

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.public_url.startswith("https://")
