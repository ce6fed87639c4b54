"""What the controller and a media process tell each other, as plain frozen dataclasses.

Nothing here imports a native library, so the controller and its adapters may import this module freely.
"""

from dataclasses import dataclass, field
from typing import Literal

from media.logs import LogStyle

Codec = Literal["opus", "g722", "alaw"]
"""By Asterisk's name of it."""


class MediaError(Exception):
    """A request to a media process was refused; the process and the call go on.

    ``reason`` is a sentence for an administrator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MediaLost(MediaError):
    """The call's media is gone for good: it failed, was closed, or its process died. The call has to be ended."""


@dataclass(frozen=True, slots=True)
class DhConfig:
    """Diffie-Hellman parameters, from TL ``messages.dhConfig``: generator, 2048-bit prime, 256 random bytes."""

    g: int
    p: bytes
    random: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The key both sides agreed on: our public value, and the key's fingerprint as TL's signed long."""

    g_a_or_b: bytes
    key_fingerprint: int


@dataclass(frozen=True, slots=True)
class EngineProtocol:
    """TL ``phoneCallProtocol``: the layers and library versions that the media engine speaks."""

    min_layer: int
    max_layer: int
    library_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelayServer:
    """One entry of TL ``phoneCall.connections``: a reflector (has a peer tag) or a STUN/TURN server."""

    id: int
    host: str
    host_v6: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    turn: bool
    stun: bool
    tcp: bool
    peer_tag: bytes | None


@dataclass(frozen=True, slots=True)
class Codecs:
    """What a call's audio is on Asterisk's side."""

    from_asterisk: Codec
    to_asterisk: Codec


@dataclass(frozen=True, slots=True)
class AriLogin:
    """Asterisk's ARI; ``url`` ends in ``/ari``."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How media processes behave; all times in seconds."""

    log: LogStyle = field(default_factory=LogStyle)
    orphan_grace_s: float = 10.0
    """How long a process goes on talking after its controller is gone."""
    ari: AriLogin | None = None
    """Where a process then hangs its call up; without it, Asterisk's side of the call is left as it is."""
    start_timeout_s: float = 15.0
    """How long a new process may take until it answers."""
    request_timeout_s: float = 10.0
    """How long a process may take over one request."""
    stop_grace_s: float = 4.0
    """How long a process may take to end before it is killed."""


@dataclass(frozen=True, slots=True)
class FlowStats:
    """Counters of one direction of the Asterisk side. Packets that never counted as audio are in ``rejected``."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    late: int = 0
    reordered: int = 0
    duplicates: int = 0
    rejected: int = 0
    """Malformed, or of a payload type that was not asked for."""
    foreign: int = 0
    """From another address than the attached peer's, or single packets with another SSRC than its stream's."""


@dataclass(frozen=True, slots=True)
class MediaStats:
    """A call's media at one moment. Times in milliseconds, levels in dBFS over the last second (-99: silence)."""

    transport: str | None = None
    connected_ms: int = 0
    """Since Telegram media became connected; 0 before."""
    from_asterisk: FlowStats = field(default_factory=FlowStats)
    to_asterisk: FlowStats = field(default_factory=FlowStats)
    quiet_ms: int = 0
    """Since Asterisk sent something, or since it could have; it sends nothing while its side is silent."""
    jitter_ms: float = 0.0
    """Interarrival jitter of RFC 3550, section 6.4.1."""
    buffer_ms: int = 0
    target_ms: int = 0
    concealed_ms: int = 0
    silence_ms: int = 0
    backlog_ms: int = 0
    """What was said before Telegram media was connected and is still to be caught up."""
    skipped_ms: int = 0
    inserted_ms: int = 0
    overflows: int = 0
    """Audio thrown away because a buffer was full, in packets."""
    ticks_late: int = 0
    """Ticks of 10 ms that came twice as late, or later: the machine was too busy."""
    level_to_telegram_dbfs: float = -99.0
    level_from_telegram_dbfs: float = -99.0
