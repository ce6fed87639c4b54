"""External media: a channel whose audio another program sends and receives.

Two transports (measured on Asterisk 16.28 and 22.10): RTP, with any Asterisk from 16.6, where Opus comes from Asterisk
but only static payload types such as G.722 are taken back; and WebSocket, from 22.6, with one codec both ways.
``format`` is the codec that comes from Asterisk (`media_codecs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from yarl import URL

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError
from ari_app.asterisk.events import Event
from ari_app.asterisk.legs import Leg, adopted, opened


class ExternalMediaLeg(Leg):
    """A channel for another program's audio. It is up, and in Stasis, when its transport is."""

    def __init__(self, client: AriClient, channel_id: str, what: str) -> None:
        super().__init__(client, channel_id, what)
        self._base = client.base
        self._left_bridge = asyncio.Event()

    async def left_bridge(self) -> None:
        """Wait until it is out of its bridge, as it is at once where Asterisk has no way to translate its codec."""
        await self._left_bridge.wait()

    def take(self, event: Event) -> None:
        """Learn from an event."""
        if event.type == "ChannelLeftBridge":
            self._left_bridge.set()
        super().take(event)

    @property
    def media_address(self) -> tuple[str, int]:
        """Transport rtp: (host, port) at which Asterisk receives and from which it sends."""
        return self._variable("UNICASTRTP_LOCAL_ADDRESS"), int(self._variable("UNICASTRTP_LOCAL_PORT"))

    @property
    def media_url(self) -> str:
        """Transport websocket: where the other program connects, with the subprotocol ``media``."""
        return media_url(self._base, self._variable("MEDIA_WEBSOCKET_CONNECTION_ID"))

    def _variable(self, name: str) -> str:
        try:
            return self.channel.channelvars[name]
        except KeyError:
            raise AriError(f"{self._what}: Asterisk set no {name}: the channel has another transport") from None


def media_url(base: URL, connection_id: str) -> str:
    """Make chan_websocket's address from ARI's, both of one HTTP server: ``ws://host:port/media/ID``."""
    scheme = {"http": "ws", "https": "wss"}[base.scheme]
    return str(base.with_scheme(scheme).parent / "media" / connection_id)


@asynccontextmanager
async def rtp_media_leg(
    client: AriClient, rtp_address: tuple[str, int], *, format: str = "opus", variables: Mapping[str, str] | None = None
) -> AsyncIterator[ExternalMediaLeg]:
    """Open a channel that sends RTP to ``rtp_address``; ``media_address`` tells where it listens.

    It enters Stasis by itself. It outlives this program and its connection, unless it is closed. Raises AriError.
    """
    host, port = rtp_address
    external_host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    leg = ExternalMediaLeg(client, client.new_id(), f"external media leg to {external_host}")
    opening = client.channels.externalMedia(
        app=client.app,
        external_host=external_host,
        format=format,
        channelId=leg.id,
        variables=variables,
    )
    async with opened(client, leg, opening):
        yield leg


@asynccontextmanager
async def websocket_media_leg(
    client: AriClient, *, format: str = "opus", variables: Mapping[str, str] | None = None
) -> AsyncIterator[ExternalMediaLeg]:
    """Open a channel to which the other program connects at ``media_url``.

    It enters Stasis once that program has connected, and ends when it disconnects. Raises AriError.
    """
    leg = ExternalMediaLeg(client, client.new_id(), "external media leg over WebSocket")
    opening = client.channels.externalMedia(
        app=client.app,
        transport="websocket",
        encapsulation="none",
        connection_type="server",
        external_host="INCOMING",
        format=format,
        channelId=leg.id,
        variables=variables,
    )
    async with opened(client, leg, opening):
        yield leg


@asynccontextmanager
async def adopted_media_leg(client: AriClient, channel_id: str) -> AsyncIterator[ExternalMediaLeg]:
    """As the others, for the living channel of an earlier run of this program, with either transport.

    Its address is not known any more (only the answer to externalMedia has it): its audio goes on as it was set up.
    Raises AriNotFound where it is gone, AriError.
    """
    leg = ExternalMediaLeg(client, channel_id, f"external media leg {channel_id}")
    async with adopted(client, leg):
        yield leg
