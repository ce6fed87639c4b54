"""Opens the connection to Asterisk, by ARI, and takes its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.events import Event, StasisStart
from ari_app.asterisk.media_codecs import MediaCodecs, Transport
from ari_app.bus import ASTERISK, EventBus
from ari_app.config import Settings


@dataclass(frozen=True)
class StasisApplication:
    """``arrivals`` has the events that are nobody's, from the first on, until somebody takes them."""

    ari: AriClient
    codecs: MediaCodecs
    arrivals: asyncio.Queue[Event]

    async def take_events(self, on_channel: Callable[[StasisStart], None], bus: EventBus) -> None:
        """Start calls, and tell of all else, until cancelled."""
        while True:
            event = await self.arrivals.get()
            if isinstance(event, StasisStart):
                on_channel(event)
            else:
                bus.publish(ASTERISK)


@asynccontextmanager
async def open_asterisk(settings: Settings) -> AsyncIterator[StasisApplication]:
    """This machine's."""
    its = settings.asterisk
    ari = AriClient(its.url, its.user, its.password.get_secret_value(), its.app)
    async with stasis_application(ari, its.transport) as application:
        yield application


@asynccontextmanager
async def stasis_application(ari: AriClient, transport: Transport) -> AsyncIterator[StasisApplication]:
    """It connects in the background, again and again; its calls have this transport."""
    codecs = MediaCodecs(ari, transport)
    arrivals = asyncio.Queue[Event]()
    # Before the client connects, which is an event too.
    with ari.events.attached("", arrivals.put_nowait):
        async with ari:
            yield StasisApplication(ari, codecs, arrivals)
