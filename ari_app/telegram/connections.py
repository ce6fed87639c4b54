"""How the media of a call connects: what our engine speaks, and what Telegram names in phoneCall."""

from dataclasses import dataclass

from telethon.tl import types

from ari_app.telegram.errors import IncompatibleVersions
from media.types import EngineProtocol, RelayServer


@dataclass(frozen=True)
class Connections:
    """TL phoneCall: what the media needs to connect."""

    servers: tuple[RelayServer, ...]
    library_versions: tuple[str, ...]
    p2p_allowed: bool
    custom_parameters: str | None

    @classmethod
    def of(cls, call: types.PhoneCall) -> "Connections":
        """What a confirmed call says."""
        return cls(
            servers=tuple(relay_server(each) for each in call.connections),
            library_versions=tuple(call.protocol.library_versions),
            p2p_allowed=bool(call.p2p_allowed),
            custom_parameters=call.custom_parameters.data if call.custom_parameters else None,
        )


def call_protocol(engine: EngineProtocol) -> types.PhoneCallProtocol:
    """TL phoneCallProtocol, as sent to Telegram."""
    return types.PhoneCallProtocol(
        min_layer=engine.min_layer,
        max_layer=engine.max_layer,
        library_versions=list(engine.library_versions),
        udp_p2p=True,
        udp_reflector=True,
    )


def incompatible_versions(
    ours: types.PhoneCallProtocol, theirs: types.PhoneCallProtocol
) -> IncompatibleVersions | None:
    """An error with what the other side's media speaks, and ours, where nothing is common to both.

    Telegram picks the version that both have (library_versions). Official apps hang up as Disconnect if they do not
    have the one that is left; an empty list is no reason to.
    """
    if not theirs.library_versions or set(ours.library_versions) & set(theirs.library_versions):
        return None
    return IncompatibleVersions(", ".join(theirs.library_versions), ", ".join(ours.library_versions))


def relay_server(connection: types.TypePhoneConnection) -> RelayServer:
    """TL phoneConnection (a reflector) or phoneConnectionWebrtc (STUN or TURN) for the media."""
    if isinstance(connection, types.PhoneConnectionWebrtc):
        return RelayServer(
            id=connection.id,
            host=connection.ip,
            host_v6=connection.ipv6,
            port=connection.port,
            username=connection.username,
            password=connection.password,
            turn=bool(connection.turn),
            stun=bool(connection.stun),
            tcp=False,
            peer_tag=None,
        )
    return RelayServer(
        id=connection.id,
        host=connection.ip,
        host_v6=connection.ipv6,
        port=connection.port,
        username=None,
        password=None,
        turn=True,
        stun=False,
        tcp=bool(connection.tcp),
        peer_tag=connection.peer_tag,
    )
