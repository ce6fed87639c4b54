"""What the doctor has to know about an installation: plain values, taken from the settings at the time of asking."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from yarl import URL

from ari_app.networks import Network
from ari_app.telegram.account import PRODUCTION_SERVER
from ari_app.telegram.proxy import Proxy
from ari_app.telegram.turn_server import TurnServer
from ari_app.updates import Source

TELEGRAM_SERVERS: tuple[tuple[str, int], ...] = (PRODUCTION_SERVER,)
"""Where a new session connects to first."""
BOT_API = "https://api.telegram.org"


@dataclass(frozen=True)
class AmiLogin:
    """[ami]: where AMI is, and who logs in; ``events``: whether programs are told what happens."""

    host: str
    port: int
    user: str
    password: SecretStr
    events: bool = True


@dataclass(frozen=True)
class AgiAddress:
    """[agi]: where FastAGI listens, and whose addresses may ask besides this machine."""

    host: str = "127.0.0.1"
    port: int = 4573
    allow: tuple[Network, ...] = ()


@dataclass(frozen=True)
class NatsServers:
    """[cluster]: the servers, each as ``nats://HOST:PORT`` or ``tls://HOST:PORT``, and who logs in; empty: nobody."""

    servers: tuple[str, ...]
    user: str = ""
    password: SecretStr | None = None


@dataclass(frozen=True)
class MachineAsterisk:
    """Another machine's of the cluster, as that one says it is reached; ``app``: this machine's application there."""

    machine: str
    url: str
    user: str
    password: SecretStr
    app: str
    transport: Literal["rtp", "websocket"] = "rtp"

    @property
    def host(self) -> str:
        """Where it is."""
        return URL(self.url).host or ""


@dataclass(frozen=True)
class LineNeeds:
    """What a line wants of Asterisk. ``callback`` is the card's target, such as ``605@from-callback``, or empty."""

    number: str
    context: str = "from-telegram"
    max_calls: int = 1
    callback: str = ""

    @property
    def extension(self) -> str:
        """The extension of an incoming call."""
        return self.number.lstrip("+")


@dataclass(frozen=True)
class Surroundings:
    """An installation. ``ari_url`` with or without ``/ari`` at its end, ``bot_api_url`` empty without a bot.

    ``holds_app``: whether this very program is connected to Asterisk as ``app`` now. ``telegram_offset_s``: how much
    Telegram's clock is ahead of this machine's, in seconds; None if no line is connected. ``media_host_elsewhere``: the
    address for RTP of other machines' Asterisks, empty where it is `media_host`.
    """

    ari_url: str
    ari_user: str
    ari_password: SecretStr
    state_dir: Path
    app: str = "telegram"
    transport: Literal["rtp", "websocket"] = "rtp"
    media_host: str = "127.0.0.1"
    ami: AmiLogin | None = None
    agi: AgiAddress | None = None
    nats: NatsServers | None = None
    other_asterisks: tuple[MachineAsterisk, ...] = ()
    media_host_elsewhere: str = ""
    lines: tuple[LineNeeds, ...] = ()
    telegram_servers: tuple[tuple[str, int], ...] = field(default=TELEGRAM_SERVERS)
    bot_api_url: str = ""
    proxy: Proxy | None = None
    turn: TurnServer | None = None
    holds_app: bool = False
    telegram_offset_s: float | None = None
    update_source: Source = "off"
    update_index: SecretStr | None = None

    @property
    def calls(self) -> int:
        """How many calls there may be at a time."""
        return sum(line.max_calls for line in self.lines)

    @property
    def asterisk_host(self) -> str:
        """Where Asterisk is, as ARI's address has it."""
        return URL(self.ari_url).host or ""

    @property
    def asterisk_is_here(self) -> bool:
        """Whether that is this machine's loopback."""
        return is_loopback(self.asterisk_host)


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is a machine's own loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
