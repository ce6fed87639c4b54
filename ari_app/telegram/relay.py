"""One's own TURN server for the audio of calls (RFC 8656), beside those that Telegram names or in their place."""

import asyncio
import socket
from dataclasses import replace

from ari_app.telegram.connections import Connections
from ari_app.telegram.turn_server import TurnServer
from media.types import RelayServer

OWN_ID = 0
"""Telegram's servers have ids of their own, which the engine only logs."""
RESOLVE_S = 2.0
"""For the name of a server: the caller waits."""


class RelayUnknown(Exception):
    """The address of the TURN server can't be found out."""


async def with_relay(connections: Connections, relay: TurnServer, now: float) -> Connections:
    """What a call connects by, with one's own server; ``now`` is Unix time. Raises RelayUnknown."""
    host, host_v6 = await _addresses(relay)
    user, password = relay.login(now)
    server = RelayServer(
        id=OWN_ID,
        host=host,
        host_v6=host_v6,
        port=relay.port,
        username=user,
        password=password,
        turn=True,
        stun=not relay.only,
        tcp=False,
        peer_tag=None,
    )
    if relay.only:
        return replace(connections, servers=(server,), p2p_allowed=False)
    return replace(connections, servers=(*connections.servers, server))


async def _addresses(relay: TurnServer) -> tuple[str, str]:
    """IPv4 and IPv6, of which one may be empty: the media engine takes no names."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(relay.host, relay.port, type=socket.SOCK_DGRAM)
    except TimeoutError as error:
        raise RelayUnknown(f"nobody has told the address of {relay.host} within {RESOLVE_S:g} s") from error
    except OSError as error:
        raise RelayUnknown(f"the address of {relay.host} is not known: {error.strerror}") from error
    first = {family: address[0] for family, *_, address in reversed(found)}
    return str(first.get(socket.AF_INET, "")), str(first.get(socket.AF_INET6, ""))
